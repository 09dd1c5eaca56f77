// topic_settings: how one topic is kept: its own overrides over the broker's defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "broker/config/alter.h"
#include "broker/config/config.h"
#include "protocol/codec.h"

namespace millrace::broker {

using topic_overrides = config_values;

enum class durability { sync, os, memory };

struct topic_settings {
  bool is_compacted = false;
  bool is_deleted_by_age = true;
  std::optional<protocol::codec> stored_codec;  // nothing: as the producer sent it
  protocol::codec_level stored_level;
  durability kept = durability::sync;
  bool is_log_append_time = false;
  int64_t timestamp_before_max_ms = 0;
  int64_t timestamp_after_max_ms = 0;
  int32_t message_bytes_max = 0;
  int32_t decompressed_bytes_max = 0;
  int64_t segment_bytes = 0;
  int64_t segment_ms = 0;
  int64_t segment_jitter_ms = 0;
  int64_t index_interval_bytes = 0;
  int64_t index_bytes_max = 0;
  bool preallocates = false;
  int64_t retention_ms = -1;
  int64_t retention_bytes = -1;
  int64_t file_delete_delay_ms = 0;
  double dirty_ratio_min = 0.5;
  int64_t compaction_lag_min_ms = 0;
  int64_t compaction_lag_max_ms = 0;
  int64_t delete_retention_ms = 0;
};

// Checks one override as a client sends it; gives its plain form, or INVALID_CONFIG with a sentence.
result<std::string> check_topic_override(std::string_view key, std::string_view value);

// Checks all overrides of a topic, each for itself and some against each other, and brings them into plain
// form.
result<void> check_topic_overrides(topic_overrides& overrides);

// The value of a topic key where no override is given: the broker's, by Kafka's rules (hours give way to
// minutes, minutes to milliseconds). `source` tells whether somebody configured it or it is built in.
struct topic_default {
  std::string text;
  value_source source = value_source::built_in;
};
topic_default default_of_topic_key(const config& broker, const struct key_spec& key);

// Requires: every override passed check_topic_override.
topic_settings make_topic_settings(const config& broker, const topic_overrides& overrides);

}  // namespace millrace::broker
