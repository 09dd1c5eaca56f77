#include "tools/admin/deployed.h"

#include <nlohmann/json.hpp>

namespace millrace::tools {

using nlohmann::json;

result<void> add_pairs(json& object, const std::vector<std::string>& pairs, std::string_view flag) {
  for (const std::string& pair : pairs) {
    const size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0)
      return fail(errc::invalid_argument, "{} {}: write it as NAME=VALUE", flag, pair);
    object[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return {};
}

result<exit_code> tell_deployed(context& ctx, const std::string& answer, std::string_view verb) {
  if (ctx.common.is_json) {
    ctx.out.write(answer);
    return exit_code::ok;
  }
  try {
    const json told = json::parse(answer);
    tell(ctx, fmt::format("{} {}: {} {} ({}).", verb, told.value("name", ""), told.value("code", ""),
                          told.value("version", ""), told.value("content_hash", "")));
    for (const json& note : told.value("notes", json::array()))
      if (note.is_string()) tell(ctx, note.get<std::string>());
    return exit_code::ok;
  } catch (const json::exception&) {  // members of another type than expected are the library's exceptions
    return fail(errc::malformed, "the broker's answer is not what this program knows");
  }
}

}  // namespace millrace::tools
