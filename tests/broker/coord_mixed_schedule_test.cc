// Random schedules with members of the consumer protocol, alone and together with classic ones (eager and
// cooperative), over a coordinator that crashes and replays its log, losing what was not durable yet. Members
// come, go, crash, sleep, are slow to give partitions up, restart under the other protocol; topics grow.
//
// Checked throughout:
//   1. in one epoch, a partition is assigned to one member only
//   2. at no moment two members that the coordinator takes for members of their epoch read one partition
//   3. a commit that lands comes from a member in its present epoch, and never goes back
//   4. an acknowledged commit survives every crash
//   5. a machine made from the log alone equals the live one in everything durable
// and at the end, when the chaos stops: everybody is a member of one stable group and has a share of its own.
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <set>

#include "base/prng.h"
#include "tests/broker/coord_consumer_client.h"

namespace millrace::broker::coord::testing {
namespace {

constexpr int crowd_max = 4;
constexpr int steps = 200;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

struct ledger {
  std::map<std::pair<int32_t, int32_t>, std::string> owners;  // epoch, partition -> who
  std::map<int32_t, int64_t> acknowledged;
  std::set<std::string> faults;
};

class client {
 public:
  enum class kind { consumer, eager, cooperative };

  client(coord_world& world, ledger& book, prng& random, int number)
      : world_(world), book_(book), random_(random), name_("c" + std::to_string(number)) {
    if (random.one_in(3)) instance_id_ = "i-" + name_;
  }

  bool is_running() const { return is_running_; }
  const std::map<int32_t, int64_t>& owned() const { return owned_; }
  const std::string& member_id() const { return member_id_; }
  int32_t epoch() const { return epoch_; }

  void start(kind as) {
    // A static cooperative member that crashes between giving up and joining again leaves its partitions with
    // nobody until the next rebalance: by the classic protocol's own rules (KIP-345).
    kind_ = instance_id_ && as == kind::cooperative ? kind::eager : as;
    is_running_ = true;
    rebalance_timeout_ms_ = static_cast<int32_t>(random_.between(2'000, 30'000));
    member_id_ = as == kind::consumer ? name_ + "-" + std::to_string(++lives_) : "";
    begin_again();
  }
  void crash() {
    is_running_ = false;
    begin_again();
  }
  void leave_politely() {
    if (is_running_ && !member_id_.empty()) {
      if (kind_ == kind::consumer) {
        const int32_t how = instance_id_ && random_.one_in(2) ? -2 : -1;
        beat(world_, {.member_id = member_id_, .epoch = how, .instance_id = instance_id_});
      } else if (!instance_id_) {
        leave(world_, "g", member_id_);
      }
    }
    crash();
  }

  void act() {
    if (!is_running_) return;
    if (commit_ && commit_->has_answer()) return on_committed();
    if (!commit_ && random_.one_in(3)) send_commit();
    kind_ == kind::consumer ? act_as_consumer() : act_as_classic();
  }

 private:
  void begin_again() {
    owned_.clear();
    giving_up_.clear();
    epoch_ = 0;
    is_inside_ = false;
    divided_ = 0;
    beat_.reset();
    join_.reset();
    sync_.reset();
    classic_beat_.reset();
    commit_.reset();
  }

  // --- the consumer protocol ---
  void act_as_consumer() {
    if (beat_) {
      if (beat_->has_answer()) on_beat();
      return;
    }
    if (!giving_up_.empty()) {  // slow at it, now and then
      if (random_.one_in(3)) return;
      for (const int32_t p : giving_up_) owned_.erase(p);
      giving_up_.clear();
    }
    beat_options o{
        .member_id = member_id_, .epoch = epoch_, .instance_id = instance_id_, .owned = owned_now()};
    if (!is_inside_ || has_lost_answer_) {
      o.rebalance_timeout_ms = rebalance_timeout_ms_;
      if (random_.one_in(3)) {
        o.topics = std::vector<std::string>{};
        o.regex = "t";
      } else {
        o.topics = {{"t"}};
        o.regex = "";
      }
    }
    has_lost_answer_ = false;
    beat_ = beat(world_, o);
  }

