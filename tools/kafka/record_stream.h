// record_stream: one partition's records, one after the other, up to where it ends now, with a look ahead.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/kafka/consumer.h"

namespace millrace::tools {

struct owned_record {
  int64_t offset = 0;
  int64_t timestamp_ms = -1;
  std::optional<std::string> key;
  std::optional<std::string> value;
  std::vector<std::pair<std::string, std::optional<std::string>>> headers;

  // All but the offset.
  bool says_the_same(const owned_record& other) const;
};

class record_stream {
 public:
  static result<record_stream> open(const connection& to, const std::string& topic, int32_t partition,
                                    int64_t from);

  // The record behind `ahead` others; null at the end. Valid until the next call of either function.
  result<const owned_record*> peek(size_t ahead);
  // Passes over so many. Requires: they were peeked at.
  void skip(size_t count);

 private:
  explicit record_stream(std::unique_ptr<consumer> from) : from_(std::move(from)) {}
  std::unique_ptr<consumer> from_;
  std::deque<owned_record> ahead_;
};

}  // namespace millrace::tools
