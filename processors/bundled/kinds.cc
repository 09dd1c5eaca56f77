#include "processors/bundled/kinds.h"

namespace millrace::bundled {

build_function find_kind(settings& from) {
  static constexpr std::pair<const char*, build_function> all[] = {
      {"aggregate", build_aggregate}, {"alert", build_alert},   {"clean", build_clean},
      {"enrich", build_enrich},       {"filter", build_filter}, {"map", build_map},
      {"route", build_route},         {"sample", build_sample}};
  std::vector<std::string> names;
  for (const auto& [name, build] : all) names.emplace_back(name);
  const std::string wanted = from.required("processor", "one of " + joined(names));
  for (const auto& [name, build] : all)
    if (wanted == name) return build;
  from.refuse("processor", "there is no such bundled processor; there are " + joined(names));
}

}  // namespace millrace::bundled