  void on_beat() {
    const auto answer = beat_->answer();
    beat_.reset();
    if (!answer) {
      has_lost_answer_ = true;  // it may have been taken, or not
      return;
    }
    switch (code_of(answer->error_code)) {
      case errc::none:
        break;
      case errc::fenced_instance_id:
        return crash();
      case errc::unreleased_instance_id:
        return;
      default:  // fenced, unknown, no such group: from the beginning
        return begin_again();
    }
    is_inside_ = true;
    epoch_ = answer->member_epoch;
    if (answer->assignment) {
      std::set<int32_t> given;
      for (const auto& t : answer->assignment->topic_partitions)
        given.insert(t.partitions.begin(), t.partitions.end());
      take(given);
    } else {
      claim();
    }
  }

  // --- the classic protocol ---
  void act_as_classic() {
    if (join_) {
      if (join_->has_answer()) on_joined();
    } else if (sync_) {
      if (sync_->has_answer()) on_synced();
    } else if (!is_inside_ || (divided_ != 0 && divided_ != world_.topics.find("t")->partitions)) {
      rejoin();  // as a leader does that sees that the topic has grown
      send_join();
    } else if (classic_beat_) {
      if (classic_beat_->has_answer()) on_classic_beat();
    } else {
      classic_beat_ = heartbeat(world_, "g", member_id_, epoch_, instance_id_);
    }
  }

  void rejoin() {
    is_inside_ = false;
    join_.reset();
    sync_.reset();
    classic_beat_.reset();
    if (kind_ == kind::eager) owned_.clear();
  }
  void follow(errc code) {
    if (code == errc::fenced_instance_id) return crash();
    if (code == errc::unknown_member_id || code == errc::illegal_generation) owned_.clear();
    if (code == errc::unknown_member_id) member_id_.clear();
    rejoin();
  }

  void send_join() {
    join_ = join(world_, {.member_id = member_id_,
                          .instance_id = instance_id_,
                          .client_id = name_,
                          .protocols = {{"range", subscription_bytes({"t"}, owned_now())}},
                          .rebalance_timeout_ms = rebalance_timeout_ms_,
                          .version = 9});
  }

  void on_joined() {
    const auto answer = join_->answer();
    join_.reset();
    if (!answer) return rejoin();
    if (code_of(answer->error_code) == errc::member_id_required) member_id_ = answer->member_id;
    if (answer->error_code != 0) return follow(code_of(answer->error_code));
    member_id_ = answer->member_id;
    epoch_ = answer->generation_id;
    assignments given;
    divided_ = answer->leader == member_id_ ? -1 : 0;  // who leads without dividing looks after it at once
    if (answer->leader == member_id_ && !answer->skip_assignment) given = divide(*answer);
    sync_ = sync(world_, "g", member_id_, epoch_, given, instance_id_);
  }

  // As cooperative assignors do: what another one still has goes to nobody yet.
  assignments divide(const protocol::join_group_response& answer) {
    std::map<int32_t, std::string> holders;
    std::vector<std::string> ids;
    for (const auto& m : answer.members) {
      ids.push_back(m.member_id);
      const auto said = parse_subscription(m.metadata, world_.topics);
      if (!said) continue;
      for (const auto& [topic, partitions] : said->owned) {
        for (const int32_t p : partitions) holders[p] = m.member_id;
      }
    }
    std::map<std::string, std::vector<int32_t>> shares;
    divided_ = world_.topics.find("t")->partitions;
    for (int32_t p = 0; p < divided_; ++p) {
      const std::string& to = ids[static_cast<size_t>(p) % ids.size()];
      if (!holders.contains(p) || holders[p] == to) shares[to].push_back(p);
    }
    assignments given;
    for (const std::string& id : ids) given.emplace_back(id, assignment_bytes(world_, {{"t", shares[id]}}));
    return given;
  }

