// What shard_host does with one thing at a time, on a store over a simulated disk.
#include "processors/host/shard_host.h"

#include "tests/processors/host_bench.h"

namespace millrace::processors {
namespace {

using namespace kit;
using shard_host_test = host_test;

TEST_F(shard_host_test, a_batch_is_processed_in_the_frame_it_arrives_in) {
  const deployment what = sorting_deployment();
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    const lsn frame = b.produce("in", {"1", "2", "3", "9", "11"});
    // Nothing else has run: the outputs, the chain's too, are in the open frame with their input.
    EXPECT_EQ(b.store->open_lsn(b.log("in")), frame);
    EXPECT_EQ(b.log("in.threes").log_end().value(), 3);
    EXPECT_EQ(b.log("in.rest").log_end().value(), 2);
    EXPECT_EQ(b.log("in.rest.marked").log_end().value(), 2);
    EXPECT_EQ(b.log("in.threes").high_watermark().value(), 0);
    EXPECT_EQ(b.status("sorter").cursor, 5);
    const auto durable = co_await b.store->wait_durable(frame);
    EXPECT_TRUE(durable);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"3", "9", "9 again:yes"}));
    EXPECT_EQ(co_await all_of(b, "in.rest.marked"), (values{"m1", "m2"}));
    EXPECT_EQ(b.status("sorter").counters.inline_calls, 1u);
    EXPECT_EQ(b.status("sorter").counters.late_calls, 0u);
  });
}

TEST_F(shard_host_test, a_new_processor_starts_at_the_earliest_record_or_at_the_latest) {
  const deployment none;
  live(sorting_topics, none, [](bench& b) -> task<void> {
    b.host->start();
    const auto durable = co_await b.store->wait_durable(b.produce("in", {"1", "3"}));
    EXPECT_TRUE(durable);
  });
  const deployment latest = sorting_deployment({}, {}, start_position::latest);
  const auto before = disk_->after_kill(1);
  live(sorting_topics, latest, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"6"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), values{"6"});
  });
  disk_ = before->after_kill(1);
  const deployment earliest = sorting_deployment();
  live(sorting_topics, earliest, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"6"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"3", "6"}));
    EXPECT_GT(b.status("sorter").counters.late_calls, 0u);
  });
  // And once more: nothing is processed twice.
  live(sorting_topics, earliest, [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"3", "6"}));
    EXPECT_EQ(b.status("sorter").counters.records_in, 0u);
  });
}

TEST_F(shard_host_test, a_new_processor_starts_at_an_offset_or_a_time) {
  live(sorting_topics, {}, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"3", "6", "12", "15"});  // at 1000 ms and the three that follow
    const auto durable = co_await b.store->wait_durable(b.produce("in", {"21", "24"}));
    EXPECT_TRUE(durable);
  });
  const auto before = disk_->after_kill(1);
  using enum start_position::kind;
  const std::vector<std::pair<start_position, values>> cases{
      {{offset, 2}, {"12", "15", "21", "24", "30"}},
      {{offset, 5}, {"24", "30"}},
      {{offset, 700}, {"30"}},  // there are fewer: at the end
      {{time, 0}, {"3", "6", "12", "15", "21", "24", "30"}},
      {{time, 1002}, {"12", "15", "21", "24", "30"}},
      {{time, 5000}, {"30"}}};  // none is that young
  for (const auto& [start, expected] : cases) {
    disk_ = before->after_kill(1);
    const deployment what = sorting_deployment({}, {}, start);
    live(sorting_topics, what, [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      b.produce("in", {"30"});
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "in.threes"), expected) << int(start.from) << " " << start.at;
    });
    live(sorting_topics, what, [&](bench& b) -> task<void> {
      b.host->start();
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "in.threes"), expected);
      EXPECT_EQ(b.status("sorter").counters.records_in, 0u);
    });
  }
}

// An output that comes late, a pause and a restart in between are nothing to the position.
TEST_F(shard_host_test, latest_is_the_moment_of_the_deployment) {
  const deployment latest = sorting_deployment({}, {}, start_position::latest);
  live({"in", "in.rest", "in.rest.marked"}, {}, [&](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"3"});
    co_await b.host->adopt(latest);
    const auto durable = co_await b.store->wait_durable(b.produce("in", {"6"}));
    EXPECT_TRUE(durable);
    EXPECT_EQ(b.status("sorter").state, flow_state::waiting);
  });
  live(sorting_topics, latest, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"9"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"6", "9", "9 again:yes"}));
  });
}

