#include "storage/meta_properties.h"

#include <charconv>
#include <fmt/format.h>
#include <map>

#include "base/limits.h"

namespace millrace::storage {

namespace {

using properties = std::map<std::string_view, std::string_view>;

properties split(std::string_view text) {
  properties found;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    const size_t equals = line.find('=');
    if (line.starts_with('#') || equals == std::string_view::npos) continue;
    found[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return found;
}

template <class T>
result<T> number(const properties& found, std::string_view key, const std::string& path) {
  const auto at = found.find(key);
  if (at == found.end()) return fail(errc::corruption, "{} has no line {}=", path, key);
  T value{};
  const char* end = at->second.data() + at->second.size();
  const auto [stop, failure] = std::from_chars(at->second.data(), end, value);
  if (failure != std::errc() || stop != end)
    return fail(errc::corruption, "{}: {}={} is not a number", path, key, at->second);
  return value;
}

}  // namespace

std::string format_meta_properties(const meta_properties& p) {
  return fmt::format(
      "#\nversion=1\ncluster.id={}\nnode.id={}\nmillrace.format={}\nmillrace.shards={}\n"
      "millrace.stopped.cleanly={}\n",
      p.cluster_id, p.node_id, p.format, p.shards, p.stopped_cleanly);
}

result<meta_properties> parse_meta_properties(std::string_view text, const std::string& path) {
  const properties found = split(text);
  meta_properties p;
  if (!found.contains("millrace.format"))
    return fail(errc::not_supported, "{} was not written by Millrace: it has no line millrace.format=", path);
  const auto format = number<int32_t>(found, "millrace.format", path);
  if (!format) return fail(format.error());
  if (*format > format_version)
    return fail(errc::not_supported,
                "{} says format {}; this version of Millrace reads formats up to {}: start the newer version",
                path, *format, format_version);
  p.format = *format;
  const auto node = number<int32_t>(found, "node.id", path);
  if (!node) return fail(node.error());
  p.node_id = *node;
  const auto shards = number<uint32_t>(found, "millrace.shards", path);
  if (!shards) return fail(shards.error());
  if (*shards < 1 || *shards > limits::shards_max)
    return fail(errc::corruption, "{}: millrace.shards={} is not between 1 and {}", path, *shards,
                limits::shards_max);
  p.shards = *shards;
  const auto stopped = found.find("millrace.stopped.cleanly");
  p.stopped_cleanly = stopped != found.end() && stopped->second == "true";
  const auto cluster = found.find("cluster.id");
  if (cluster == found.end() || cluster->second.empty())
    return fail(errc::corruption, "{} has no line cluster.id=", path);
  p.cluster_id = cluster->second;
  return p;
}

}  // namespace millrace::storage
