// Processors that are replaced, paused, resumed and removed while records come, on a store over a simulated
// disk: what is derived equals what an undisturbed run would derive.
#include "tests/processors/guest_kit.h"
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;

const std::vector<std::string> counter_topics{"in", "in.counts", "c-counts-changelog", "c-meta-changelog"};

deployed_processor counter(std::map<std::string, std::string> options = {}) {
  const auto code = code_of<counter_traits>();
  return deployment::prepare(spec_for(*code, "c", "in", std::move(options)), code).value();
}

deployed_processor counter_of_next_version() {
  const auto code = code_of<counter_of_next_version_traits>();
  return deployment::prepare(spec_for(*code, "c", "in"), code).value();
}

const code_list& codes() {
  static const code_list all{code_of<hash_counter_traits>()};
  return all;
}

deployed_processor hash_counter_on(const std::string& input = "in", isolation how = isolation::none) {
  const auto& code = codes()[0];
  processor_spec spec = spec_for(*code, "c", input);
  spec.isolated = how;
  return deployment::prepare(std::move(spec), how == isolation::process ? elsewhere(code) : code).value();
}

deployment alone(deployed_processor p) {
  return deployment().with(std::move(p)).value();
}

deployed_processor held(deployed_processor p) {
  p.is_held = true;
  return p;
}

// A life whose disk may go at any moment.
task<void> migrate_and_stop() {
  std::vector<storage::partition_spec> specs;
  for (const std::string& topic : counter_topics) specs.push_back(partition_spec_of(topic, 0));
  auto opened = co_await open_store(small_store(), std::move(specs));
  if (!opened) co_return;
  const deployment what = alone(hash_counter_on());
  shard_host host(what, **opened);
  host.start();
  co_await settled(host, **opened);
  co_await host.close();
  static_cast<void>(co_await (*opened)->close());
}

class adopt_test : public host_test {
 protected:
  adopt_test() {
    host_.state_directory = "/data/state";
    host_.snapshot_after_bytes = 200;  // often, so that they are under way when a flow ends
  }
};

TEST_F(adopt_test, another_version_goes_on_where_the_first_one_stood_with_its_state) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    deployment now = first;
    for (int round = 0; round < 20; ++round) {
      const values input{"a", "b", "a", "k" + std::to_string(round), "b=forget"};
      b.produce("in", input);
      for (const std::string& line : counted(input, state)) out.push_back(line);
      now = now.with(counter()).value();
      co_await b.host->adopt(now);
      EXPECT_EQ(b.status("c").state, flow_state::running);
      EXPECT_EQ(b.status("c").cursor, 5 * (round + 1));
    }
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(b.status("c").counters.records_restored, 0u);  // the state never left memory
    EXPECT_EQ(b.status("c").counters.records_in, 100u);
  });
  live(counter_topics, alone(counter()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
  });
}

TEST_F(adopt_test, a_version_with_other_state_pauses_and_the_first_one_comes_back) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const values input{"a", "b", "a"};
    values out = counted(input, state);
    b.produce("in", input);
    co_await b.host->adopt(first.with(counter_of_next_version()).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_NE(b.status("c").why_paused.find("version"), std::string::npos) << b.status("c").why_paused;
    b.produce("in", input);
    co_await b.host->adopt(first.with(counter()).value());
    co_await settled(*b.host, *b.store);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
}

std::map<std::string, std::string> as_hashes(const std::map<std::string, int64_t>& counts) {
  std::map<std::string, std::string> texts;
  for (const auto& [key, count] : counts) texts[key] = "#" + std::to_string(count);
  return texts;
}

// A migration, wherever the library that makes it runs.
class migration_test : public adopt_test, public testing::WithParamInterface<isolation> {};

INSTANTIATE_TEST_SUITE_P(isolations, migration_test,
                         testing::Values(isolation::none, isolation::thread, isolation::process),
                         [](const auto& info) { return std::string(name_of(info.param)); });

