// api: which requests the schemas know.
//
// api_key (generated) names them; find_api gives name and versions. This is what can be decoded, not what
// is offered: the broker chooses that.
#pragma once

#include <cstdint>
#include <string_view>

#include "protocol/generated/api_key.h"

namespace millrace::protocol {

// Null for a key without a schema. Constant time.
const api_info* find_api(int16_t key) noexcept;
inline const api_info& info_of(api_key key) noexcept {
  return *find_api(static_cast<int16_t>(key));
}

// "fetch"; "unknown" for a key without a schema.
std::string_view name_of(api_key key) noexcept;

}  // namespace millrace::protocol
