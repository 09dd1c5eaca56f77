// Processors with state on a store over a simulated disk: what they keep, where it is written down, what a
// restart brings back, and what stops them.
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;
using texts = std::map<std::string, std::string>;

const std::vector<std::string> counter_topics{"in", "in.counts", "c-counts-changelog", "c-meta-changelog"};
const std::vector<std::string> window_topics{"in", "in.closed", "in.late", "w-open-changelog",
                                             "w-meta-changelog"};

template <class Traits>
deployment deploy(std::string name, std::map<std::string, std::string> options = {},
                  const std::function<void(processor_spec&)>& change = {}) {
  const auto code = code_of<Traits>();
  processor_spec spec = spec_for(*code, std::move(name), "in", std::move(options));
  if (change) change(spec);
  return deployment::assemble({spec}, {code}).value();
}

// A batch of records with these timestamps; each value is its timestamp.
protocol::checked_batch timed(const std::vector<int64_t>& times) {
  protocol::batch_builder builder;
  for (const int64_t t : times) builder.add(t, as_bytes("k"), as_bytes(std::to_string(t)));
  protocol::batch_rules rules;
  rules.now_ms = 1'700'000'000'000;
  return protocol::check_produced_batch(builder.build({}), rules).value();
}

class stateful_test : public host_test {
 protected:
  stateful_test() {
    host_.state_directory = "/data/state";
    host_.snapshot_after_bytes = UINT64_MAX;
  }
};

TEST_F(stateful_test, state_is_kept_and_its_changelog_says_it) {
  const deployment what = deploy<counter_traits>("c");
  values out;
  std::map<std::string, int64_t> state;
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const values input{"a", "b", "a", "b=forget", "c"};
    out = counted(input, state);
    const lsn frame = b.produce("in", input);
    // Outputs, changes and positions are in the frame of the input.
    EXPECT_EQ(b.store->open_lsn(b.log("in")), frame);
    EXPECT_EQ(b.log("in.counts").log_end().value(), 5);
    EXPECT_EQ(b.log("c-counts-changelog").log_end().value(), 2);  // b is as it was
    const auto durable = co_await b.store->wait_durable(frame);
    EXPECT_TRUE(durable);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
    EXPECT_EQ(co_await fold(*b.store, id_of("c-meta-changelog", 0)), (texts{{"state_version", "1"}}));
    EXPECT_EQ(b.status("c").metrics.at("processed"), 5);
    EXPECT_EQ(b.status("c").state_entries, 3u);
  });
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    EXPECT_EQ(b.status("c").state, flow_state::restoring);
    const values input{"a", "c", "b"};
    b.produce("in", input);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), as_texts(state));
    EXPECT_EQ(b.status("c").counters.records_restored, 3u);
  });
}

TEST_F(stateful_test, a_failed_record_changes_nothing) {
  const deployment what =
      deploy<counter_traits>("c", {}, [](processor_spec& s) { s.on_error = error_policy::skip; });
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a", "a=poison", "a", "b=poison"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), (values{"a:1", "a:2"}));
    EXPECT_EQ(co_await fold(*b.store, id_of("c-counts-changelog", 0)), (texts{{"a", "2"}}));
    EXPECT_EQ(b.status("c").counters.records_skipped, 2u);
  });
}

TEST_F(stateful_test, timers_fire_by_the_time_of_records_whatever_the_batches) {
  const deployment what = deploy<windows_traits>("w");
  const std::vector<int64_t> times{10, 50, 120, 90, 130, 260, 199, 200, 1000};
  const values closed{"0:2", "100:2", "200:2"};
  // 90 comes when 100 has passed, 199 when 260 has.
  for (size_t split = 1; split <= times.size(); ++split) {
    disk_ = std::make_shared<runtime::sim_disk>(split);
    const auto produce_part = [&](bench& b, size_t from, size_t to) {
      for (size_t at = from; at < to; at += split) {
        const auto done = b.store->append(
            b.log("in"),
            timed({times.begin() + int64_t(at), times.begin() + int64_t(std::min(to, at + split))}),
            storage::append_origin::client);
        EXPECT_TRUE(done);
      }
    };
    live(window_topics, what, [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      produce_part(b, 0, 5);
      co_await settled(*b.host, *b.store);
    });
    live(window_topics, what, [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      produce_part(b, 5, times.size());
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "in.closed"), closed) << split;
      EXPECT_EQ(co_await all_of(b, "in.late"), (values{"90", "199"})) << split;
      const texts meta = co_await fold(*b.store, id_of("w-meta-changelog", 0));
      EXPECT_EQ(meta.at("watermark"), "1000");
      EXPECT_EQ(meta.count("timer 0000000000000001100 1000"), 1u);
      EXPECT_EQ(meta.size(), 3u);
    });
  }
}

