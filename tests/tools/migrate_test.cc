// The pieces of import and export: Kafka's small files, and the reading of partitions good and bad.
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "protocol/batch_builder.h"
#include "storage/import_manifest.h"
#include "storage/layout.h"
#include "tests/temporary_directory.h"
#include "tools/migrate/cluster_metadata.h"
#include "tools/migrate/import.h"
#include "tools/migrate/kafka_logs.h"
#include "tools/migrate/partition_scan.h"

namespace millrace::tools {
namespace {

namespace fs = std::filesystem;

class migrate : public ::testing::Test {
 protected:
  migrate() {
    fs::create_directory(path_ / "kafka");
    fs::create_directory(path_ / "data");
    write("kafka/meta.properties", "version=1\n");
    write("kafka/.kafka_cleanshutdown", "");
  }

  void write(const std::string& name, std::string_view bytes) const {
    fs::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }
  std::string read(const std::string& name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string at(const std::string& name) const { return (path_ / name).string(); }
  kafka_partition partition() const {
    return {
        .topic = "t", .partition = 0, .directory = at("kafka/t-0"), .log_dir = at("kafka"), .topic_id = {}};
  }

 private:
  const temporary_directory directory_;
  const fs::path path_ = directory_.path();
};

struct batch_shape {
  int64_t at;
  int records = 1;
  int64_t producer = -1;
  int32_t sequence = -1;
  bool is_transactional = false;
  int32_t epoch = 2;
};

std::string batch(const batch_shape& s) {
  protocol::batch_builder builder;
  for (int i = 0; i < s.records; ++i) builder.add(1000 + s.at + i, as_bytes("key"), as_bytes("value"));
  protocol::batch_options options;
  options.base_offset = s.at;
  options.leader_epoch = s.epoch;
  options.producer_id = s.producer;
  options.producer_epoch = s.producer < 0 ? -1 : 0;
  options.base_sequence = s.sequence;
  if (s.is_transactional) options.attributes = protocol::batch_attributes::transactional;
  const slice built = builder.build(options);
  return std::string(as_text(built.view()));
}

std::string marker(int64_t at, int64_t producer, bool is_commit) {
  protocol::batch_builder builder;
  const char key[] = {0, 0, 0, static_cast<char>(is_commit ? 1 : 0)};
  const char value[] = {0, 0, 0, 0, 0, 0};
  builder.add(1000 + at, as_bytes(std::string_view(key, sizeof(key))),
              as_bytes(std::string_view(value, sizeof(value))));
  protocol::batch_options options;
  options.base_offset = at;
  options.leader_epoch = 2;
  options.producer_id = producer;
  options.producer_epoch = 0;
  options.attributes = protocol::batch_attributes::transactional | protocol::batch_attributes::control;
  const slice built = builder.build(options);
  return std::string(as_text(built.view()));
}

constexpr const char* first_segment = "kafka/t-0/00000000000000000010.log";
constexpr const char* second_segment = "kafka/t-0/00000000000000000050.log";

TEST_F(migrate, offset_checkpoints_go_there_and_back) {
  const std::string text = "0\n2\na b 1 20\nt 0 7\n";
  const auto parsed = parse_offset_checkpoint(text, "file");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->at({"t", 0}), 7);
  EXPECT_EQ(parsed->at({"a b", 1}), 20);
  EXPECT_EQ(format_offset_checkpoint(*parsed), text);
  EXPECT_TRUE(parse_offset_checkpoint("", "file"));
  for (const char* wrong :
       {"1\n0\n", "0\n", "0\n1\n", "0\n1\nt 0\n", "0\n1\nt x 1\n", "0\n1\nt 0 \n", "0\n9\nt 0 1\n"})
    EXPECT_FALSE(parse_offset_checkpoint(wrong, "file")) << wrong;
}

TEST_F(migrate, leader_epochs_must_increase) {
  const auto good = parse_leader_epochs("0\n2\n1 0\n4 20\n");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->size(), 2u);
  EXPECT_FALSE(parse_leader_epochs("0\n2\n4 0\n1 20\n"));
  EXPECT_FALSE(parse_leader_epochs("0\n2\n1 20\n4 10\n"));
  EXPECT_FALSE(parse_leader_epochs("0\n2\n1 20\n"));
}

TEST_F(migrate, gaps_segments_epochs_and_producers_are_read) {
  write(first_segment, batch({12, 2}) + batch({20, 1, 77, 5}) + batch({30, 3, 77, 6}));
  write(second_segment, batch({.at = 51, .epoch = 4}));
  write("kafka/t-0/00000000000000000012.log.deleted", "rubbish");
  write("kafka/t-0/00000000000000000051.snapshot", "rubbish");
  write("kafka/t-0/00000000000000000010.index", std::string(1000, '\0'));
  const auto plan = scan_partition(partition(), {});
  ASSERT_TRUE(plan) << to_string(plan.error());
  const storage::checkpoint_partition& d = plan->described;
  EXPECT_EQ(d.log_start, offset(10));
  EXPECT_EQ(d.spilled_end, offset(52));
  ASSERT_EQ(d.segments.size(), 2u);
  EXPECT_EQ(d.segments[0].end, offset(33));
  EXPECT_EQ(d.segments[0].written, fs::file_size(at(first_segment)));
  EXPECT_EQ(d.segments[0].max_timestamp_ms, 1032);
  ASSERT_EQ(d.epochs.size(), 2u);
  EXPECT_EQ(d.epochs[1].start, offset(51));
  ASSERT_EQ(d.producers.size(), 1u);
  EXPECT_EQ(d.producers[0].second.newest().last_sequence, 8);
  EXPECT_EQ(plan->records, 7u);
  EXPECT_EQ(plan->producer_id_max, 77);
}

TEST_F(migrate, aborted_transactions_are_left_out_and_nothing_else) {
  const std::string aborted = batch({11, 2, 5, 0, true});
  const std::string committed = batch({13, 1, 6, 0, true});
  const std::string tail =
      marker(14, 5, false) + marker(15, 6, true) + batch({16, 1, 5, 2, true}) + marker(17, 5, true);
  write(first_segment, batch({10}) + aborted + committed + tail);
  const auto plan = scan_partition(partition(), {.leave_aborted_out = true, .on_progress = {}});
  ASSERT_TRUE(plan) << to_string(plan.error());
  EXPECT_EQ(plan->records_left_out, 2u);
  EXPECT_EQ(plan->records, 3u);
  EXPECT_TRUE(plan->open.empty());
  ASSERT_EQ(plan->aborted.size(), 1u);
  EXPECT_EQ(plan->aborted[0].first_offset, 11);
  EXPECT_EQ(plan->aborted[0].last_offset, 14);
  EXPECT_EQ(plan->aborted[0].stable_offset, 13);
  ASSERT_EQ(plan->sources[0].pieces.size(), 2u);
  ASSERT_TRUE(copy_durably(at(first_segment), plan->sources[0].pieces, at("copy")));
  EXPECT_EQ(read("copy"), batch({10}) + committed + tail);
  const auto kept = scan_partition(partition(), {});
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->records, 5u);
}

