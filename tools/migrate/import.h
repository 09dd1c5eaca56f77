// import: topics of a stopped Kafka into the data directory of a stopped Millrace.
//
// plan_import() decides which topics come, under which names, ids and configuration, and refuses what cannot
// work. run_import() checks and copies partition by partition into directories that mean nothing yet, then
// writes the manifest, which makes all of it count (storage/import_manifest.h); the broker adopts it at its
// next start. Whatever goes wrong before leaves nothing behind.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "storage/metadata_log.h"
#include "tools/migrate/kafka_logs.h"

namespace millrace::tools {

struct import_request {
  std::vector<std::string> log_dirs;
  std::string data_dir;
  // From Kafka's name to the one here; empty: every topic, and committed offsets.
  std::map<std::string, std::string> topics;
  // Over what Kafka's own configuration says.
  storage::config_map configs;
  bool is_dry_run = false;
  // Otherwise the records of aborted transactions are left out.
  bool keeps_aborted = false;
};

struct left_out_config {
  std::string key;
  std::string value;
  std::string why;
};

struct imported_topic {
  storage::topic_created created;
  std::string name_there;
  bool is_id_kept = false;
  bool is_configuration_known = false;  // from Kafka's metadata log
  std::vector<left_out_config> without_effect;
  std::vector<kafka_partition> partitions;
  // Known after the copy:
  uint64_t batches = 0;
  uint64_t records = 0;
  uint64_t bytes = 0;
  uint64_t aborted_transactions = 0;
  uint64_t records_left_out = 0;
  uint64_t torn_bytes = 0;
  std::vector<std::string> remarks;
};

struct import_report {
  std::vector<imported_topic> topics;
  std::vector<std::string> remarks;
};

// Requires: both directories are locked.
result<import_report> plan_import(const import_request& request);
using import_progress = std::function<void(uint64_t done_bytes, uint64_t total_bytes)>;
// Fills in what plan_import() left open.
result<void> run_import(const import_request& request, import_report& plan,
                        const import_progress& on_progress);

}  // namespace millrace::tools
