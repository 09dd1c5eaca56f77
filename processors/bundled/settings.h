// settings: the `config` of a bundled processor: each key is asked for once, with what is allowed there.
//
// All failures name the key, the value and what is possible. Keys that nobody has asked for are mistakes:
// finish() says so.
#pragma once

#include <cstdint>
#include <map>
#include <millrace/processor.h>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::bundled {

using options = std::map<std::string, std::string, std::less<>>;

class settings {
 public:
  explicit settings(options all) : all_(std::move(all)) {}

  // Throws millrace::failure: `KEY = "VALUE": WHY`.
  [[noreturn]] void refuse(std::string_view key, const std::string& why) const;

  // Asks for a key.
  std::optional<std::string> text(std::string_view key);
  // The same where there must be one; `what` says what is expected.
  std::string required(std::string_view key, std::string_view what);
  bool truth(std::string_view key, bool otherwise);
  // At least `least`, at most `most`.
  std::int64_t whole(std::string_view key, std::int64_t otherwise, std::int64_t least, std::int64_t most);
  std::optional<double> number(std::string_view key);
  // "500ms", "10s", "1min", "2h", "7d", in milliseconds; at least `least_ms`, at most 1,000 years.
  std::optional<std::int64_t> duration_ms(std::string_view key, std::int64_t least_ms);
  // One of `possible`; the first if there is none.
  std::string choice(std::string_view key, const std::vector<std::string>& possible);
  // A list, in TOML or separated by commas; blanks around its elements do not count.
  std::vector<std::string> list(std::string_view key);
  // A table: all keys that begin with "<name>.", without it, in order.
  std::vector<std::pair<std::string, std::string>> table(std::string_view name);

  // Throws if there is a key that was not asked for.
  void finish() const;

 private:
  options all_;
  std::set<std::string, std::less<>> asked_;   // keys
  std::set<std::string, std::less<>> tables_;  // their names
};

// Without blanks at both ends.
std::string_view trimmed(std::string_view text);
// At commas that are outside of brackets and quotes, trimmed.
std::vector<std::string> split_at_commas(std::string_view text);
// The whole text as a number (finite, in JSON's form or as C prints it).
std::optional<double> to_number(std::string_view text);
std::optional<std::int64_t> to_whole(std::string_view text);
std::string joined(const std::vector<std::string>& words, std::string_view between = ", ");

}  // namespace millrace::bundled