TEST_F(migrate, an_open_transaction_is_told) {
  write(first_segment, batch({11, 2, 5, 0, true}));
  const auto plan = scan_partition(partition(), {});
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->open.size(), 1u);
  EXPECT_EQ(plan->open[0].first_offset, 11);
}

TEST_F(migrate, damage_is_located) {
  const std::string good = batch({10, 2}), next = batch({12});
  std::string bad = batch({13});
  bad[70] ^= 1;
  write(first_segment, good + next + bad + batch({14}));
  const auto plan = scan_partition(partition(), {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, errc::corruption);
  EXPECT_NE(plan.error().message.find(fmt::format("damaged at byte {}", good.size() + next.size())),
            std::string::npos)
      << plan.error().message;
}

TEST_F(migrate, offsets_that_go_back_are_damage) {
  write(first_segment, batch({20}) + batch({15}));
  EXPECT_FALSE(scan_partition(partition(), {}));
  write(first_segment, batch({20}) + batch({60}));
  write(second_segment, batch({61}));
  EXPECT_FALSE(scan_partition(partition(), {}));
}

TEST_F(migrate, a_torn_tail_is_cut_in_the_last_segment_only) {
  const std::string whole = batch({51}), torn = batch({52}).substr(0, 40);
  write(first_segment, batch({10}));
  write(second_segment, whole + torn);
  const auto plan = scan_partition(partition(), {});
  ASSERT_TRUE(plan) << to_string(plan.error());
  EXPECT_EQ(plan->torn_bytes, torn.size());
  EXPECT_EQ(plan->described.spilled_end, offset(52));
  write(first_segment, batch({10}) + torn);
  EXPECT_FALSE(scan_partition(partition(), {}));
}

TEST_F(migrate, old_formats_are_refused_by_name) {
  std::string old(34, 'x');
  old.replace(0, 8, std::string("\0\0\0\0\0\0\0\x0a", 8));
  old.replace(8, 4, std::string("\0\0\0\x16", 4));
  old[16] = 1;
  write(first_segment, old);
  const auto plan = scan_partition(partition(), {});
  ASSERT_FALSE(plan);
  EXPECT_EQ(plan.error().code, errc::not_supported);
}

TEST_F(migrate, an_interrupted_swap_is_refused) {
  write(first_segment, batch({10}));
  write("kafka/t-0/00000000000000000010.log.swap", batch({10}));
  EXPECT_FALSE(scan_partition(partition(), {}));
}

const import_progress no_progress = [](uint64_t, uint64_t) {};

TEST_F(migrate, an_import_leaves_directories_and_a_manifest_that_fits) {
  write(first_segment, batch({12, 2, 4}));
  write("kafka/t-1/00000000000000000000.log", "");
  write("kafka/log-start-offset-checkpoint", "0\n1\nt 0 13\n");
  const import_request request{.log_dirs = {at("kafka")}, .data_dir = at("data"), .topics = {{"t", "u"}}};
  auto plan = plan_import(request);
  ASSERT_TRUE(plan) << to_string(plan.error());
  const auto done = run_import(request, *plan, no_progress);
  ASSERT_TRUE(done) << to_string(done.error());
  EXPECT_EQ(read("data/u-0-import/00000000000000000010.log"), read(first_segment));
  const std::string file = read("data/import.manifest");
  const auto manifest = storage::decode_import_manifest(as_bytes(file), "manifest");
  ASSERT_TRUE(manifest) << to_string(manifest.error());
  ASSERT_EQ(manifest->topics.size(), 1u);
  EXPECT_EQ(manifest->topics[0].name, "u");
  EXPECT_EQ(manifest->topics[0].partitions, 2);
  EXPECT_EQ(manifest->next_producer_id, 5);
  EXPECT_EQ(manifest->newest_epoch, 2);
  EXPECT_EQ(manifest->partitions[0].log_start, offset(13));
  EXPECT_FALSE(plan_import(request));  // it waits to be adopted
  for (size_t i = 0; i < file.size(); ++i) {
    std::string damaged = file;
    damaged[i] ^= 1;
    EXPECT_FALSE(storage::decode_import_manifest(as_bytes(damaged), "manifest")) << i;
  }
}

TEST_F(migrate, a_failed_import_leaves_nothing) {
  write("kafka/t-0/00000000000000000000.log", batch({0}));
  write("kafka/t-1/00000000000000000000.log", batch({0}) + "rubbish" + batch({1}));
  const import_request request{.log_dirs = {at("kafka")}, .data_dir = at("data")};
  auto plan = plan_import(request);
  ASSERT_TRUE(plan) << to_string(plan.error());
  EXPECT_FALSE(run_import(request, *plan, no_progress));
  EXPECT_TRUE(fs::is_empty(at("data")));
}

TEST_F(migrate, a_partition_that_is_missing_is_named) {
  write("kafka/t-0/00000000000000000000.log", "");
  write("kafka/t-2/00000000000000000000.log", "");
  const auto plan = plan_import({.log_dirs = {at("kafka")}, .data_dir = at("data")});
  ASSERT_FALSE(plan);
  EXPECT_NE(plan.error().message.find("do not hold 1:"), std::string::npos) << plan.error().message;
}

}  // namespace
}  // namespace millrace::tools
