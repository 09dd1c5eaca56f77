#include "broker/config/config.h"

#include "base/assert.h"
#include "broker/config/key_spec.h"
#include "broker/config/tables.h"

namespace millrace::broker {
namespace {

const key_spec* find_any(std::string_view key) {
  if (const key_spec* spec = find_key(broker_keys(), key)) return spec;
  return find_key(idle_keys(), key);
}

std::string nearest_key(std::string_view key) {
  // Keys with an effect first: they win over idle ones of the same distance.
  std::vector<std::string_view> names = names_of(broker_keys());
  const std::vector<std::string_view> idle = names_of(idle_keys());
  names.insert(names.end(), idle.begin(), idle.end());
  return std::string(nearest_name(key, names));
}

}  // namespace

result<void> config::set(std::string_view key, std::string_view value, value_source source,
                         std::string where) {
  const key_spec* spec = find_any(key);
  if (spec == nullptr) {
    const std::string nearest = nearest_key(key);
    if (nearest.empty()) return fail(errc::invalid_config, "{}: unknown key \"{}\"", where, key);
    return fail(errc::invalid_config, "{}: unknown key \"{}\"; did you mean \"{}\"?", where, key, nearest);
  }
  result<std::string> checked = check_value(*spec, value);
  if (!checked)
    return fail(errc::invalid_config, "{}: {} = {}: {}", where, key, value, checked.error().message);
  if (const std::string_view reason = refusal_of_broker_value(key, *checked); !reason.empty()) {
    return fail(errc::invalid_config, "{}: {}={} is refused: {}", where, key, *checked, reason);
  }
  const auto found = values_.find(key);
  if (found != values_.end() && found->second.source > source) return {};
  values_.insert_or_assign(std::string(key), configured_value{*std::move(checked), source, std::move(where)});
  return {};
}

void config::set_at_run_time(const config_values& cluster, const config_values& this_broker) {
  const auto fill = [](layer& into, const config_values& values, value_source source) {
    into.clear();
    for (const auto& [key, text] : values)
      into.emplace(key, configured_value{text, source, "set at run time"});
  };
  fill(cluster_, cluster, value_source::cluster);
  fill(this_broker_, this_broker, value_source::this_broker);
}

const configured_value* config::given(std::string_view key) const {
  for (const layer* values : {&this_broker_, &cluster_, &values_}) {
    if (const auto found = values->find(key); found != values->end()) return &found->second;
  }
  return nullptr;
}

std::vector<const configured_value*> config::all_given(std::string_view key) const {
  std::vector<const configured_value*> found;
  for (const layer* values : {&this_broker_, &cluster_, &values_}) {
    if (const auto at = values->find(key); at != values->end()) found.push_back(&at->second);
  }
  return found;
}

std::optional<std::string_view> config::text(std::string_view key) const {
  if (const configured_value* value = given(key)) return value->text;
  const key_spec* spec = find_any(key);
  MR_ASSERT(spec != nullptr);
  return spec->default_value;
}

std::string_view config::required(std::string_view key) const {
  const std::optional<std::string_view> value = text(key);
  MR_ASSERT(value.has_value());
  return *value;
}

bool config::boolean(std::string_view key) const {
  return to_boolean(required(key));
}

int64_t config::integer(std::string_view key) const {
  return to_integer(required(key));
}

std::vector<std::string_view> config::idle_keys_given() const {
  std::vector<std::string_view> keys;
  for (const auto& [key, value] : values_) {
    if (find_key(idle_keys(), key) != nullptr) keys.push_back(key);
  }
  return keys;
}

}  // namespace millrace::broker
