#include "processors/bundled/settings.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>
#include <millrace/windows.h>

namespace millrace::bundled {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view blanks = " \t\r\n";
  const std::size_t from = text.find_first_not_of(blanks);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(blanks) - from + 1);
}

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  std::size_t from = 0;
  int depth = 0;
  char quote = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != 0) {
      if (c == '\\')
        ++i;
      else if (c == quote)
        quote = 0;
    } else if (c == '"' || c == '\'') {
      quote = c;
    } else if (c == '(' || c == '[' || c == '{') {
      ++depth;
    } else if (c == ')' || c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth == 0) {
      parts.emplace_back(trimmed(text.substr(from, i - from)));
      from = i + 1;
    }
  }
  const std::string_view last = trimmed(text.substr(from));
  if (!parts.empty() || !last.empty()) parts.emplace_back(last);
  return parts;
}

std::optional<double> to_number(std::string_view text) {
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<std::int64_t> to_whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string all;
  for (const std::string& word : words) {
    if (!all.empty()) all += between;
    all += word;
  }
  return all;
}

void settings::refuse(std::string_view key, const std::string& why) const {
  const auto at = all_.find(key);
  const std::string value = at == all_.end() ? "" : " = \"" + at->second + "\"";
  throw failure("config." + std::string(key) + value + ": " + why);
}

std::optional<std::string> settings::text(std::string_view key) {
  asked_.emplace(key);
  const auto at = all_.find(key);
  if (at == all_.end()) return std::nullopt;
  return at->second;
}

std::string settings::required(std::string_view key, std::string_view what) {
  const auto found = text(key);
  if (!found) refuse(key, "it is missing; " + std::string(what) + " is expected");
  return *found;
}

bool settings::truth(std::string_view key, bool otherwise) {
  const auto found = text(key);
  if (!found) return otherwise;
  if (*found != "true" && *found != "false") refuse(key, "true or false is expected");
  return *found == "true";
}

std::int64_t settings::whole(std::string_view key, std::int64_t otherwise, std::int64_t least,
                             std::int64_t most) {
  const auto found = text(key);
  if (!found) return otherwise;
  const auto value = to_whole(*found);
  if (!value || *value < least || *value > most)
    refuse(key,
           "a whole number from " + std::to_string(least) + " to " + std::to_string(most) + " is expected");
  return *value;
}

std::optional<double> settings::number(std::string_view key) {
  const auto found = text(key);
  if (!found) return std::nullopt;
  const auto value = to_number(*found);
  if (!value) refuse(key, "a number is expected");
  return value;
}

std::optional<std::int64_t> settings::duration_ms(std::string_view key, std::int64_t least_ms) {
  const auto found = text(key);
  if (!found) return std::nullopt;
  static constexpr std::pair<std::string_view, std::int64_t> units[] = {
      {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
  const std::string_view all = trimmed(*found);
  const std::size_t digits = std::min(all.find_first_not_of("0123456789"), all.size());
  const auto amount = to_whole(all.substr(0, digits));
  const std::string_view unit = trimmed(all.substr(digits));
  const auto known =
      std::find_if(std::begin(units), std::end(units), [&](const auto& u) { return u.first == unit; });
  if (!amount || known == std::end(units) || *amount > detail::window_ms_max / known->second)
    refuse(key,
           "a time with its unit (ms, s, min, h or d) is expected, such as \"500ms\" or \"1min\", at most "
           "1,000 years");
  const std::int64_t ms = *amount * known->second;
  if (ms < least_ms) refuse(key, "at least " + std::to_string(least_ms) + "ms is expected");
  return ms;
}

std::string settings::choice(std::string_view key, const std::vector<std::string>& possible) {
  const auto found = text(key);
  if (!found) return possible.front();
  if (std::find(possible.begin(), possible.end(), *found) == possible.end())
    refuse(key, joined(possible, " or ") + " is expected");
  return *found;
}

std::vector<std::string> settings::list(std::string_view key) {
  const auto found = text(key);
  if (!found) return {};
  std::vector<std::string> parts = split_at_commas(*found);
  for (const std::string& part : parts)
    if (part.empty()) refuse(key, "an element of the list is empty");
  return parts;
}

std::vector<std::pair<std::string, std::string>> settings::table(std::string_view name) {
  tables_.emplace(name);
  const std::string prefix = std::string(name) + ".";
  std::vector<std::pair<std::string, std::string>> found;
  for (auto at = all_.lower_bound(prefix);
       at != all_.end() && at->first.compare(0, prefix.size(), prefix) == 0; ++at) {
    asked_.insert(at->first);
    found.emplace_back(at->first.substr(prefix.size()), at->second);
    if (found.back().first.empty()) refuse(at->first, "a name is expected behind the dot");
  }
  return found;
}

void settings::finish() const {
  for (const auto& [key, value] : all_) {
    if (asked_.count(key) > 0) continue;
    std::vector<std::string> there;
    std::copy_if(asked_.begin(), asked_.end(), std::back_inserter(there), [&](const std::string& known) {
      return tables_.count(known.substr(0, known.find('.'))) == 0;
    });
    for (const std::string& name : tables_) there.push_back(name + ".NAME");
    refuse(key, "there is no such key; there are " + joined(there));
  }
}

}  // namespace millrace::bundled
