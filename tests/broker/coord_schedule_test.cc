// Random schedules: consumers of one group that come, go, crash, sleep and restart, over a coordinator that
// crashes and replays its log, losing what was not durable yet.
//
// Each consumer does what real ones do: it joins, leads or follows, reads on from the committed position,
// commits, and follows the error codes back in. Checked throughout:
//   1. in one generation, a partition is assigned to one member only
//   2. a commit that is accepted comes from a member of the current generation, and never goes back
//   3. an acknowledged commit survives every crash
//   4. a machine made from the log alone equals the live one in everything durable
// and at the end, when the chaos stops: every consumer that is left is a member of one stable generation, and
// every partition has an owner among them.
#include <algorithm>
#include <cstdlib>
#include <gtest/gtest.h>
#include <set>

#include "base/prng.h"
#include "tests/broker/coord_client.h"

namespace millrace::broker::coord::testing {
namespace {

constexpr int32_t partitions = 5;
constexpr int consumers_max = 4;
constexpr int steps = 160;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What the test holds against the coordinator.
struct ledger {
  std::map<std::pair<int32_t, int32_t>, std::string> owners;  // generation, partition -> who
  std::map<int32_t, int64_t> acknowledged;                    // partition -> highest position told to be kept
  std::set<std::string> faults;
};

class consumer {
 public:
  consumer(coord_world& world, ledger& book, prng& random, int number)
      : world_(world),
        book_(book),
        random_(random),
        is_static_(random.one_in(4)),
        name_("c" + std::to_string(number)) {
    if (is_static_) instance_id_ = "i-" + name_;
    version_ = static_cast<int16_t>(is_static_ ? random.between(5, 9) : random.between(0, 9));
    session_timeout_ms_ = static_cast<int32_t>(random.between(6'000, 20'000));
    rebalance_timeout_ms_ = static_cast<int32_t>(random.between(2'000, 30'000));
  }

  bool is_running() const { return is_running_; }
  bool is_settled() const { return state_ == state::working; }
  bool owns(int32_t partition) const { return positions_.contains(partition); }
  int32_t generation() const { return generation_; }

  void start() {
    is_running_ = true;
    member_id_.clear();
    rejoin();
  }
  // Without a word: parked requests are abandoned, the session has to end by itself.
  void crash() {
    is_running_ = false;
    state_ = state::outside;
    positions_.clear();
  }
  void leave_politely() {
    if (!is_static_ && !member_id_.empty()) leave(world_, "g", member_id_);
    crash();
  }

  // One thing that it would do next, if there is one.
  void act() {
    if (!is_running_) return;
    switch (state_) {
      case state::outside:
        return send_join();
      case state::joining:
        if (join_->has_answer()) on_joined();
        return;
      case state::syncing:
        if (sync_->has_answer()) on_synced();
        return;
      case state::working:
        if (beat_ && beat_->has_answer()) return on_beat();
        if (commit_ && commit_->has_answer()) return on_committed();
        if (!commit_ && random_.one_in(2)) return send_commit();
        if (!beat_) beat_ = heartbeat(world_, "g", member_id_, generation_, instance_id_);
        return;
    }
  }

 private:
  enum class state { outside, joining, syncing, working };

  void rejoin() {
    state_ = state::outside;
    beat_.reset();
    commit_.reset();
  }
  // What an error code tells a consumer to do.
  void follow(errc code) {
    if (code == errc::unknown_member_id) member_id_.clear();
    if (code == errc::fenced_instance_id) return crash();
    rejoin();
  }

  void send_join() {
    join_options o{.member_id = member_id_,
                   .instance_id = instance_id_,
                   .client_id = name_,
                   .session_timeout_ms = session_timeout_ms_,
                   .rebalance_timeout_ms = rebalance_timeout_ms_,
                   .version = version_};
    if (random_.one_in(8)) o.protocols = {{"range", "other topics"}};
    state_ = state::joining;
    join_ = join(world_, o);
  }

