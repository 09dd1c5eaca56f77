// profile: clusters by name, from a file of the user's.
//
//   profile = "local"                          # the one in use when none is named
//
//   [profiles.local]
//   bootstrap = "localhost:9092"
//
//   [profiles.staging]
//   bootstrap = "a.example:9093,b.example:9093"
//   timeout = 30                               # seconds
//   properties = { security.protocol = "ssl" }   # librdkafka's
//
// The file is $MILLRACE_CONFIG, else $XDG_CONFIG_HOME/millrace/config.toml, else
// ~/.config/millrace/config.toml.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"

namespace millrace::tools {

struct profile {
  std::string name;
  std::optional<std::string> bootstrap;
  std::optional<int> timeout_seconds;
  std::vector<std::string> properties;  // key=value
};

struct profile_file {
  std::string path;
  std::string in_use;        // empty: none
  std::vector<profile> all;  // by name

  // Null if there is none of that name.
  const profile* find(std::string_view name) const;
};

// Where the file is or would be; empty if the environment does not tell.
std::string profile_path();
// A file that is not there holds no profiles. Everything that it cannot mean is an error.
result<profile_file> parse_profiles(std::string_view text, const std::string& path);
result<profile_file> read_profiles();

// What the command line says wins over the profile it names, that over MILLRACE_BOOTSTRAP, and that over the
// profile of MILLRACE_PROFILE or of the file.
struct connection_choice {
  std::string profile;  // --profile; empty: not given
  bool has_bootstrap = false;
  bool has_timeout = false;
};
result<void> apply_profile(connection& to, const connection_choice& given);

}  // namespace millrace::tools
