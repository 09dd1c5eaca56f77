// millrace-processor-test: runs a processor over a file of records, without a broker.
//
//   millrace-processor-test PLUGIN.so --input FILE [--expect FILE] [--config KEY=VALUE ...] [--json] [--seed
//   N]
//   millrace-processor-test PLUGIN.so --describe text|graph [--config KEY=VALUE ...]
//
// Stands on nothing but what processors themselves are built with: the C contract and the SDK's harness,
// which plays the broker. `millrace processor test` calls it.
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <fstream>
#include <iostream>
#include <map>
#include <millrace/harness.h>
#include <millrace/json.h>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "processors/host/bundled_library.h"

namespace {

using millrace::failure;
using millrace::harness;
using millrace::json;

constexpr const char* usage =
    "usage: millrace processor test PROCESSOR --input [NAME=]FILE [--expect FILE] [--config KEY=VALUE ...] "
    "[--json] "
    "[--seed N]\n"
    "                               [--partition N] [--partition-by OUTPUT=key:COUNT|OUTPUT=processor:COUNT "
    "...]\n"
    "       millrace processor test PROCESSOR --describe text|graph [--config KEY=VALUE ...]\n"
    "\n"
    "PROCESSOR is a shared object, \"bundled\" for the bundled processors, or a TOML file with one "
    "[[processor]].\n"
    "Runs a processor over the records of a file, in a process of its own, and prints what it emits, or "
    "compares it\n"
    "with what is expected. Exit codes: 0 done, or as expected; 1 not; 2 wrong usage.\n"
    "\n"
    "  --input FILE         one record a line; with --json {\"key\": .., \"value\": .., \"timestamp\": .., "
    "\"headers\": {..}},\n"
    "                       else the line is the value, its number the timestamp, and there is no key. - is "
    "stdin.\n"
    "  --input NAME=FILE    for a processor with several inputs, once for each: their records are taken by "
    "timestamp\n"
    "  --expect FILE        what must come out, in the form in which it is printed\n"
    "  --config KEY=VALUE   configuration, as in a [[processor]] table; may be given several times\n"
    "  --json               print {\"output\": .., \"key\": .., \"value\": .., \"timestamp\": .., "
    "\"headers\": {..}},\n"
    "                       else OUTPUT, KEY and VALUE with tabs between them. A record that failed is on "
    "standard\n"
    "                       error; it leaves nothing behind, and the rest is processed.\n"
    "  --partition N        the partition of the input, 0 if not given\n"
    "  --partition-by OUTPUT=key:COUNT or OUTPUT=processor:COUNT\n"
    "                       the output goes to other partitions, of a topic with COUNT; for these "
    "OUTPUT/PARTITION,\n"
    "                       with --json \"partition\", is printed; may be given several times\n"
    "  --seed N             how records are cut into calls; the results must be the same for each\n"
    "  --describe text      print the steps of a processor that is made of steps (millrace/stream.h), and "
    "its "
    "stores;\n"
    "  --describe graph     the same for Graphviz\n";

struct arguments {
  std::string plugin;
  std::vector<std::string> inputs;
  std::string expect;
  std::string describe;
  harness::options config;
  bool is_json = false;
  std::int32_t partition = 0;
  struct route {
    bool is_by_key = false;
    std::int32_t partitions = 0;
  };
  std::map<std::string, route> routes;  // by output
  std::uint64_t seed = 1;
};

// A whole number from `least` on.
bool read_number(const std::string& text, std::int32_t least, std::int32_t& into) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), into);
  return code == std::errc{} && end == text.data() + text.size() && into >= least;
}

// "OUTPUT=key:COUNT" or "OUTPUT=processor:COUNT"
bool read_route(const std::string& text, arguments& into) {
  const std::size_t equals = text.find('=');
  const std::size_t colon = text.rfind(':');
  if (equals == std::string::npos || colon == std::string::npos || colon < equals) return false;
  const std::string how = text.substr(equals + 1, colon - equals - 1);
  arguments::route& route = into.routes[text.substr(0, equals)];
  route.is_by_key = how == "key";
  return (how == "key" || how == "processor") && read_number(text.substr(colon + 1), 1, route.partitions);
}