  void on_joined() {
    const auto answer = join_->answer();
    if (!answer) return rejoin();
    if (code_of(answer->error_code) == errc::member_id_required) member_id_ = answer->member_id;
    if (answer->error_code != 0) return follow(code_of(answer->error_code));
    member_id_ = answer->member_id;
    generation_ = answer->generation_id;
    positions_.clear();
    assignments given;
    if (answer->leader == member_id_ && !answer->skip_assignment) {
      std::vector<std::string> shares(answer->members.size());
      for (int32_t p = 0; p < partitions; ++p)
        shares[static_cast<size_t>(p) % shares.size()] += static_cast<char>('0' + p);
      for (size_t i = 0; i < shares.size(); ++i) given.emplace_back(answer->members[i].member_id, shares[i]);
    }
    state_ = state::syncing;
    sync_ = sync(world_, "g", member_id_, generation_, given, instance_id_);
  }

  void on_synced() {
    const auto answer = sync_->answer();
    if (!answer) return rejoin();
    if (answer->error_code != 0) return follow(code_of(answer->error_code));
    state_ = state::working;
    for (const char digit : as_text(answer->assignment)) {
      const int32_t partition = digit - '0';
      const std::string& me = instance_id_ ? *instance_id_ : member_id_;
      const auto [owner, is_first] = book_.owners.emplace(std::pair(generation_, partition), me);
      if (!is_first && owner->second != me)
        book_.faults.insert("a partition has two owners in one generation");
      positions_[partition] = std::max<int64_t>(position_of(partition), 0);
    }
  }

  // Reads without waiting for the disk, as the handler sees it; an answer would only come later.
  int64_t position_of(int32_t partition) const {
    const offset_map& offsets = world_.machine().offsets_of("g");
    const auto topic = offsets.find("t");
    if (topic == offsets.end()) return -1;
    const auto found = topic->second.find(partition);
    return found == topic->second.end() ? -1 : found->second.offset;
  }

  void send_commit() {
    if (positions_.empty()) return;
    auto at = positions_.begin();
    std::advance(at, random_.below(positions_.size()));
    at->second += random_.between(0, 3);
    const int64_t before = position_of(at->first);
    commit_request request{.group = "g",
                           .member_id = member_id_,
                           .instance_id = instance_id_,
                           .generation = generation_,
                           .items = {{.topic = "t", .partition = at->first, .offset = at->second}}};
    committed_ = {at->first, at->second};
    commit_ = commit(world_, request);
    const classic_group* g = world_.machine().group_named("g");
    const bool has_landed = position_of(at->first) == at->second && before != at->second;
    if (!has_landed) return;
    if (at->second < before) book_.faults.insert("a position went back");
    if (g->generation() != generation_ || !g->members().contains(member_id_)) {
      book_.faults.insert("the commit of a fenced member landed");
    }
  }

  void on_committed() {
    const auto answer = commit_->answer();
    commit_.reset();
    if (!answer) return;  // the coordinator went; the next heartbeat tells
    if (answer->at(0) == errc::none) {
      int64_t& kept = book_.acknowledged[committed_.first];
      kept = std::max(kept, committed_.second);
    } else if (answer->at(0) != errc::rebalance_in_progress) {
      follow(answer->at(0));
    }
  }

  void on_beat() {
    const auto answer = beat_->answer();
    beat_.reset();
    if (answer && answer->error_code != 0) follow(code_of(answer->error_code));
  }

  coord_world& world_;
  ledger& book_;
  prng& random_;
  const bool is_static_;
  const std::string name_;
  std::optional<std::string> instance_id_;
  int16_t version_ = 0;
  int32_t session_timeout_ms_ = 0;
  int32_t rebalance_timeout_ms_ = 0;

