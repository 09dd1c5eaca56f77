// record: one record as the tools show it, wherever it was read from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::tools {

struct header_view {
  std::string_view name;
  std::optional<std::string_view> value;
};

// Views into the consumed message; valid as long as that is.
struct record_view {
  std::string_view topic;
  int32_t partition = 0;
  int64_t offset = 0;
  int64_t timestamp_ms = -1;  // -1: none
  bool is_append_time = false;
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  std::vector<header_view> headers;
};

// The shape that `consume --json` prints and `produce --format json` reads; no newline.
void append_json(std::string& out, const record_view& record);

}  // namespace millrace::tools