// False if they make no sense.
bool parse(int argc, char** argv, arguments& into) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    const auto next = [&](std::string& to) {
      if (i + 1 == argc) return false;
      to = argv[++i];
      return true;
    };
    std::string text;
    if (word == "--json") {
      into.is_json = true;
    } else if (word == "--input") {
      if (!next(text)) return false;
      into.inputs.push_back(text);
    } else if (word == "--expect") {
      if (!next(into.expect)) return false;
    } else if (word == "--describe") {
      if (!next(into.describe) || (into.describe != "text" && into.describe != "graph")) return false;
    } else if (word == "--seed") {
      if (!next(text)) return false;
      into.seed = std::strtoull(text.c_str(), nullptr, 10);
    } else if (word == "--partition") {
      if (!next(text) || !read_number(text, 0, into.partition)) return false;
    } else if (word == "--partition-by") {
      if (!next(text) || !read_route(text, into)) return false;
    } else if (word == "--config") {
      const bool has_text = next(text);
      const std::size_t equals = text.find('=');
      if (!has_text || equals == std::string::npos) return false;
      into.config[text.substr(0, equals)] = text.substr(equals + 1);
    } else if (word.substr(0, 2) == "--" || !into.plugin.empty()) {
      return false;
    } else {
      into.plugin = word;
    }
  }
  return !into.plugin.empty() && into.inputs.empty() != into.describe.empty();
}

