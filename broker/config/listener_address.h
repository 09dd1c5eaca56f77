// listener_address: one entry of listeners or advertised.listeners, NAME://HOST:PORT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::broker {

struct listener_address {
  std::string name;  // upper case, "PLAINTEXT"
  std::string host;  // without brackets; empty = every interface
  uint16_t port = 0;

  // "PLAINTEXT://[::1]:9092"
  std::string to_string() const;
  bool is_wildcard() const noexcept { return host.empty() || host == "0.0.0.0" || host == "::"; }

  bool operator==(const listener_address&) const = default;
};

// A comma-separated list. Names must differ.
result<std::vector<listener_address>> parse_listeners(std::string_view text);

}  // namespace millrace::broker
