#include "tools/admin/definition.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/toml_file.h"

namespace millrace::tools {

using nlohmann::json;

namespace {

std::optional<json> json_of(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  if (const auto* table = node.as_table()) {
    json object = json::object();
    for (const auto& [key, value] : *table) {
      auto inner = json_of(value);
      if (!inner) return std::nullopt;
      object[std::string(key.str())] = *std::move(inner);
    }
    return object;
  }
  if (const auto* array = node.as_array()) {
    json list = json::array();
    for (const toml::node& element : *array) {
      auto inner = json_of(element);
      if (!inner) return std::nullopt;
      list.push_back(*std::move(inner));
    }
    return list;
  }
  return std::nullopt;  // dates
}

}  // namespace

result<json> read_definition(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return fail(errc::invalid_argument, "cannot open {}: {}", path, std::strerror(errno));
  std::ostringstream text;
  text << in.rdbuf();
  const auto parsed = parse_toml(text.str(), path);
  if (!parsed) return fail(errc::invalid_argument, "{}", parsed.error().message);
  const toml::node* node = parsed->get("processor");
  const toml::array* tables = node ? node->as_array() : nullptr;
  if (tables == nullptr || tables->size() != 1 || !tables->front().is_table())
    return fail(errc::invalid_argument, "{}: exactly one [[processor]] is expected", path);
  auto definition = json_of(tables->front());
  if (!definition) return fail(errc::invalid_argument, "{}: a processor has no use for dates", path);
  return *std::move(definition);
}

}  // namespace millrace::tools
