#include "broker/config/alter.h"

#include <algorithm>
#include <fmt/ranges.h>
#include <set>

#include "broker/config/tables.h"

namespace millrace::broker {
namespace {

// The longest values that mean something list replicas of many partitions.
constexpr size_t value_bytes_max = 256 * 1024;

bool takes_elements(const key_spec* key) {
  return key != nullptr && key->type == value_type::list;
}

std::string with_elements(alter_op op, std::string_view list, std::string_view elements) {
  std::vector<std::string_view> all = split_list(list);
  for (const std::string_view element : split_list(elements)) {
    const auto found = std::ranges::find(all, element);
    if (op == alter_op::append && found == all.end()) all.push_back(element);
    if (op == alter_op::subtract) std::erase(all, element);
  }
  return fmt::format("{}", fmt::join(all, ","));
}

}  // namespace

result<void> check_form(std::span<const config_change> changes) {
  std::set<std::string_view> names;
  for (const config_change& c : changes) {
    if (c.name.empty()) return fail(errc::invalid_request, "The name of a config is empty.");
    if (!names.insert(c.name).second)
      return fail(errc::invalid_request, "Error due to duplicate config keys");
    if (c.op < alter_op::set || c.op > alter_op::subtract)
      return fail(errc::invalid_request, "Unknown operation type {}", static_cast<int>(c.op));
    if (c.op != alter_op::remove && !c.value)
      return fail(errc::invalid_request, "Null value not supported for : {}", c.name);
  }
  return {};
}

result<config_values> altered(std::span<const key_spec> keys, const config_values& now,
                              const config_changes& wanted) {
  config_values after;
  if (!wanted.replaces_all) after = now;
  for (const config_change& c : wanted.changes) {
    if (c.value && c.value->size() > value_bytes_max)
      return fail(errc::invalid_config, "The value of {} has more than {} bytes.", c.name, value_bytes_max);
    if (c.op == alter_op::remove) {
      after.erase(c.name);
      continue;
    }
    if (c.op == alter_op::set) {
      after.insert_or_assign(c.name, *c.value);
      continue;
    }
    const key_spec* key = find_key(keys, c.name);
    if (!takes_elements(key)) {
      return fail(errc::invalid_config, "Can't {} to key {} because its type is not LIST.",
                  c.op == alter_op::append ? "APPEND" : "SUBTRACT", c.name);
    }
    const auto set = after.find(c.name);
    const std::string list = set != after.end() ? set->second : std::string(key->default_value.value_or(""));
    after.insert_or_assign(c.name, with_elements(c.op, list, *c.value));
  }
  return after;
}

}  // namespace millrace::broker