TEST_F(stateful_test, a_timer_that_fails_is_dropped_or_stops_the_processor) {
  for (const bool is_skipped : {true, false}) {
    disk_ = std::make_shared<runtime::sim_disk>(1);
    const deployment what = deploy<windows_traits>("w", {{"poison", "100"}}, [&](processor_spec& s) {
      s.on_error = is_skipped ? error_policy::skip : error_policy::pause;
    });
    live(window_topics, what, [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      const auto done =
          b.store->append(b.log("in"), timed({10, 120, 300, 500}), storage::append_origin::client);
      EXPECT_TRUE(done);
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "in.closed"), is_skipped ? (values{"0:1", "300:1"}) : values{"0:1"});
      EXPECT_EQ(b.status("w").counters.timers_dropped, is_skipped ? 1u : 0u);
      EXPECT_EQ(b.status("w").counters.records_skipped, 0u);
      EXPECT_EQ(b.status("w").cursor, is_skipped ? 4 : 2);
      if (!is_skipped) {
        EXPECT_EQ(
            b.status("w").why_paused,
            "the timer 100 at 200 ms, due at the record at offset 2, failed: a window that cannot be closed");
      }
    });
  }
}

TEST_F(stateful_test, a_snapshot_bounds_what_a_start_reads) {
  const deployment what = deploy<counter_traits>("c", {{"padding", "100"}});
  host_.snapshot_after_bytes = 20'000;
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    for (int i = 0; i < 300; ++i) {
      const values input{"k" + std::to_string(i % 7), "k" + std::to_string(i % 20)};
      for (const std::string& line : counted(input, state)) out.push_back(line);
      const auto durable = co_await b.store->wait_durable(b.produce("in", input));
      EXPECT_TRUE(durable);
    }
    co_await settled(*b.host, *b.store);
    EXPECT_GE(b.status("c").counters.snapshots, 2u);
  });
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_LT(b.status("c").counters.records_restored, 300u);
    EXPECT_GT(b.log("c-counts-changelog").log_end().value(), 500);
    const values input{"k1", "k19", "new"};
    b.produce("in", input);
    for (const std::string& line : counted(input, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
  // A damaged snapshot is as good as none.
  live(counter_topics, what, [&](bench& b) -> task<void> {
    const std::string path =
        "/data/state/" + (co_await runtime::fs::list_directory("/data/state")).value().at(0).name;
    slice bytes = (co_await runtime::fs::read_file(path, 1 << 30)).value();
    std::vector<std::byte> damaged(bytes.data(), bytes.data() + bytes.size());
    damaged[damaged.size() / 2] ^= std::byte{1};
    const auto replaced = co_await runtime::fs::replace_file(path, damaged);
    EXPECT_TRUE(replaced);
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_GT(b.status("c").counters.records_restored, 500u);
    b.produce("in", {"k1"});
    for (const std::string& line : counted({"k1"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
}

// A key's deletion may be gone from what comes behind it.
TEST_F(stateful_test, a_snapshot_older_than_what_was_compacted_is_not_used) {
  const deployment what = deploy<counter_traits>("c", {{"padding", "100"}});
  host_.snapshot_after_bytes = 20'000;
  std::map<std::string, int64_t> state;
  values out;
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    for (int i = 0; i < 300; ++i) {
      const values input{"k" + std::to_string(i % 7)};
      for (const std::string& line : counted(input, state)) out.push_back(line);
      const auto durable = co_await b.store->wait_durable(b.produce("in", input));
      EXPECT_TRUE(durable);
    }
    co_await settled(*b.host, *b.store);
    EXPECT_GE(b.status("c").counters.snapshots, 1u);
  });
  live(counter_topics, what, [&](bench& b) -> task<void> {
    storage::partition_log& changes = b.log("c-counts-changelog");
    changes.set_cleaned_to(changes.log_end());
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_GE(b.status("c").counters.records_restored, 300u);
    b.produce("in", {"k1", "new"});
    for (const std::string& line : counted({"k1", "new"}, state)) out.push_back(line);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), out);
  });
}

TEST_F(stateful_test, state_beyond_its_limit_pauses_its_processor_and_nothing_else) {
  const deployment what = deploy<counter_traits>("c", {{"padding", "1000"}}, [](processor_spec& s) {
    s.state_bytes_max = 10'000;
    s.on_error = error_policy::skip;
  });
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    values input;
    for (int i = 0; i < 30; ++i) input.push_back(std::to_string(i));
    b.produce("in", input);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    EXPECT_EQ(b.status("c").why_paused,
              "the record at offset 8 failed: the processor's state has reached state_bytes_max = 10000");
    EXPECT_EQ(b.log("in.counts").log_end().value(), 8);
    const lsn frame = b.produce("in", {"x"});  // the input stays open
    const auto durable = co_await b.store->wait_durable(frame);
    EXPECT_TRUE(durable);
  });
}