TEST_P(migration_test, a_version_that_migrates_takes_over_the_state) {
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, alone(counter()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    values input{"a", "b", "a", "old1", "old2"};
    for (int i = 0; i < 1000; ++i) input.push_back("k" + std::to_string(i));
    out = counted(input, state);
    b.produce("in", input);
    co_await b.host->adopt(alone(hash_counter_on("in", GetParam())));
    b.produce("in", {"b"});  // while it migrates
    co_await settled(*b.host, *b.store);
    state.erase("old1");
    state.erase("old2");
    for (const std::string& line : counted({"b"}, state)) out.push_back(line);
    EXPECT_EQ(b.status("c").state, flow_state::running) << b.status("c").why_paused;
    EXPECT_EQ(b.status("c").state_version, 3u);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_hashes(state));
    // The way back is none.
    co_await b.host->adopt(alone(counter()));
    co_await settled(*b.host, *b.store);
    EXPECT_NE(b.status("c").why_paused.find("its state has version 3"), std::string::npos);
  });
  live(counter_topics, alone(hash_counter_on("in", GetParam())), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    for (const std::string& line : counted({"a"}, state)) out.push_back(line);
    b.produce("in", {"a"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_hashes(state));
  });
}

TEST_P(migration_test, a_migration_that_fails_changes_nothing) {
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, alone(counter()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const values input{"a", "old", "unfit", "z", "a"};
    out = counted(input, state);
    b.produce("in", input);
    co_await b.host->adopt(alone(hash_counter_on("in", GetParam())));
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_EQ(b.status("c").why_paused,
              "its state cannot be migrated from version 1 to 3: store counts, key \"unfit\": unfit");
    EXPECT_EQ(b.status("c").state_version, 1u);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
    b.produce("in", {"a"});
    co_await b.host->adopt(alone(counter()));
    co_await settled(*b.host, *b.store);
    for (const std::string& line : counted({"a"}, state)) out.push_back(line);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
  });
}

