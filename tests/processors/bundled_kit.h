// For tests of the bundled processors: one with its configuration, in the SDK's harness.
#pragma once

#include <millrace/harness.h>
#include <millrace/json.h>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "processors/bundled/entry.h"

namespace bundled_kit {

using millrace::harness;
using config = harness::options;

inline const millrace_processor* table_of(const config& with) {
  std::vector<millrace_option> options;
  const auto view = [](const std::string& text) {
    return millrace_bytes{text.data(), static_cast<int64_t>(text.size())};
  };
  for (const auto& [key, value] : with) options.push_back({view(key), view(value)});
  return millrace::bundled::table_for(options.data(), static_cast<uint32_t>(options.size()),
                                      sizeof(millrace_option));
}

// Why it does not start; "none" if it does.
inline std::string refusal(const config& with) {
  try {
    harness h(table_of(with), with);
    return "none";
  } catch (const millrace::failure& e) {
    return e.what();
  }
}

inline harness::input record(const std::string& value, int64_t at_ms = 1000,
                             std::optional<std::string> key = "k") {
  return {std::move(key), value, at_ms, {}};
}

// All that comes of records, a line each: output, key, value, timestamp; and why those failed that did.
inline std::vector<std::string> run(const config& with, const std::vector<harness::input>& records,
                                    uint64_t seed = 1) {
  harness h(table_of(with), with);
  h.feed_all(records, seed);
  std::vector<std::string> lines;
  for (const harness::emitted& e : h.output())
    lines.push_back(e.output + " " + e.key.value_or("<null>") + " " + e.value.value_or("<null>") + " " +
                    std::to_string(e.timestamp_ms));
  for (const harness::failed& f : h.failures())
    lines.push_back("failed " + std::to_string(f.offset) + " " + f.why);
  return lines;
}

// Of one record: the value that comes out, "nothing", or why it failed.
inline std::string one(const config& with, const std::string& value, std::optional<std::string> key = "k") {
  harness h(table_of(with), with);
  h.feed(record(value, 1000, std::move(key)));
  if (!h.failures().empty()) return h.failures()[0].why;
  return h.output().empty() ? "nothing" : h.output()[0].value.value_or("<null>");
}

}  // namespace bundled_kit