TEST_F(shard_host_test, large_batches_are_processed_in_later_frames_and_nothing_overtakes) {
  const deployment what = sorting_deployment();
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    values many;
    for (int i = 1; i <= 60'000; ++i) many.push_back(std::to_string(i));
    protocol::batch_options zipped;
    zipped.compression = protocol::codec::zstd;
    b.produce("in", many, zipped);
    EXPECT_EQ(b.status("sorter").state, flow_state::lagging);
    b.produce("in", {"60001"});
    many.push_back("60001");
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.rest"), expected_of("in.rest", many));
    EXPECT_EQ(co_await all_of(b, "in.rest.marked"), expected_of("in.rest.marked", many));
    EXPECT_EQ(b.status("sorter").state, flow_state::running);
    // From here on inline again.
    const uint64_t late = b.status("sorter").counters.late_calls;
    b.produce("in", {"60002"});
    EXPECT_EQ(b.status("sorter").counters.late_calls, late);
    EXPECT_EQ(b.status("sorter").cursor, 60'002);
  });
}

TEST_F(shard_host_test, a_failing_record_pauses_and_leaves_nothing) {
  const deployment what = sorting_deployment({{"poison", "5"}});
  const auto body = [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    if (b.log("in").log_end().value() == 0) b.produce("in", {"3", "4", "5", "6"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), values{"3"});
    EXPECT_EQ(co_await all_of(b, "in.rest"), values{"4"});
    EXPECT_EQ(co_await all_of(b, "in"), (values{"3", "4", "5", "6"}));
    const flow_status s = b.status("sorter");
    EXPECT_EQ(s.state, flow_state::paused);
    EXPECT_EQ(s.why_paused, "the record at offset 2 failed: poison");
    EXPECT_EQ(s.cursor, 2);
    EXPECT_EQ(s.lag, 2);
  };
  live(sorting_topics, what, body);
  live(sorting_topics, what, body);  // a restart tries again, and pauses again
  // The next version copes.
  const deployment mended = sorting_deployment();
  live(sorting_topics, mended, [](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"3", "6"}));
    EXPECT_EQ(co_await all_of(b, "in.rest"), (values{"4", "5"}));
  });
}

TEST_F(shard_host_test, a_failing_record_is_skipped_and_counted) {
  const deployment what = sorting_deployment({{"poison", "5"}}, error_policy::skip);
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"3", "4", "5", "6", "5"});
    b.produce("in", {"5"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), (values{"3", "6"}));
    EXPECT_EQ(b.status("sorter").counters.records_skipped, 3u);
    EXPECT_EQ(b.status("sorter").state, flow_state::running);
    EXPECT_EQ(b.status("sorter").cursor, 6);
  });
}

TEST_F(shard_host_test, duplicates_of_an_idempotent_producer_are_processed_once) {
  const deployment what = sorting_deployment();
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    protocol::batch_options options;
    options.producer_id = 7;
    options.producer_epoch = 0;
    options.base_sequence = 0;
    b.produce("in", {"3"}, options);
    b.produce("in", {"3"}, options);
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in"), values{"3"});
    EXPECT_EQ(co_await all_of(b, "in.threes"), values{"3"});
  });
}

TEST_F(shard_host_test, outputs_may_come_later_than_their_input) {
  const deployment what = sorting_deployment();
  live({"in"}, what, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"1", "3"});
    EXPECT_EQ(b.status("sorter").state, flow_state::waiting);
    for (const std::string& topic : sorting_topics) {
      if (topic == "in") continue;
      const auto made = b.store->create(partition_spec_of(topic, 0));
      EXPECT_TRUE(made);
      b.host->partition_opened(**made);
    }
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.threes"), values{"3"});
    EXPECT_EQ(co_await all_of(b, "in.rest.marked"), values{"m1"});
  });
}