std::vector<std::string> lines_of(std::istream& in) {
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<std::string> lines_of(const std::string& path) {
  if (path == "-") return lines_of(std::cin);
  std::ifstream file(path);
  if (!file) throw failure("cannot open " + path);
  return lines_of(file);
}

const millrace_processor* table_for(millrace_processor_entry_for_fn entry, const harness::options& config) {
  std::vector<millrace_option> options;
  const auto view = [](const std::string& text) {
    return millrace_bytes{text.data(), static_cast<std::int64_t>(text.size())};
  };
  for (const auto& [key, value] : config) options.push_back({view(key), view(value)});
  char why[4096] = {};
  const millrace_processor* table =
      entry(MILLRACE_PROCESSOR_ABI_VERSION, options.data(), static_cast<std::uint32_t>(options.size()),
            sizeof(millrace_option), why, sizeof(why));
  if (!table && why[0] != '\0') throw failure(why);
  return table;
}

const millrace_processor* load(const std::string& given, const harness::options& config) {
  const std::string path = millrace::processors::library_path(given);
  // Without a slash dlopen would look among the system's libraries.
  const std::string where = path.find('/') == std::string::npos ? "./" + path : path;
  void* handle = dlopen(where.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw failure(path + " cannot be loaded: " + dlerror());
  if (const auto entry_for = reinterpret_cast<millrace_processor_entry_for_fn>(
          dlsym(handle, MILLRACE_PROCESSOR_ENTRY_FOR_SYMBOL)))
    return table_for(entry_for, config);
  const auto entry =
      reinterpret_cast<millrace_processor_entry_fn>(dlsym(handle, MILLRACE_PROCESSOR_ENTRY_SYMBOL));
  if (!entry)
    throw failure(path + " is not a Millrace processor: it does not export " MILLRACE_PROCESSOR_ENTRY_SYMBOL);
  return entry(MILLRACE_PROCESSOR_ABI_VERSION);
}

harness::optional_bytes text_of(const json& value) {
  if (value.is_null()) return std::nullopt;
  // What is no text is meant as JSON itself.
  return value.is_text() ? value.text() : millrace::encode(value);
}

harness::input record_of(const std::string& line, std::size_t number, bool is_json) {
  harness::input record;
  if (!is_json) {
    record.value = line;
    record.timestamp_ms = static_cast<std::int64_t>(number);
    return record;
  }
  try {
    const json fields = json::parse(line);
    for (const auto& [name, value] : fields.object_members()) {
      if (name == "key")
        record.key = text_of(value);
      else if (name == "value")
        record.value = text_of(value);
      else if (name == "timestamp")
        record.timestamp_ms = value.whole();
      else if (name == "headers")
        for (const auto& [key, header] : value.object_members())
          record.headers.emplace_back(key, text_of(header));
      else
        throw failure("a record has no \"" + name + "\"; it has key, value, timestamp and headers");
    }
  } catch (const std::exception& e) {
    throw failure("input line " + std::to_string(number + 1) + ": " + e.what());
  }
  return record;
}

json json_of(const harness::optional_bytes& bytes) {
  if (!bytes) return {};
  if (!millrace::detail::is_utf8(*bytes))
    throw failure("an emitted record is not UTF-8, so it cannot be shown as JSON");
  return json(*bytes);
}

std::string line_of(const harness::emitted& e, const arguments& given) {
  const bool is_routed = given.routes.count(e.output) > 0;
  const std::string way = is_routed ? "/" + std::to_string(e.partition) : "";
  if (!given.is_json) return e.output + way + "\t" + e.key.value_or("") + "\t" + e.value.value_or("");
  json line;
  line["output"] = e.output;
  if (is_routed) line["partition"] = std::int64_t{e.partition};
  line["key"] = json_of(e.key);
  line["value"] = json_of(e.value);
  line["timestamp"] = e.timestamp_ms;
  if (!e.headers.empty()) {
    json& headers = line["headers"];
    for (const auto& [key, value] : e.headers) headers[key] = json_of(value);
  }
  return millrace::encode(line);
}

// Says where the two differ first; true if nowhere.
bool compare(const std::vector<std::string>& expected, const std::vector<std::string>& there) {
  std::size_t at = 0;
  while (at < expected.size() && at < there.size() && expected[at] == there[at]) ++at;
  if (at == expected.size() && at == there.size()) {
    std::printf("%zu records, as expected\n", there.size());
    return true;
  }
  const auto line = [at](const std::vector<std::string>& lines) {
    return at < lines.size() ? lines[at] : "(the end)";
  };
  std::fprintf(stderr, "line %zu differs\n  expected: %s\n  emitted:  %s\n", at + 1, line(expected).c_str(),
               line(there).c_str());
  return false;
}

int describe(const arguments& given) {
  const millrace_processor* table = load(given.plugin, given.config);
  if (!table) throw failure("the processor does not work with this version of the contract");
  constexpr std::size_t bytes =
      offsetof(millrace_processor, topology_graph) + sizeof(millrace_processor::topology_graph);
  const bool knows = table->struct_size >= bytes && table->topology && table->topology_graph;
  if (!knows) throw failure(given.plugin + " is not made of steps that it could tell");
  std::fputs(given.describe == "text" ? table->topology : table->topology_graph, stdout);
  return EXIT_SUCCESS;
}

std::vector<harness::input> records_of(const std::string& file, bool is_json) {
  std::vector<harness::input> records;
  for (const std::string& line : lines_of(file)) {
    if (is_json && line.empty()) continue;
    records.push_back(record_of(line, records.size(), is_json));
  }
  return records;
}

// How many inputs the processor has names for.
std::uint32_t input_count(const millrace_processor* table) {
  constexpr std::size_t bytes = offsetof(millrace_processor, inputs) + sizeof(millrace_processor::inputs);
  return table && table->struct_size >= bytes ? table->input_count : 0;
}

// Of all inputs, the oldest first; of equal age, those of the first file.
std::vector<harness::input> records_of(const arguments& given, const millrace_processor* table) {
  if (input_count(table) == 0) {
    if (given.inputs.size() > 1) throw failure("the processor has one input");
    return records_of(given.inputs[0], given.is_json);
  }
  std::multimap<std::int64_t, harness::input> by_time;
  for (const std::string& input : given.inputs) {
    const std::size_t equals = input.find('=');
    if (equals == std::string::npos)
      throw failure("--input " + input + ": the processor has several inputs, so NAME=FILE is expected");
    for (harness::input& record : records_of(input.substr(equals + 1), given.is_json)) {
      record.from = input.substr(0, equals);
      const std::int64_t at = record.timestamp_ms;
      by_time.emplace(at, std::move(record));
    }
  }
  std::vector<harness::input> records;
  for (auto& [at, record] : by_time) records.push_back(std::move(record));
  return records;
}

int run(const arguments& given) {
  const millrace_processor* table = load(given.plugin, given.config);
  const std::vector<harness::input> records = records_of(given, table);
  harness h(table, given.config, given.partition);
  for (const auto& [output, route] : given.routes)
    route.is_by_key ? h.partition_by_key(output, route.partitions)
                    : h.partition_by_processor(output, route.partitions);
  h.feed_all(records, given.seed);
  for (const harness::failed& f : h.failures())
    std::fprintf(stderr, "record %lld%s%s failed%s: %s\n", static_cast<long long>(f.offset + 1),
                 f.from.empty() ? "" : " of ", f.from.c_str(), f.is_timer ? " (a timer)" : "", f.why.c_str());
  std::vector<std::string> lines;
  for (const harness::emitted& e : h.output()) lines.push_back(line_of(e, given));
  if (!given.expect.empty()) return compare(lines_of(given.expect), lines) ? EXIT_SUCCESS : EXIT_FAILURE;
  for (const std::string& line : lines) std::printf("%s\n", line.c_str());
  return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) {
  arguments given;
  if (argc == 2 && (std::string_view(argv[1]) == "--help" || std::string_view(argv[1]) == "-h"))
    return std::fputs(usage, stdout), EXIT_SUCCESS;
  if (!parse(argc, argv, given)) return std::fputs(usage, stderr), 2;
  try {
    return given.describe.empty() ? run(given) : describe(given);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "millrace processor test: %s\n", e.what());
    return EXIT_FAILURE;
  }
}
