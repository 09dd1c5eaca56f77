#include "tools/cli/profile.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fmt/ranges.h>
#include <fstream>
#include <sstream>
#include <stdlib.h>

#include "base/toml_file.h"
#include "tools/text/suggest.h"

namespace millrace::tools {

namespace {

constexpr int timeout_seconds_max = 3600;

std::string environment(const char* name) {
  const char* value = ::getenv(name);
  return value == nullptr ? std::string() : value;
}

std::vector<std::string> names_of(const profile_file& file) {
  std::vector<std::string> names;
  for (const profile& p : file.all) names.push_back(p.name);
  return names;
}

// TOML makes tables of dotted keys; librdkafka's names have dots.
result<void> add_properties(const toml::table& table, const std::string& prefix, const std::string& where,
                            profile& into) {
  for (const auto& [key, value] : table) {
    const std::string name = prefix + std::string(key.str());
    if (const toml::table* deeper = value.as_table()) {
      MR_TRY(add_properties(*deeper, name + ".", where, into));
    } else if (const auto text = value.value_exact<std::string>()) {
      into.properties.push_back(name + "=" + *text);
    } else if (const auto number = value.value_exact<int64_t>()) {
      into.properties.push_back(name + "=" + std::to_string(*number));
    } else if (const auto flag = value.value_exact<bool>()) {
      into.properties.push_back(name + (*flag ? "=true" : "=false"));
    } else {
      return fail(errc::invalid_argument, "{}: properties.{} is neither text nor number nor true or false",
                  where, name);
    }
  }
  return {};
}

result<profile> profile_from(std::string_view name, const toml::table& table, const std::string& path) {
  profile made{.name = std::string(name), .bootstrap = {}, .timeout_seconds = {}, .properties = {}};
  const std::string where = fmt::format("{}: profile {}", path, name);
  for (const auto& [key, value] : table) {
    if (key == "bootstrap") {
      made.bootstrap = value.value_exact<std::string>();
      if (!made.bootstrap || made.bootstrap->empty())
        return fail(errc::invalid_argument, "{}: bootstrap is a text, \"HOST:PORT\"", where);
    } else if (key == "timeout") {
      const auto seconds = value.value_exact<int64_t>();
      if (!seconds || *seconds < 1 || *seconds > timeout_seconds_max)
        return fail(errc::invalid_argument, "{}: timeout is a number of seconds, 1 to {}", where,
                    timeout_seconds_max);
      made.timeout_seconds = static_cast<int>(*seconds);
    } else if (key == "properties" && value.is_table()) {
      MR_TRY(add_properties(*value.as_table(), "", where, made));
    } else {
      return fail(errc::invalid_argument,
                  "{}: '{}' means nothing here{}; there are bootstrap, timeout and properties", where,
                  key.str(), did_you_mean(key.str(), {"bootstrap", "timeout", "properties"}));
    }
  }
  return made;
}

}  // namespace

const profile* profile_file::find(std::string_view name) const {
  const auto at = std::ranges::find(all, name, &profile::name);
  return at == all.end() ? nullptr : &*at;
}

std::string profile_path() {
  if (const std::string named = environment("MILLRACE_CONFIG"); !named.empty()) return named;
  if (const std::string xdg = environment("XDG_CONFIG_HOME"); !xdg.empty())
    return xdg + "/millrace/config.toml";
  const std::string home = environment("HOME");
  return home.empty() ? std::string() : home + "/.config/millrace/config.toml";
}

result<profile_file> parse_profiles(std::string_view text, const std::string& path) {
  const auto parsed = parse_toml(text, path);
  if (!parsed) return fail(errc::invalid_argument, "{}", parsed.error().message);
  profile_file file{.path = path, .in_use = {}, .all = {}};
  for (const auto& [key, value] : *parsed) {
    if (key == "profile" && value.is_string()) {
      file.in_use = *value.value_exact<std::string>();
    } else if (key == "profiles" && value.is_table()) {
      for (const auto& [name, one] : *value.as_table()) {
        if (!one.is_table())
          return fail(errc::invalid_argument, "{}: a profile is a table: [profiles.{}]", path, name.str());
        auto made = profile_from(name.str(), *one.as_table(), path);
        if (!made) return fail(made.error());
        file.all.push_back(*std::move(made));
      }
    } else {
      return fail(errc::invalid_argument,
                  "{}: '{}' means nothing here; there are profile = \"NAME\" and [profiles.NAME]", path,
                  key.str());
    }
  }
  if (!file.in_use.empty() && file.find(file.in_use) == nullptr)
    return fail(errc::invalid_argument, "{}: there is no profile '{}'{}", path, file.in_use,
                did_you_mean(file.in_use, names_of(file)));
  return file;
}

result<profile_file> read_profiles() {
  const std::string path = profile_path();
  profile_file none{.path = path, .in_use = {}, .all = {}};
  if (path.empty()) return none;
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    if (errno == ENOENT || errno == ENOTDIR) return none;
    return fail(errc::invalid_argument, "cannot read {}: {}", path, std::strerror(errno));
  }
  std::ostringstream text;
  text << in.rdbuf();
  return parse_profiles(text.str(), path);
}

result<void> apply_profile(connection& to, const connection_choice& given) {
  const auto file = read_profiles();
  if (!file) return fail(file.error());
  std::string name = given.profile;
  if (name.empty()) name = environment("MILLRACE_PROFILE");
  if (name.empty()) name = file->in_use;
  if (name.empty()) return {};
  const profile* chosen = file->find(name);
  if (chosen == nullptr)
    return fail(errc::invalid_argument, "there is no profile '{}' in {}{}{}", name, file->path,
                did_you_mean(name, names_of(*file)),
                file->all.empty() ? "" : fmt::format("; there are {}", fmt::join(names_of(*file), ", ")));
  const bool is_from_environment = !environment("MILLRACE_BOOTSTRAP").empty();
  if (chosen->bootstrap && !given.has_bootstrap && (!given.profile.empty() || !is_from_environment))
    to.bootstrap = *chosen->bootstrap;
  if (chosen->timeout_seconds && !given.has_timeout) to.timeout_seconds = *chosen->timeout_seconds;
  // Later ones win.
  to.properties.insert(to.properties.begin(), chosen->properties.begin(), chosen->properties.end());
  return {};
}

}  // namespace millrace::tools