TEST_F(shard_host_test, deleted_topics_pause_or_end_flows) {
  const deployment what = sorting_deployment();
  live(sorting_topics, what, [](bench& b) -> task<void> {
    b.host->start();
    b.produce("in", {"1"});
    co_await settled(*b.host, *b.store);
    b.host->partition_removed(id_of("in.threes", 0));
    const auto removed = co_await b.store->remove(id_of("in.threes", 0));
    EXPECT_TRUE(removed);
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_EQ(b.status("sorter").why_paused, "an output topic was deleted");
    b.produce("in", {"2"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.rest"), values{"1"});

    b.host->partition_removed(id_of("in", 0));
    const auto removed_too = co_await b.store->remove(id_of("in", 0));
    EXPECT_TRUE(removed_too);
    EXPECT_EQ(b.status("sorter").processor, "");
    EXPECT_EQ(b.status("marker").state, flow_state::running);
  });
}

TEST_F(shard_host_test, topics_of_a_weaker_durability_are_processed_when_all_agree) {
  const deployment what = sorting_deployment();
  for (const auto kept : {storage::durability::os, storage::durability::memory}) {
    disk_ = std::make_shared<runtime::sim_disk>(3);
    disk_->put_directory("/data");
    live({}, what, [kept](bench& b) -> task<void> {
      b.host->start();
      for (const std::string& topic : sorting_topics) {
        storage::partition_spec spec = partition_spec_of(topic, 0);
        spec.config.durability = kept;
        const auto made = b.store->create(spec);
        EXPECT_TRUE(made);
        if (made) b.host->partition_opened(**made);
      }
      const lsn frame = b.produce("in", {"1", "2", "3"});
      EXPECT_EQ(storage::lane_of(b.store->open_lsn(b.log("in"))), storage::lane::unsynced);
      EXPECT_EQ(frame == lsn(0), kept == storage::durability::memory);
      EXPECT_EQ(b.log("in.rest").high_watermark().value(), kept == storage::durability::memory ? 2 : 0);
      co_await settled(*b.host, *b.store);
      EXPECT_EQ(co_await all_of(b, "in.threes"), values{"3"});
      EXPECT_EQ(co_await all_of(b, "in.rest"), (values{"1", "2"}));
    });
  }
}

TEST_F(shard_host_test, what_cannot_keep_the_promise_does_not_start) {
  const deployment what = sorting_deployment();
  live({}, what, [](bench& b) -> task<void> {
    b.host->start();
    for (const std::string& topic : sorting_topics) {
      storage::partition_spec spec = partition_spec_of(topic, 0);
      if (topic == "in.rest") spec.config.durability = storage::durability::os;
      const auto made = b.store->create(spec);
      EXPECT_TRUE(made);
      if (made) b.host->partition_opened(**made);
    }
    EXPECT_EQ(b.status("sorter").state, flow_state::paused);
    EXPECT_NE(b.status("sorter").why_paused.find("must be equal"), std::string::npos)
        << b.status("sorter").why_paused;
    co_return;
  });
}

TEST_F(shard_host_test, large_outputs_are_spread_over_frames) {
  const auto code = code_of<inflater_traits>();
  processor_spec spec = spec_for(*code, "inflater", "in", {{"times", "3"}, {"bytes", "400000"}});
  const deployment what = deployment::assemble({spec}, {code}).value();
  live({"in", "in.large"}, what, [](bench& b) -> task<void> {
    b.host->start();
    values input;
    for (int i = 0; i < 12; ++i) input.push_back(std::to_string(i));
    const lsn frame = b.produce("in", input);
    EXPECT_EQ(b.status("inflater").state, flow_state::lagging);
    EXPECT_EQ(b.store->open_lsn(b.log("in")), frame);
    co_await settled(*b.host, *b.store);
    EXPECT_GT(b.store->open_lsn(b.log("in")), frame.next());
    EXPECT_EQ(b.log("in.large").log_end().value(), 36);
    EXPECT_EQ(b.status("inflater").state, flow_state::running);
  });
}

TEST_F(shard_host_test, outputs_larger_than_any_frame_fail_their_record) {
  const auto code = code_of<inflater_traits>();
  processor_spec spec = spec_for(*code, "inflater", "in", {{"times", "9"}, {"bytes", "200000"}});
  spec.on_error = error_policy::skip;
  const deployment what = deployment::assemble({spec}, {code}).value();
  storage::store_options options = small_store();
  options.frame_bytes_target = 512 * 1024;
  options.frame_bytes_max = 1024 * 1024;
  live(
      {"in", "in.large"}, what,
      [](bench& b) -> task<void> {
        b.host->start();
        b.produce("in", {"1", "2"});
        co_await settled(*b.host, *b.store);
        EXPECT_EQ(b.log("in.large").log_end().value(), 0);
        EXPECT_EQ(b.status("inflater").counters.records_skipped, 2u);
      },
      options);
}

}  // namespace
}  // namespace millrace::processors
