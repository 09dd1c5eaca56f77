#include "protocol/api.h"

#include <array>
#include <cstddef>

namespace millrace::protocol {

namespace {

constexpr size_t keys_end =
    static_cast<size_t>(api_table.back().key) + 1;  // the table is in order of the keys

constexpr auto by_key = [] {
  std::array<const api_info*, keys_end> table{};
  for (const api_info& info : api_table) table[static_cast<size_t>(info.key)] = &info;
  return table;
}();

}  // namespace

const api_info* find_api(int16_t key) noexcept {
  if (key < 0 || static_cast<size_t>(key) >= keys_end) return nullptr;
  return by_key[static_cast<size_t>(key)];
}

std::string_view name_of(api_key key) noexcept {
  const api_info* info = find_api(static_cast<int16_t>(key));
  return info ? info->name : "unknown";
}

}  // namespace millrace::protocol