TEST_F(stateful_test, state_that_is_not_what_it_should_be_is_not_used) {
  const deployment what = deploy<counter_traits>("c");
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"a"});
    co_await settled(*b.host, *b.store);
  });
  const auto before = disk_;
  const auto paused_because = [&](const deployment& d, const std::vector<std::string>& topics,
                                  const std::string& why, std::function<void(bench&)> prepare = {}) {
    disk_ = before->after_kill(1);
    live(topics, d, [&](bench& b) -> task<void> {
      if (prepare) prepare(b);
      b.host->start();
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(b.status("c").state, flow_state::paused);
      EXPECT_NE(b.status("c").why_paused.find(why), std::string::npos) << b.status("c").why_paused;
    });
  };
  paused_because(what, counter_topics, "somebody else wrote to it",
                 [](bench& b) { b.produce("c-counts-changelog", {"foreign"}); });
  paused_because(deploy<counter_of_next_version_traits>("c"), counter_topics,
                 "its state has version 1, and this library keeps version 2");
  // The changelog was deleted, and a new one made: another topic of the same name.
  disk_ = before->after_kill(1);
  live({"in", "in.counts", "c-meta-changelog"}, what, [&](bench& b) -> task<void> {
    storage::partition_spec again = partition_spec_of("c-counts-changelog", 0);
    again.id = id_of("c-counts-changelog made again", 0);
    const auto made = b.store->create(again);
    EXPECT_TRUE(made);
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(b.status("c").why_paused, "its state is lost: one of its changelogs was deleted");
  });
  // And so was the input.
  disk_ = before->after_kill(1);
  live({"in.counts", "c-counts-changelog", "c-meta-changelog"}, what, [&](bench& b) -> task<void> {
    storage::partition_spec again = partition_spec_of("in", 0);
    again.id = id_of("in made again", 0);
    const auto made = b.store->create(again);
    EXPECT_TRUE(made);
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_NE(b.status("c").why_paused.find("state that is not of this input, which is new"),
              std::string::npos)
        << b.status("c").why_paused;
  });
}

TEST_F(stateful_test, a_deleted_changelog_pauses_its_processor) {
  const deployment what = deploy<counter_traits>("c");
  live(counter_topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    b.produce("in", {"a"});
    b.host->partition_removed(id_of("c-counts-changelog", 0));
    EXPECT_EQ(b.status("c").state, flow_state::paused);
    co_await settled(*b.host, *b.store);
  });
}

}  // namespace
}  // namespace millrace::processors