  void on_synced() {
    const auto answer = sync_->answer();
    sync_.reset();
    if (!answer) return rejoin();
    if (answer->error_code != 0) return follow(code_of(answer->error_code));
    is_inside_ = true;
    std::set<int32_t> given;
    const auto set = parse_assignment(answer->assignment, world_.topics);
    if (!set) {
      book_.faults.insert("an assignment that cannot be read");
      return;
    }
    for (const auto& [topic, partitions] : *set) given.insert(partitions.begin(), partitions.end());
    take(given);
    if (giving_up_.empty()) return;
    for (const int32_t p : giving_up_) owned_.erase(p);
    giving_up_.clear();
    rejoin();
  }

  void on_classic_beat() {
    const auto answer = classic_beat_->answer();
    classic_beat_.reset();
    if (answer && answer->error_code != 0) follow(code_of(answer->error_code));
  }

  // --- both ---
  owned_list owned_now() const {
    if (owned_.empty()) return owned_list{};
    std::vector<int32_t> list;
    for (const auto& [p, position] : owned_) list.push_back(p);
    return owned_list{{"t", list}};
  }

  void take(const std::set<int32_t>& given) {
    giving_up_.clear();
    for (const auto& [p, position] : owned_) {
      if (!given.contains(p)) giving_up_.insert(p);
    }
    for (const int32_t p : given) owned_.try_emplace(p, std::max<int64_t>(position_of(p), 0));
    claim();
  }
  void claim() {
    const std::string& me = instance_id_ ? *instance_id_ : member_id_;
    for (const auto& [p, position] : owned_) {
      if (giving_up_.contains(p)) continue;
      const auto [owner, is_first] = book_.owners.emplace(std::pair(epoch_, p), me);
      if (!is_first && owner->second != me) book_.faults.insert("a partition has two owners in one epoch");
    }
  }

  int64_t position_of(int32_t partition) const {
    const offset_map& offsets = world_.machine().offsets_of("g");
    const auto topic = offsets.find("t");
    if (topic == offsets.end()) return -1;
    const auto found = topic->second.find(partition);
    return found == topic->second.end() ? -1 : found->second.offset;
  }

  bool is_current() const {
    if (const consumer_group* g = world_.machine().consumer_group_named("g")) {
      const consumer_member* m = g->find(member_id_);
      return m != nullptr && m->current.epoch == epoch_;
    }
    const classic_group* g = world_.machine().group_named("g");
    return g != nullptr && g->generation() == epoch_ && g->members().contains(member_id_);
  }

  void send_commit() {
    std::vector<int32_t> mine;
    for (const auto& [p, position] : owned_) {
      if (!giving_up_.contains(p)) mine.push_back(p);
    }
    if (mine.empty() || (kind_ != kind::consumer && (join_ || sync_))) return;
    const int32_t p = mine[random_.below(mine.size())];
    owned_[p] += random_.between(0, 3);
    const int64_t before = position_of(p);
    committed_ = {p, owned_[p]};
    const bool was_current = is_current();
    commit_ = commit(world_, {.group = "g",
                              .member_id = member_id_,
                              .instance_id = kind_ == kind::consumer ? std::nullopt : instance_id_,
                              .generation = epoch_,
                              .items = {{.topic = "t", .partition = p, .offset = owned_[p]}},
                              .version = 9});
    if (position_of(p) == before) return;
    if (owned_[p] < before) book_.faults.insert("a position went back");
    if (!was_current) book_.faults.insert("the commit of a fenced member landed");
  }

  void on_committed() {
    const auto answer = commit_->answer();
    commit_.reset();
    if (!answer || answer->at(0) != errc::none) return;  // the next heartbeat tells
    int64_t& kept = book_.acknowledged[committed_.first];
    kept = std::max(kept, committed_.second);
  }

  coord_world& world_;
  ledger& book_;
  prng& random_;
  const std::string name_;
  std::optional<std::string> instance_id_;
  kind kind_ = kind::consumer;
  int lives_ = 0;
  int32_t rebalance_timeout_ms_ = 0;

