// record_input: records out of text, for `produce`.
//
// A split_reader cuts a stream at a delimiter; a record_parser turns each piece into a record. Both
// reuse their memory, so a view lives until the next call.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::tools {

using owned_header = std::pair<std::string, std::optional<std::string>>;

struct outgoing_record {
  std::optional<std::string_view> key;
  std::optional<std::string_view> value;
  int32_t partition = -1;    // -1: chosen by key
  int64_t timestamp_ms = 0;  // 0: now
  const std::vector<owned_header>* headers = nullptr;
};

// Pieces of a file descriptor's bytes between delimiters. A last piece without delimiter counts; an
// empty one at the very end does not. With an empty delimiter the whole input is one piece.
class split_reader {
 public:
  // `on_wait` runs about every 100 ms while no input comes.
  split_reader(int descriptor, std::string delimiter, std::function<void()> on_wait)
      : descriptor_(descriptor), delimiter_(std::move(delimiter)), on_wait_(std::move(on_wait)) {}

  // Nothing at the end of the input, or once the user interrupts.
  result<std::optional<std::string_view>> next();
  uint64_t bytes_read() const noexcept { return bytes_read_; }

  // A record larger than this is refused rather than gathered: no broker would take it.
  static constexpr size_t piece_bytes_max = size_t{1} << 30;

 private:
  result<bool> read_more();  // false at the end

  int descriptor_;
  std::string delimiter_;
  std::function<void()> on_wait_;
  std::string buffer_;
  size_t begin_ = 0;    // of the piece now being looked for
  size_t scanned_ = 0;  // up to here there is no delimiter
  uint64_t bytes_read_ = 0;
  bool is_at_end_ = false;
};

enum class input_format { lines, json, whole };

struct parse_rules {
  input_format format = input_format::lines;
  std::string key_separator;  // empty: no keys in the input
  std::optional<std::string> fixed_key;
  bool is_empty_null = false;  // an empty key or value means null
  int32_t partition = -1;
  std::vector<owned_header> headers;  // for every record, before its own
};

class record_parser {
 public:
  explicit record_parser(parse_rules rules) : rules_(std::move(rules)) {}
  // malformed, in words for the user, if `piece` is no record.
  result<outgoing_record> parse(std::string_view piece);

 private:
  result<outgoing_record> parse_line(std::string_view piece) const;
  result<outgoing_record> parse_json(std::string_view piece);
  std::optional<std::string_view> null_if_empty(std::string_view text) const {
    if (rules_.is_empty_null && text.empty()) return std::nullopt;
    return text;
  }

  parse_rules rules_;
  std::optional<std::string> key_;
  std::optional<std::string> value_;
  std::vector<owned_header> headers_;
};

}  // namespace millrace::tools