// A process that dies of an entry is tried with again; nobody else is harmed, and nothing is changed.
TEST_F(adopt_test, a_migration_that_its_process_dies_of_changes_nothing) {
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, alone(counter()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    out = counted({"a", "fatal", "a"}, state);
    b.produce("in", {"a", "fatal", "a"});
    co_await b.host->adopt(alone(hash_counter_on("in", isolation::process)));
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_EQ(
        b.status("c").why_paused,
        "its state cannot be migrated from version 1 to 3: store counts, key \"fatal\": it crashed with "
        "SIGABRT");
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
    co_await b.host->adopt(alone(counter()));
    b.produce("in", {"a"});
    for (const std::string& line : counted({"a"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
}

// Wherever the power goes while it migrates: all of it is there, or nothing.
TEST_F(adopt_test, a_migration_survives_crashes_whole_or_not_at_all) {
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, alone(counter()), [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    values input;
    for (int i = 0; i < 400; ++i) input.push_back("k" + std::to_string(i % 300));
    out = counted(input, state);
    const auto durable = co_await b.store->wait_durable(b.produce("in", input));
    EXPECT_TRUE(durable);
  });
  const auto before = disk_;
  int whole = 0;
  for (uint64_t cut = 1; cut <= 200; ++cut) {
    disk_ = before->after_kill(cut);
    disk_->crash_at(disk_->change_count() + cut);
    {
      runtime::sim_world world(cut, {.shards = 1, .disk = disk_});
      world.run(migrate_and_stop());
    }
    const bool has_crashed = disk_->has_crashed();
    disk_ = disk_->after_power_cut(cut);
    live(counter_topics, {}, [&](bench& b) -> task<void> {
      b.host->start();
      const auto folded = co_await fold(*b.store, id_of("c-counts-changelog", 0));
      const auto meta = co_await fold(*b.store, id_of("c-meta-changelog", 0));
      const bool is_new = meta.at("state_version") == "3";
      whole += is_new;
      EXPECT_EQ(folded, is_new ? as_hashes(state) : as_texts(state)) << cut;
      EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    });
    if (!has_crashed) break;
  }
  EXPECT_GT(whole, 0);
}

TEST_F(adopt_test, a_failed_record_is_tried_again_by_the_next_version) {
  const auto code = code_of<sorter_traits>();
  const auto sorter = [&](const char* poison) {
    return deployment::prepare(spec_for(*code, "sorter", "in", {{"poison", poison}}), code).value();
  };
  const deployment first = alone(sorter("4"));
  live({"in", "in.threes", "in.rest"}, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const values input{"1", "2", "3", "4", "5", "6"};
    b.produce("in", input);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_EQ(b.status("sorter").cursor, 3);
    // The same again meets the same record again.
    co_await b.host->adopt(first.with(sorter("4")).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_EQ(b.status("sorter").cursor, 3);
    co_await b.host->adopt(first.with(sorter("99")).value());
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.rest"), expected_of("in.rest", input));
    EXPECT_EQ(co_await all_of(b, "in.threes"), expected_of("in.threes", input));
  });
}

TEST_F(adopt_test, what_is_held_waits_and_then_catches_up) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  values out;
  const values input{"a", "b", "a"};
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", input);
    const deployment holding = first.with(held(counter())).value();
    co_await b.host->adopt(holding);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    b.produce("in", input);
    b.produce("in", input);
    EXPECT_EQ(b.status("c").cursor, 3);
    EXPECT_EQ(b.status("c").lag, 6);
    co_await b.host->adopt(first);
    co_await settled(*b.host, *b.store);
    for (int i = 0; i < 3; ++i)
      for (const std::string& line : counted(input, state)) out.push_back(line);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(b.status("c").counters.records_restored, 0u);
  });
  // Held from the start: the state is read when it is let go.
  live(counter_topics, alone(held(counter())), [&](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", input);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_EQ(b.status("c").cursor, 9);
    co_await b.host->adopt(first);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
}

TEST_F(adopt_test, what_is_removed_ends_and_its_position_stays_until_it_is_forgotten) {
  const deployment first = alone(counter());
  std::map<std::string, int64_t> state;
  const values input{"a", "b", "a"};
  values out = counted(input, state);
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", input);
    co_await b.host->adopt({});
    EXPECT_TRUE(b.host->status().empty());
    b.produce("in", input);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    co_await b.host->adopt(first);
    co_await settled(*b.host, *b.store);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);

    co_await b.host->adopt({});
    co_await b.host->forget("c");
    EXPECT_TRUE(b.store->cursors().empty());
  });
  // What was forgotten stays so: the changelogs without a position are of no use.
  live(counter_topics, first, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_NE(b.status("c").why_paused.find("which is new"), std::string::npos);
  });
}

TEST_F(adopt_test, an_added_processor_begins_with_what_is_there) {
  const auto code = code_of<sorter_traits>();
  live({"in", "in.threes", "in.rest", "in.counts", "c-counts-changelog", "c-meta-changelog"},
       alone(counter()), [&](bench& b) -> task<void> {
         b.host->start();
         co_await settled(*b.host, *b.store);
         const values input{"1", "2", "3"};
         b.produce("in", input);
         const auto sorter = deployment::prepare(spec_for(*code, "sorter", "in"), code).value();
         co_await b.host->adopt(alone(counter()).with(sorter).value());
         co_await settled(*b.host, *b.store);
         b.produce("in", {"4", "9"});
         EXPECT_EQ(co_await all_of(b, "in.rest"), expected_of("in.rest", input));
         co_await settled(*b.host, *b.store);
         EXPECT_EQ(co_await all_of(b, "in.threes"), expected_of("in.threes", {"1", "2", "3", "4", "9"}));
       });
}

}  // namespace
}  // namespace millrace::processors

int main(int argc, char** argv) {
  return millrace::processors::kit::run_tests(argc, argv, millrace::processors::codes());
}
