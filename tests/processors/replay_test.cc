// A part of the past once more: the same records every time, and the same bytes, whatever else goes on.
#include "base/prng.h"
#include "tests/processors/guest_kit.h"
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;

std::vector<std::string> topics_with(const std::vector<std::string>& names) {
  std::vector<std::string> topics{"in", "in.counts", "c-counts-changelog", "c-meta-changelog"};
  for (const std::string& name : names) {
    topics.push_back("in.counts." + name);
    topics.push_back(name + "-counts-changelog");
    topics.push_back(name + "-meta-changelog");
  }
  return topics;
}

deployed_processor counter() {
  const auto code = code_of<counter_traits>();
  return deployment::prepare(spec_for(*code, "c", "in", {{"padding", "200"}}), code).value();
}

const code_list& codes() {
  static const code_list all{code_of<counter_traits>()};
  return all;
}

deployed_processor replay(const std::string& name, start_position from, int64_t until,
                          isolation how = isolation::none) {
  const auto code = how == isolation::process ? elsewhere(codes()[0]) : codes()[0];
  processor_spec spec = spec_for(*code, name, "in", {{"padding", "200"}});
  spec.outputs["counts"] = "in.counts." + name;
  spec.stands_for = "c";
  spec.start = from;
  spec.until = std::vector<int64_t>{until};
  spec.isolated = how;
  spec.output_compression = protocol::codec::lz4;
  return deployment::prepare(spec, code).value();
}

// A partition's batches as they are stored, but for their leader epochs, which tell when they were written.
task<std::vector<std::string>> batches_of(storage::shard_store& store, const std::string& topic) {
  std::vector<std::string> all;
  const auto take = [&all](const slice& batch, int64_t) {
    std::string bytes(as_text(batch.view()));
    std::fill_n(bytes.begin() + 12, 4, '\0');
    all.push_back(std::move(bytes));
  };
  const auto done = co_await each_batch(store, id_of(topic, 0), take);
  MR_ASSERT(done);
  co_return all;
}

void expect_finished(bench& b, const std::string& name, int64_t at) {
  const flow_status s = b.status(name);
  EXPECT_EQ(s.state, flow_state::finished) << name_of(s.state) << " " << s.why_paused;
  EXPECT_EQ(s.cursor, at);
  EXPECT_EQ(s.lag, 0);
}

// A life with clients, whose disk may go at any moment.
task<void> disturbed(const std::vector<std::string> topics, const deployment what) {
  std::vector<storage::partition_spec> specs;
  for (const std::string& topic : topics) specs.push_back(partition_spec_of(topic, 0));
  auto opened = co_await open_store(small_store(), std::move(specs));
  if (!opened) co_return;
  storage::shard_store& store = **opened;
  shard_host host(what, store);
  host.start();
  for (int i = 0; i < 20 && !store.read_only_reason(); ++i) {
    const auto admitted = co_await store.admit(10'000);
    if (!admitted) break;
    const auto batch = batch_of(values(static_cast<size_t>(1 + i * 7), "later"));
    static_cast<void>(store.append(*store.find(id_of("in", 0)), batch, storage::append_origin::client));
    co_await runtime::reactor::current().sleep(std::chrono::microseconds(300));
  }
  co_await settled(host, store);
  co_await host.close();
  static_cast<void>(co_await store.close());
}

using replay_test = host_test;

TEST_F(replay_test, it_derives_a_part_of_the_past_and_finishes) {
  std::map<std::string, int64_t> state;
  const deployment live_one = deployment().with(counter()).value();
  const auto topics = topics_with({"r", "s", "t"});
  const deployment all = live_one.with(replay("r", {}, 4))
                             .value()
                             .with(replay("s", {start_position::kind::offset, 2}, 5))
                             .value()
                             .with(replay("t", {start_position::kind::time, 1001}, 1))
                             .value();
  live(topics, live_one, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a", "b", "a", "a", "b"});
    const auto input = id_of("in", 0);
    co_await b.host->adopt(all);
    b.produce("in", {"a"});
    co_await settled(*b.host, *b.store);
    expect_finished(b, "r", 4);
    expect_finished(b, "s", 5);
    expect_finished(b, "t", 1);
    EXPECT_EQ(co_await all_of(b, "in.counts.r"), (values{"a:1", "b:1", "a:2", "a:3"}));
    EXPECT_EQ(co_await all_of(b, "in.counts.s"), (values{"a:1", "a:2", "b:1"}));
    EXPECT_TRUE((co_await all_of(b, "in.counts.t")).empty());
    EXPECT_EQ(co_await all_of(b, "in.counts"), (values{"a:1", "b:1", "a:2", "a:3", "b:2", "a:4"}));
    EXPECT_EQ(b.host->needed_from(input), offset(6));  // nothing is kept for what has finished
  });
  live(topics, all, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a"});
    co_await settled(*b.host, *b.store);
    expect_finished(b, "r", 4);
    EXPECT_EQ((co_await all_of(b, "in.counts.r")).size(), 4u);
    EXPECT_EQ((co_await all_of(b, "in.counts")).back(), "a:5");
  });
}

