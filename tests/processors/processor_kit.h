// processor_kit: small things that tests of processors share.
#pragma once

#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "processors/host/deployment.h"
#include "processors/host/instance.h"

namespace millrace::processors::kit {

inline millrace_bytes bytes(std::string_view text) {
  return {text.data(), static_cast<int64_t>(text.size())};
}
inline constexpr millrace_bytes null_bytes{nullptr, -1};
inline std::string text(const millrace_bytes& b) {
  return b.size < 0 ? "<null>" : std::string(b.data, static_cast<size_t>(b.size));
}

inline millrace_record record(std::string_view value, int64_t offset = 0) {
  return {offset, 1000 + offset, bytes("k"), bytes(value), nullptr, 0, 0};
}

// "<cause>><output> key=value header:value ..." for each record.
inline std::vector<std::string> lines_of(const emissions& e) {
  std::vector<std::string> lines;
  for (size_t i = 0; i < e.count(); ++i) {
    const emitted_record r = e.at(i);
    std::string line = fmt::format("{}>{} {}={}", r.cause, r.output, text(r.key), text(r.value));
    if (r.timestamp_ms != MILLRACE_INHERIT_TIMESTAMP) line += fmt::format(" @{}", r.timestamp_ms);
    for (const millrace_header& h : r.headers) line += " " + text(h.key) + ":" + text(h.value);
    lines.push_back(line);
  }
  return lines;
}

// A spec that sends every output of `code` to the topic of its name behind "<input>.".
inline processor_spec spec_for(const plugin& code, std::string name, std::string input,
                               std::map<std::string, std::string> options = {}) {
  processor_spec spec;
  spec.name = std::move(name);
  spec.library = "linked in";
  spec.input = std::move(input);
  for (const std::string& output : code.outputs()) spec.outputs[output] = spec.input + "." + output;
  spec.options = std::move(options);
  return spec;
}

}  // namespace millrace::processors::kit
