// record_format: the fixed part of an event in a recording; see record.h for the whole file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace millrace::runtime {

inline constexpr std::string_view record_magic = "MRREC001";

enum class record_what : uint8_t { started = 1, finished = 2, closed = 3 };

struct record_header {
  record_what what{};
  uint8_t kind = 0;
  uint16_t zero = 0;
  uint32_t flags = 0;
  uint64_t operation = 0;
  uint64_t time_ns = 0;
  int64_t fd = -1;
  int64_t result = 0;
  uint64_t at = 0;
  uint64_t length = 0;
  uint32_t path_size = 0;
  uint32_t path_to_size = 0;
  uint64_t data_size = 0;
};
static_assert(sizeof(record_header) == 72, "the header is written as it lies in memory, without padding");

}  // namespace millrace::runtime
