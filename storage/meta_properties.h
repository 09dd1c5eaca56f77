// meta_properties: who wrote a data directory, and in which format.
//
//   #
//   version=1
//   cluster.id=<22 characters>
//   node.id=1
//   millrace.format=2
//   millrace.shards=3
//   millrace.stopped.cleanly=false
//
// The first three are Kafka's. `millrace.format` counts changes of any format of ours that an older
// version could not read; `millrace.shards` is the number of WALs and checkpoints that count;
// `millrace.stopped.cleanly` is true only between a clean stop and the next start.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace millrace::storage {

inline constexpr int32_t format_version = 2;

struct meta_properties {
  std::string cluster_id;
  int32_t node_id = 0;
  int32_t format = format_version;
  uint32_t shards = 0;
  bool stopped_cleanly = false;
};

std::string format_meta_properties(const meta_properties& p);
// errc::not_supported if a newer version of Millrace wrote it; errc::corruption if it makes no sense.
// `path` is for the message.
result<meta_properties> parse_meta_properties(std::string_view text, const std::string& path);

}  // namespace millrace::storage
