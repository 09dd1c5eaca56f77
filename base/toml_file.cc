#define TOML_IMPLEMENTATION
#include "base/toml_file.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace millrace {

namespace toml_hooks {

thread_local size_t tables = 0;
thread_local size_t tables_allowed = SIZE_MAX;

namespace {

struct given_up {
  bool has_too_many_tables;
};

class limit {
 public:
  explicit limit(size_t count) { tables_allowed = tables + count; }
  ~limit() { tables_allowed = SIZE_MAX; }
  limit(const limit&) = delete;
  limit& operator=(const limit&) = delete;
};

}  // namespace

void give_up() {
  throw given_up{tables > tables_allowed};
}

}  // namespace toml_hooks

namespace {

constexpr size_t tables_max = 4096;

// What the library makes of the text, or how it gave up.
struct attempt {
  std::optional<toml::parse_result> parsed;
  bool has_too_many_tables = false;
};

toml::parse_result parse_bounded(std::string_view text, std::string_view file_name) {
  const toml_hooks::limit limit(tables_max);
  return toml::parse(text, file_name);
}

attempt try_to_parse(std::string_view text, std::string_view file_name) {
  try {
    return {.parsed = parse_bounded(text, file_name)};
  } catch (const toml_hooks::given_up& why) {
    return {.has_too_many_tables = why.has_too_many_tables};
  }
}

// An assertion knows no line. But the parser never looks back, so its line is the first without whose end it
// is not met.
size_t line_of_giving_up(std::string_view text) {
  std::vector<size_t> ends;
  for (size_t i = 0; i < text.size(); ++i)
    if (text[i] == '\n') ends.push_back(i + 1);
  const auto line = std::ranges::partition_point(
      ends, [&](size_t end) { return try_to_parse(text.substr(0, end), "").parsed.has_value(); });
  return static_cast<size_t>(line - ends.begin()) + 1;
}

}  // namespace

result<toml::table> parse_toml(std::string_view text, std::string_view file_name) {
  attempt tried = try_to_parse(text, file_name);
  if (!tried.parsed) {
    const size_t line = line_of_giving_up(text);
    if (tried.has_too_many_tables)
      return fail(errc::invalid_config, "{}:{}: more than {} tables (each dot in a key is one)", file_name,
                  line, tables_max);
    return fail(errc::invalid_config, "{}:{}: this is not TOML", file_name, line);
  }
  if (!*tried.parsed) {
    const toml::parse_error& error = tried.parsed->error();
    return fail(errc::invalid_config, "{}:{}: {}", file_name, error.source().begin.line, error.description());
  }
  return std::move(*tried.parsed).table();
}

}  // namespace millrace
