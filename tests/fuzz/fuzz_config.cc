// Any bytes as configuration: an error or a configuration, never a crash.
//
// Input: a byte that says where it comes from ('0' file's text, '1' --set, '2' environment, '3' a real file,
// '4' clients at run time), then the text; of '1' and '2' each line is one argument or variable, of '4' a
// change: the operation's digit, and NAME=VALUE.
//
// covers: broker/config/load base/toml_file broker/config/config.cc broker/config/listener_address
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "base/assert.h"
#include "broker/config/alter.h"
#include "broker/config/dynamic.h"
#include "broker/config/load.h"
#include "broker/config/settings.h"
#include "broker/config/tables.h"
#include "broker/config/topic_settings.h"

namespace {

using millrace::broker::config;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

bool load_from_real_file(config& into, std::string_view text) {
  const int fd = ::memfd_create("fuzz.toml", 0);
  MR_ASSERT(fd >= 0 && ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  const bool loaded = millrace::broker::load_file(into, "/proc/self/fd/" + std::to_string(fd)).has_value();
  ::close(fd);
  return loaded;
}

// What clients change at run time: of the broker, and, only to see what is said of it, of everything else.
bool load_changes(config& into, std::string_view text) {
  millrace::broker::config_changes wanted;
  for (const std::string& line : lines_of(text)) {
    const size_t equals = line.find('=');
    if (line.empty()) continue;
    auto& change = wanted.changes.emplace_back();
    change.op = static_cast<millrace::broker::alter_op>(line.front() - '0');
    change.name = line.substr(1, equals == std::string::npos ? equals : equals - 1);
    if (equals != std::string::npos) change.value = line.substr(equals + 1);
  }
  if (!millrace::broker::check_form(wanted.changes)) return false;
  (void)millrace::broker::altered_client_metrics({}, wanted);
  if (auto topic = millrace::broker::altered(millrace::broker::topic_keys(), {}, wanted))
    if (millrace::broker::check_topic_overrides(*topic))
      (void)millrace::broker::make_topic_settings(into, *topic);
  if (const auto settings = millrace::broker::make_settings(into))
    (void)millrace::broker::altered_group({}, wanted, *settings);
  const auto broker = millrace::broker::altered_broker({}, wanted);
  if (!broker) return false;
  into.set_at_run_time(*broker, *broker);
  for (const auto& [key, value] : *broker) MR_ASSERT(into.all_given(key).size() == 2);
  return true;
}

bool load(config& into, char source, std::string_view text) {
  switch (source) {
    case '1':
      for (const std::string& line : lines_of(text))
        if (!millrace::broker::load_assignment(into, line)) return false;
      return true;
    case '2': {
      const std::vector<std::string> lines = lines_of(text);
      std::vector<const char*> environment;
      for (const std::string& line : lines) environment.push_back(line.c_str());
      return millrace::broker::load_environment(into, environment).has_value();
    }
    case '3':
      return load_from_real_file(into, text);
    case '4':
      return load_changes(into, text);
    default:
      return millrace::broker::load_toml(into, text, "fuzz.toml").has_value();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  config c;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (load(c, text.front(), text.substr(1))) (void)millrace::broker::make_settings(c);
  return 0;
}
