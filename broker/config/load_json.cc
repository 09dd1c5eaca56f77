// A processor's definition as JSON: made the table that the configuration file would have held, and read as
// that is, so that both know the same keys and say the same about wrong ones.
#include <nlohmann/json.hpp>

#include "broker/config/load.h"
#include "broker/config/processor_table.h"

namespace millrace::broker {
namespace {

using nlohmann::json;

// Hands the value over to `take` as the type that TOML has for it; false if there is none.
template <class Take>
bool with_scalar(const json& value, Take take) {
  if (value.is_string()) return take(value.get_ref<const std::string&>()), true;
  if (value.is_boolean()) return take(value.get<bool>()), true;
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return false;
  if (value.is_number_integer()) return take(value.get<int64_t>()), true;
  if (value.is_number_float()) return take(value.get<double>()), true;
  return false;
}

// Tables go as deep as a configuration's do: config.fields.<name>.<rule>.
constexpr int depth_max = 4;

bool insert(toml::table& into, const std::string& key, const json& value, int depth = 1) {
  if (value.is_object()) {
    if (depth == depth_max) return false;
    toml::table inner;
    for (const auto& [name, element] : value.items())
      if (!insert(inner, name, element, depth + 1)) return false;
    into.insert_or_assign(key, std::move(inner));
    return true;
  }
  if (!value.is_array()) return with_scalar(value, [&](const auto& v) { into.insert_or_assign(key, v); });
  toml::array array;
  for (const json& element : value)
    if (!with_scalar(element, [&](const auto& v) { array.push_back(v); })) return false;
  into.insert_or_assign(key, std::move(array));
  return true;
}

}  // namespace

result<processor_entry> load_processor_json(std::string_view text, std::string_view source,
                                            std::string_view replaces) {
  const json parsed = json::parse(text, nullptr, false);
  if (parsed.is_discarded()) return fail(errc::malformed, "{}: this is not JSON", source);
  if (!parsed.is_object()) return fail(errc::malformed, "{}: a JSON object is expected", source);
  toml::table table;
  for (const auto& [key, value] : parsed.items()) {
    if (!insert(table, key, value))
      return fail(errc::invalid_config, "{}: {}: a string, number, boolean or list of them is expected",
                  source, key);
  }
  auto entry = read_processor(table, source);
  if (!entry) return entry;
  if (!replaces.empty()) {
    if (entry->name.empty()) entry->name = replaces;
    if (entry->name != replaces)
      return fail(errc::invalid_config, "{}: it is about processor {}, and names {}", source, replaces,
                  entry->name);
  }
  MR_TRY(check_complete(*entry, replaces.empty()));
  return entry;
}

}  // namespace millrace::broker
