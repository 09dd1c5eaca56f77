#include "broker/config/load.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/toml_file.h"
#include "broker/config/key_spec.h"
#include "broker/config/processor_table.h"
#include "broker/config/tables.h"

namespace millrace::broker {
namespace {

// A configuration file larger than this is some other file.
constexpr size_t file_bytes_max = 1024 * 1024;

// Where something stands; what was not read from a text has no line.
std::string place(std::string_view file, const toml::source_region& source) {
  return source.begin.line == 0 ? std::string(file) : fmt::format("{}:{}", file, source.begin.line);
}
std::string place(std::string_view file, const toml::node& node) {
  return place(file, node.source());
}
std::string place(std::string_view file, const toml::key& key) {
  return place(file, key.source());
}

// A NUL would end a path or an address early when the system gets it.
bool is_text(std::string_view text) {
  return !text.contains('\0');
}

// A TOML value as the text that Kafka's properties files would have; nothing for tables, dates and what is no
// text.
std::optional<std::string> to_text(const toml::node& node) {
  if (const auto* value = node.as_string())
    return is_text(value->get()) ? std::optional(value->get()) : std::nullopt;
  if (const auto* value = node.as_integer()) return std::to_string(value->get());
  if (const auto* value = node.as_boolean()) return value->get() ? "true" : "false";
  if (const auto* value = node.as_floating_point()) return fmt::format("{}", value->get());
  const auto* array = node.as_array();
  if (array == nullptr) return std::nullopt;
  std::string joined;
  for (const toml::node& element : *array) {
    if (element.is_array()) return std::nullopt;
    const std::optional<std::string> text = to_text(element);
    if (!text) return std::nullopt;
    if (!joined.empty()) joined += ',';
    joined += *text;
  }
  return joined;
}

result<void> load_broker_table(config& into, const toml::table& table, std::string_view file) {
  for (const auto& [key, node] : table) {
    const std::string where = place(file, key);
    if (node.is_table()) {
      return fail(errc::invalid_config,
                  "{}: \"{}\" is a table; write Kafka's dotted keys in quotes: \"{}.…\" = …", where,
                  key.str(), key.str());
    }
    const std::optional<std::string> text = to_text(node);
    if (!text)
      return fail(errc::invalid_config, "{}: {}: a string, number, boolean or list of them is expected",
                  where, key.str());
    MR_TRY(into.set(key.str(), *text, value_source::file, where));
  }
  return {};
}

result<void> read_text(const toml::node& node, std::string_view key, std::string_view file,
                       std::string& out) {
  const auto* value = node.as_string();
  if (value == nullptr || value->get().empty() || !is_text(value->get())) {
    return fail(errc::invalid_config, "{}: {}: a string is expected", place(file, node), key);
  }
  out = value->get();
  return {};
}

// What a processor is configured with, as pairs of texts: what is in tables inside has their names in front
// of its own, with dots between them.
result<void> read_pairs(const toml::node& node, const std::string& key, std::string_view file,
                        std::vector<std::pair<std::string, std::string>>& out, const std::string& prefix = "",
                        int depth = 1) {
  constexpr int depth_max = 4;
  const toml::table* table = node.as_table();
  if (table == nullptr)
    return fail(errc::invalid_config, "{}: {}: a table is expected", place(file, node), key);
  for (const auto& [name, value] : *table) {
    const std::string whole_name = prefix + std::string(name.str());
    const std::string whole_key = fmt::format("{}.{}", key, name.str());
    if (value.is_table() && depth < depth_max) {
      MR_TRY(read_pairs(value, whole_key, file, out, whole_name + ".", depth + 1));
      continue;
    }
    const std::optional<std::string> text = to_text(value);
    if (!text)
      return fail(errc::invalid_config,
                  "{}: {}: a string, number, boolean, list of them or table is expected", place(file, name),
                  whole_key);
    if (std::ranges::find(out, whole_name, [](const auto& pair) { return pair.first; }) != out.end())
      return fail(errc::invalid_config, "{}: {} is there twice", place(file, name), whole_key);
    out.emplace_back(whole_name, *text);
  }
  return {};
}

// Each output is a topic, or { topic = "...", partition_by = "..." }.
result<void> read_outputs(const toml::node& node, std::string_view file, processor_entry& entry) {
  const toml::table* table = node.as_table();
  if (table == nullptr)
    return fail(errc::invalid_config, "{}: outputs: a table of topics is expected", place(file, node));
  for (const auto& [output, value] : *table) {
    const std::string key = fmt::format("outputs.{}", output.str());
    std::string topic;
    const toml::table* details = value.as_table();
    if (details == nullptr) {
      if (!value.is_string())
        return fail(errc::invalid_config,
                    "{}: {}: a topic, or {{ topic = \"…\", partition_by = \"…\" }}, is expected",
                    place(file, output), key);
      MR_TRY(read_text(value, key, file, topic));
    } else {
      for (const auto& [name, detail] : *details) {
        if (name.str() != "topic" && name.str() != "partition_by")
          return fail(errc::invalid_config, "{}: {}: unknown key \"{}\" (there are topic, partition_by)",
                      place(file, name), key, name.str());
        std::string& into =
            name.str() == "topic" ? topic : entry.partition_by.emplace_back(output.str(), "").second;
        MR_TRY(read_text(detail, fmt::format("{}.{}", key, name.str()), file, into));
      }
      if (topic.empty()) return fail(errc::invalid_config, "{}: {} has no topic", place(file, output), key);
    }
    entry.outputs.emplace_back(output.str(), topic);
  }
  return {};
}

// A number, a boolean or a string, as text.
result<void> read_plain(const toml::node& node, std::string_view key, std::string_view file,
                        std::string& out) {
  const std::optional<std::string> text = node.is_array() ? std::nullopt : to_text(node);
  if (!text) return fail(errc::invalid_config, "{}: {}: one value is expected", place(file, node), key);
  out = *text;
  return {};
}

}  // namespace

result<processor_entry> read_processor(const toml::table& table, std::string_view file) {
  static constexpr std::string_view keys[] = {"name",
                                              "library",
                                              "input",
                                              "inputs",
                                              "outputs",
                                              "config",
                                              "on_error",
                                              "dead_letter",
                                              "retries",
                                              "retry_backoff_ms",
                                              "state_bytes_max",
                                              "outbox_bytes_max",
                                              "external_writes",
                                              "start",
                                              "compression",
                                              "isolation",
                                              "process_bytes_max"};
  static constexpr std::pair<std::string_view, std::string processor_entry::*> texts[] = {
      {"name", &processor_entry::name},
      {"library", &processor_entry::library},
      {"input", &processor_entry::input},
      {"on_error", &processor_entry::on_error},
      {"dead_letter", &processor_entry::dead_letter},
      {"compression", &processor_entry::compression},
      {"isolation", &processor_entry::isolation}};
  static constexpr std::pair<std::string_view, std::string processor_entry::*> plain[] = {
      {"retries", &processor_entry::retries},
      {"retry_backoff_ms", &processor_entry::retry_backoff_ms},
      {"state_bytes_max", &processor_entry::state_bytes_max},
      {"outbox_bytes_max", &processor_entry::outbox_bytes_max},
      {"external_writes", &processor_entry::external_writes},
      {"start", &processor_entry::start},
      {"process_bytes_max", &processor_entry::process_bytes_max}};
  processor_entry entry;
  entry.where = place(file, table);
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    const auto named = [&](const auto& field) { return field.first == name; };
    if (const auto text = std::ranges::find_if(texts, named); text != std::end(texts)) {
      MR_TRY(read_text(node, name, file, entry.*text->second));
    } else if (const auto value = std::ranges::find_if(plain, named); value != std::end(plain)) {
      MR_TRY(read_plain(node, name, file, entry.*value->second));
    } else if (name == "outputs") {
      MR_TRY(read_outputs(node, file, entry));
    } else if (name == "inputs") {
      MR_TRY(read_pairs(node, std::string(name), file, entry.inputs));
    } else if (name == "config") {
      MR_TRY(read_pairs(node, std::string(name), file, entry.settings));
    } else {
      const std::string_view nearest = nearest_name(name, keys);
      return fail(errc::invalid_config, "{}: unknown processor key \"{}\"{}", place(file, key), name,
                  nearest.empty() ? fmt::format(" (there are {})", fmt::join(keys, ", "))
                                  : fmt::format("; did you mean \"{}\"?", nearest));
    }
  }
  return entry;
}