  bool is_running_ = false;
  bool is_inside_ = false;
  bool has_lost_answer_ = false;
  std::string member_id_;
  int32_t epoch_ = 0;
  int32_t divided_ = 0;               // how many partitions it divided, as a leader
  std::map<int32_t, int64_t> owned_;  // with the position
  std::set<int32_t> giving_up_;
  std::pair<int32_t, int64_t> committed_;
  std::optional<beat_mailbox> beat_;
  std::optional<mailbox<protocol::join_group_response>> join_;
  std::optional<mailbox<protocol::sync_group_response>> sync_;
  std::optional<mailbox<protocol::heartbeat_response>> classic_beat_;
  std::optional<mailbox<commit_result>> commit_;
};

// A static classic member may lag a generation behind until its session ends, and read on meanwhile: that is
// KIP-345's bargain, and only its commits are fenced.
bool is_reading(const group_machine& machine, const client& c) {
  if (!c.is_running()) return false;
  if (const consumer_group* g = machine.consumer_group_named("g")) {
    const consumer_member* m = g->find(c.member_id());
    return m != nullptr && (!m->is_classic() || m->current.epoch == c.epoch());
  }
  const classic_group* g = machine.group_named("g");
  return g != nullptr && g->generation() == c.epoch() && g->members().contains(c.member_id());
}

void check_readers(coord_world& world, ledger& book, const std::vector<client>& crowd) {
  std::set<int32_t> read;
  for (const client& c : crowd) {
    if (!is_reading(world.machine(), c)) continue;
    for (const auto& [p, position] : c.owned()) {
      if (!read.insert(p).second) book.faults.insert("two members read one partition");
    }
  }
}

bool are_equal(const consumer_group& a, const consumer_group& b) {
  if (a.epoch() != b.epoch() || a.assignment_epoch() != b.assignment_epoch() || a.targets() != b.targets() ||
      a.patterns() != b.patterns() || a.members().size() != b.members().size())
    return false;
  return std::ranges::all_of(a.members(), [&](const auto& entry) {
    const consumer_member* other = b.find(entry.first);
    return other != nullptr && other->subscription == entry.second.subscription &&
           other->current == entry.second.current;
  });
}

void check_durable(coord_world& world, ledger& book) {
  const auto copy = world.replayed();
  const group_machine& live = world.machine();
  const consumer_group* consumers = live.consumer_group_named("g");
  const consumer_group* consumers_again = copy->consumer_group_named("g");
  const classic_group* classics = live.group_named("g");
  const classic_group* classics_again = copy->group_named("g");
  if ((consumers == nullptr) != (consumers_again == nullptr) ||
      (classics == nullptr) != (classics_again == nullptr)) {
    book.faults.insert("the log tells of another kind of group");
  } else if (consumers != nullptr) {
    if (!consumers->is_consistent() || !are_equal(*consumers, *consumers_again))
      book.faults.insert("the log tells of another consumer group");
  } else if (classics != nullptr && !(classics->committed() == classics_again->committed())) {
    book.faults.insert("the log tells of another generation");
  }
  if (!(live.offsets_of("g") == copy->offsets_of("g"))) book.faults.insert("the log tells of other offsets");
  for (const auto& [partition, offset] : book.acknowledged) {
    const auto topic = live.offsets_of("g").find("t");
    const bool is_there = topic != live.offsets_of("g").end() && topic->second.contains(partition) &&
                          topic->second.at(partition).offset >= offset;
    if (!is_there) book.faults.insert("an acknowledged commit is gone");
  }
}

std::set<std::string> run_schedule(uint64_t seed, bool is_mixed) {
  prng random(seed);
  group_config config;
  config.consumer_session_timeout_ms = 10'000;
  coord_world world(config);
  world.topics.put("t", 5);
  world.is_durable_at_once = random.one_in(4);
  ledger book;
  std::vector<client> crowd;
  crowd.reserve(crowd_max);
  for (int i = 0; i < crowd_max; ++i) crowd.emplace_back(world, book, random, i);
  const auto any_kind = [&] {
    return is_mixed ? static_cast<client::kind>(random.below(3)) : client::kind::consumer;
  };

  for (int i = 0; i < steps; ++i) {
    client& someone = crowd[random.below(crowd.size())];
    switch (random.below(18)) {
      case 0:
        if (!someone.is_running()) someone.start(any_kind());
        break;
      case 1:
        if (random.one_in(5)) someone.crash();
        break;
      case 2:
        if (random.one_in(4)) someone.leave_politely();
        break;
      case 3:
        if (!random.one_in(6)) break;
        world.crash_and_restart();
        check_durable(world, book);
        break;
      case 4:
        world.pass(random.one_in(6) ? random.between(1'000, 9'000) : random.between(1, 500));
        break;
      case 5:
        if (!random.one_in(10)) break;
        world.topics.put("t", std::min(world.topics.find("t")->partitions + 1, 8));
        world.machine().topics_changed();
        break;
      case 6:
      case 7:
        world.make_durable(1 + random.below(3));
        break;
      default:
        someone.act();
    }
    check_readers(world, book, crowd);
    if (!book.faults.empty()) return book.faults;
  }

  // The chaos stops: everybody left gets to work, the dead are forgotten.
  world.is_durable_at_once = true;
  world.make_all_durable();
  size_t running = 0;
  for (const client& c : crowd) running += c.is_running() ? 1 : 0;
  const auto trouble = [&]() -> std::string {
    const consumer_group* consumers = world.machine().consumer_group_named("g");
    const classic_group* classics = world.machine().group_named("g");
    size_t members = 0;
    if (consumers != nullptr) {
      if (running > 0 && consumers->state() != consumer_group_state::stable)
        return "the consumer group is not stable";
      members = consumers->members().size();
    } else if (classics != nullptr) {
      if (running > 0 && !classics->is(group_state::stable)) return "the classic group is not stable";
      members = classics->members().size();
    }
    if (members != running) return "some members are too many or too few";
    size_t read = 0;
    for (const client& c : crowd) read += c.is_running() ? c.owned().size() : 0;
    const auto partitions = static_cast<size_t>(world.topics.find("t")->partitions);
    if (running > 0 && read != partitions) return "some partitions are read by nobody";
    return "";
  };
  for (int i = 0; i < 500 && !trouble().empty(); ++i) {
    size_t alive = 0;
    for (client& c : crowd) {
      c.act();
      c.act();
      alive += c.is_running() ? 1 : 0;
    }
    if (!book.faults.empty()) break;
    running = alive;  // a static member may have found itself replaced
    check_readers(world, book, crowd);
    if (!book.faults.empty()) break;
    world.pass(500);
  }
  if (const std::string what = trouble(); !what.empty()) book.faults.insert(what);
  check_durable(world, book);
  return book.faults;
}

void run_all(bool is_mixed, uint64_t runs) {
  const uint64_t base = number_from("MILLRACE_SEED", 20'261'121);
  const uint64_t count = std::max<uint64_t>(1, runs * number_from("MILLRACE_EFFORT", 100) / 100);
  printf("seeds %llu to %llu\n", static_cast<unsigned long long>(base),
         static_cast<unsigned long long>(base + count - 1));
  for (uint64_t seed = base; seed < base + count; ++seed) {
    for (const std::string& fault : run_schedule(seed, is_mixed))
      ADD_FAILURE() << "seed " << seed << ": " << fault;
    if (::testing::Test::HasFailure()) break;
  }
}

TEST(CoordSchedule, ConsumerGroupsShareWithoutOverlapAndSettle) {
  run_all(false, 15'000);
}

TEST(CoordSchedule, MixedGroupsShareWithoutOverlapAndSettle) {
  run_all(true, 15'000);
}

}  // namespace
}  // namespace millrace::broker::coord::testing