// Small frames, other work in them, crashes in between, calls made elsewhere: the bytes are the same.
TEST_F(replay_test, replays_give_the_same_bytes) {
  const deployment live_one = deployment().with(counter()).value();
  const auto topics = topics_with({"r", "s", "t", "u"});
  int64_t end = 0;
  live(topics, live_one, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    prng random(5);
    for (int i = 0; i < 40; ++i) {
      values input;
      const uint64_t count = 1 + random.below(random.below(5) == 0 ? 5000 : 50);
      for (uint64_t k = 0; k < count; ++k) input.push_back("k" + std::to_string(random.below(300)));
      const auto admitted = co_await b.store->admit(100'000);
      EXPECT_TRUE(admitted);
      b.produce("in", input);
      co_await settled(*b.host, *b.store);
    }
    end = b.log("in").log_end().value();
  });
  const deployment first = live_one.with(replay("r", {}, end)).value();
  const deployment both = first.with(replay("s", {}, end)).value();
  live(topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    expect_finished(b, "r", end);
  });
  // The second one is interrupted again and again, and has company.
  uint64_t crashes = 0;
  for (uint64_t n = 1; n <= 200; ++n) {
    disk_->crash_at(disk_->change_count() + 5 + n);
    {
      runtime::sim_world world(n, {.shards = 1, .disk = disk_});
      world.run(disturbed(topics, both));
    }
    if (!disk_->has_crashed()) break;
    ++crashes;
    disk_ = n % 2 == 0 ? disk_->after_kill(n) : disk_->after_power_cut(n);
  }
  EXPECT_GT(crashes, 3u);
  const deployment all = both.with(replay("t", {}, end, isolation::thread))
                             .value()
                             .with(replay("u", {}, end, isolation::process))
                             .value();
  live(topics, all, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    for (const std::string name : {"s", "t", "u"}) expect_finished(b, name, end);
    const auto r = co_await batches_of(*b.store, "in.counts.r");
    const auto s = co_await batches_of(*b.store, "in.counts.s");
    EXPECT_GT(r.size(), 20u);
    EXPECT_TRUE(r == s);
    EXPECT_TRUE(r == co_await batches_of(*b.store, "in.counts.t"));
    EXPECT_TRUE(r == co_await batches_of(*b.store, "in.counts.u"));
    const auto derived = co_await all_of(b, "in.counts");
    EXPECT_EQ(co_await all_of(b, "in.counts.r"), values(derived.begin(), derived.begin() + end));
  });
}

}  // namespace
}  // namespace millrace::processors

int main(int argc, char** argv) {
  if (millrace::processors::kit::is_guest(argc, argv, millrace::processors::codes())) return 0;
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
