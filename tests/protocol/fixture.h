// fixture: files of tests/data/protocol and byte helpers.
#pragma once

#include <cstdlib>
#include <fmt/format.h>
#include <fstream>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "tests/protocol/value.h"

namespace millrace::protocol::testing {

// The lines of a table, split at tabs, comments left out.
inline std::vector<std::vector<std::string>> read_table(const std::string& name) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream file(std::string(MILLRACE_TEST_DATA "/protocol/") + name);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with('#')) continue;
    std::vector<std::string>& row = rows.emplace_back(1);
    for (const char c : line) {
      if (c == '\t') {
        row.emplace_back();
      } else {
        row.back() += c;
      }
    }
  }
  return rows;
}

// The seed of a randomised test: MILLRACE_SEED, or a new one; printed, so that a run can be repeated.
inline uint64_t announced_seed() {
  const char* given = std::getenv("MILLRACE_SEED");
  const uint64_t seed = given ? std::strtoull(given, nullptr, 0) : std::random_device{}();
  fmt::print("MILLRACE_SEED={}\n", seed);
  return seed;
}

inline slice bytes_of(std::initializer_list<int> list) {
  std::vector<std::byte> bytes;
  for (const int b : list) bytes.push_back(static_cast<std::byte>(b));
  return slice::copy_of(bytes);
}

inline slice text_slice(std::string_view text) {
  return slice::copy_of(as_bytes(text));
}

}  // namespace millrace::protocol::testing