  bool is_running_ = false;
  state state_ = state::outside;
  std::string member_id_;
  int32_t generation_ = -1;
  std::map<int32_t, int64_t> positions_;
  std::pair<int32_t, int64_t> committed_;
  std::optional<mailbox<protocol::join_group_response>> join_;
  std::optional<mailbox<protocol::sync_group_response>> sync_;
  std::optional<mailbox<protocol::heartbeat_response>> beat_;
  std::optional<mailbox<commit_result>> commit_;
};

// Invariants 3 and 4.
void check_durable(coord_world& world, ledger& book) {
  const auto copy = world.replayed();
  const classic_group* live = world.machine().group_named("g");
  const classic_group* rebuilt = copy->group_named("g");
  if ((live == nullptr) != (rebuilt == nullptr)) {
    book.faults.insert("the log and the live machine disagree whether there is a group");
  } else if (live != nullptr) {
    if (!(live->committed() == rebuilt->committed()))
      book.faults.insert("the log tells of another generation");
    if (!(world.machine().offsets_of("g") == copy->offsets_of("g")))
      book.faults.insert("the log tells of other offsets");
  }
  for (const auto& [partition, offset] : book.acknowledged) {
    if (offset == 0) continue;
    const offset_map& offsets = world.machine().offsets_of("g");
    const auto topic = offsets.find("t");
    const bool is_there = topic != offsets.end() && topic->second.contains(partition) &&
                          topic->second.at(partition).offset >= offset;
    if (!is_there) book.faults.insert("an acknowledged commit is gone");
  }
}

std::set<std::string> run_schedule(uint64_t seed) {
  prng random(seed);
  group_config config;
  config.initial_rebalance_delay_ms = random.one_in(3) ? 1'000 : 0;
  coord_world world(config);
  world.is_durable_at_once = random.one_in(4);
  ledger book;
  std::vector<consumer> crowd;
  crowd.reserve(consumers_max);
  for (int i = 0; i < consumers_max; ++i) crowd.emplace_back(world, book, random, i);

  for (int i = 0; i < steps; ++i) {
    consumer& someone = crowd[random.below(crowd.size())];
    switch (random.below(16)) {
      case 0:
        if (!someone.is_running()) someone.start();
        break;
      case 1:
        if (random.one_in(4)) someone.crash();
        break;
      case 2:
        if (random.one_in(4) && someone.is_running()) someone.leave_politely();
        break;
      case 3:
        if (!random.one_in(6)) break;
        world.crash_and_restart();
        check_durable(world, book);
        break;
      case 4:
        world.pass(random.one_in(5) ? random.between(1'000, 12'000) : random.between(1, 500));
        break;
      case 5:
      case 6:
        world.make_durable(1 + random.below(3));
        break;
      default:
        someone.act();
    }
    if (!book.faults.empty()) return book.faults;
  }

  // The chaos stops: everybody left gets to work, the dead are forgotten.
  world.is_durable_at_once = true;
  world.make_all_durable();
  const auto has_settled = [&] {
    const classic_group* g = world.machine().group_named("g");
    for (const consumer& c : crowd) {
      if (c.is_running() && (!c.is_settled() || c.generation() != g->generation())) return false;
    }
    const auto running = std::ranges::count_if(crowd, &consumer::is_running);
    if (running == 0) return true;
    return g->is(group_state::stable) && g->members().size() == static_cast<size_t>(running);
  };
  for (int i = 0; i < 400 && !has_settled(); ++i) {
    for (consumer& c : crowd) {
      c.act();
      c.act();
    }
    world.pass(500);
  }
  check_durable(world, book);
  const classic_group* g = world.machine().group_named("g");
  size_t running = 0;
  for (const consumer& c : crowd) running += c.is_running() ? 1 : 0;
  if (running > 0 && (g == nullptr || !g->is(group_state::stable) || g->members().size() != running)) {
    book.faults.insert("the group did not settle");
  }
  for (const consumer& c : crowd) {
    if (c.is_running() && (!c.is_settled() || c.generation() != g->generation())) {
      book.faults.insert("a member did not converge");
    }
  }
  for (int32_t p = 0; running > 0 && p < partitions; ++p) {
    size_t owners = 0;
    for (const consumer& c : crowd) owners += c.is_running() && c.owns(p) ? 1 : 0;
    if (owners != 1)
      book.faults.insert("a partition is read by " + std::to_string(owners) + " members in the end");
  }
  return book.faults;
}

TEST(CoordSchedule, NothingIsOwnedTwiceLostOrStuck) {
  const uint64_t base = number_from("MILLRACE_SEED", 20'261'121);
  const uint64_t count = std::max<uint64_t>(1, 30'000 * number_from("MILLRACE_EFFORT", 100) / 100);
  printf("seeds %llu to %llu\n", static_cast<unsigned long long>(base),
         static_cast<unsigned long long>(base + count - 1));
  for (uint64_t seed = base; seed < base + count; ++seed) {
    for (const std::string& fault : run_schedule(seed)) ADD_FAILURE() << "seed " << seed << ": " << fault;
    if (HasFailure()) break;
  }
}

}  // namespace
}  // namespace millrace::broker::coord::testing