result<void> check_complete(const processor_entry& entry, bool needs_library) {
  if (entry.name.empty())
    return fail(errc::invalid_config, "{}: this [[processor]] has no name", entry.where);
  if (needs_library && entry.library.empty())
    return fail(errc::invalid_config, "{}: processor \"{}\" has no library", entry.where, entry.name);
  if (entry.input.empty() && entry.inputs.empty())
    return fail(errc::invalid_config, "{}: processor \"{}\" has no input", entry.where, entry.name);
  if (!entry.input.empty() && !entry.inputs.empty())
    return fail(errc::invalid_config, "{}: processor \"{}\" has input and inputs: one of them is enough",
                entry.where, entry.name);
  return {};
}

namespace {

result<void> load_processors(config& into, const toml::node& node, std::string_view file) {
  const toml::array* array = node.as_array();
  if (array == nullptr) {
    return fail(errc::invalid_config, "{}: write [[processor]] with two brackets; there may be several",
                place(file, node));
  }
  for (const toml::node& element : *array) {
    const toml::table* table = element.as_table();
    if (table == nullptr)
      return fail(errc::invalid_config, "{}: processor: a table is expected", place(file, element));
    result<processor_entry> entry = read_processor(*table, file);
    if (!entry) return fail(std::move(entry).error());
    MR_TRY(check_complete(*entry, true));
    for (const processor_entry& other : into.processors) {
      if (other.name == entry->name) {
        return fail(errc::invalid_config, "{}: processor \"{}\" is already defined at {}", entry->where,
                    entry->name, other.where);
      }
    }
    into.processors.push_back(*std::move(entry));
  }
  return {};
}

// "log.dirs" -> "MILLRACE_LOG_DIRS"
std::string environment_name(std::string_view key) {
  std::string name = "MILLRACE_";
  for (const char c : key)
    name += c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

}  // namespace

result<void> load_toml(config& into, std::string_view text, std::string_view file_name) {
  const result<toml::table> parsed = parse_toml(text, file_name);
  if (!parsed) return fail(parsed.error());
  for (const auto& [key, node] : *parsed) {
    if (key.str() == "broker") {
      const toml::table* table = node.as_table();
      if (table == nullptr)
        return fail(errc::invalid_config, "{}: [broker] is a table", place(file_name, key));
      MR_TRY(load_broker_table(into, *table, file_name));
    } else if (key.str() == "processor") {
      MR_TRY(load_processors(into, node, file_name));
    } else {
      return fail(errc::invalid_config, "{}: unknown table \"{}\"; there are [broker] and [[processor]]{}",
                  place(file_name, key), key.str(),
                  find_key(broker_keys(), key.str()) ? " (broker keys go under [broker])" : "");
    }
  }
  return {};
}

result<void> load_file(config& into, const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail(errc::invalid_config, "{}: {}", path, std::strerror(errno));
  std::string text;
  std::array<char, 16 * 1024> chunk;
  while (text.size() <= file_bytes_max) {
    const ssize_t n = ::read(fd, chunk.data(), chunk.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int code = errno;
      ::close(fd);
      return fail(errc::invalid_config, "{}: {}", path, std::strerror(code));
    }
    if (n == 0) break;
    text.append(chunk.data(), static_cast<size_t>(n));
  }
  ::close(fd);
  if (text.size() > file_bytes_max)
    return fail(errc::invalid_config, "{}: larger than 1 MiB; is it a configuration file?", path);
  return load_toml(into, text, path);
}

result<std::vector<std::string>> load_environment(config& into, std::span<const char* const> environment) {
  std::vector<std::string> unknown;
  for (const char* entry : environment) {
    const std::string_view pair = entry;
    const size_t equals = pair.find('=');
    if (!pair.starts_with("MILLRACE_") || equals == std::string_view::npos) continue;
    const std::string_view name = pair.substr(0, equals);
    bool taken = false;
    for (const auto table : {broker_keys(), idle_keys()}) {
      for (const key_spec& spec : table) {
        if (environment_name(spec.name) != name) continue;
        MR_TRY(into.set(spec.name, pair.substr(equals + 1), value_source::environment, std::string(name)));
        taken = true;
      }
    }
    if (!taken) unknown.emplace_back(name);
  }
  return unknown;
}

result<void> load_assignment(config& into, std::string_view assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    return fail(errc::invalid_config, "--set {}: write it as key=value", assignment);
  }
  return into.set(trim(assignment.substr(0, equals)), assignment.substr(equals + 1),
                  value_source::command_line, fmt::format("--set {}", assignment));
}

}  // namespace millrace::broker
