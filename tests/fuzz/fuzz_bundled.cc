// Any bytes as the configuration of a bundled processor, or as records for one: a reason, never a crash.
//
// Input: a byte, and the rest by what it is: 't' a configuration file, as ./dev run takes it; 'o' the options
// of one processor, a line each, KEY=VALUE; else the number of a processor of `configured` below, and its
// records, a line each: key, a tab, how far the time has gone on in ms, a tab, and the value, in the order of
// their arrival. A line that begins with ! is of the table of `enrich`; a value of ~ is null.
//
// covers: processors/bundled/aggregate processors/bundled/alert.cc processors/bundled/clean
// covers: processors/bundled/enrich.cc processors/bundled/exact_sum.cc processors/bundled/filter.cc
// covers: processors/bundled/group_key.cc processors/bundled/kinds.cc processors/bundled/map.cc
// covers: processors/bundled/record_key.cc processors/bundled/route.cc processors/bundled/sample.cc
// covers: processors/bundled/seen.cc processors/bundled/settings.cc processors/sdk/millrace/sketches.h
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <millrace/harness.h>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "broker/config/config.h"
#include "broker/config/load.h"
#include "processors/bundled/entry.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/settings.h"

namespace {

using millrace::failure;
using millrace::harness;
using millrace::topology;
using millrace::bundled::options;

// All kinds, and what each can do.
const std::vector<harness::options>& configured() {
  static const std::vector<harness::options> all{
      {{"processor", "filter"}, {"keep", "a > 1 or b == 'x'"}},
      {{"processor", "map"},
       {"fields.x", "a * 2"},
       {"fields.y", "b"},
       {"others", "keep"},
       {"remove", "c"},
       {"key", "b"},
       {"timestamp", "a"}},
      {{"processor", "clean"},
       {"fields.a.cast", "number"},
       {"fields.a.min", "-5"},
       {"fields.a.max", "5"},
       {"fields.b.trim", "true"},
       {"fields.b.default", "none"},
       {"fields.c.cast", "whole"},
       {"fields.c.missing", "drop"},
       {"fields.c.max", "9"},
       {"fields.c.outside", "fail"},
       {"fields.d.e.cast", "boolean"},
       {"fields.d.f.cast", "text"},
       {"unique", "b"},
       {"within", "50ms"}},
      {{"processor", "aggregate"},
       {"window", "100ms"},
       {"every", "40ms"},
       {"grace", "20ms"},
       {"late", "true"},
       {"results.n", "count()"},
       {"results.t", "count(b)"},
       {"results.s", "sum(a)"},
       {"results.m", "mean(a)"},
       {"results.min", "min(a)"},
       {"results.max", "max(a)"},
       {"results.v", "variance(a)"},
       {"results.q", "quantile(a, 0.9)"},
       {"results.d", "distinct(b)"},
       {"results.top", "top(1, b)"},
       {"results.w", "top(1, b, c)"}},
      {{"processor", "aggregate"},
       {"session", "30ms"},
       {"grace", "40ms"},
       {"results.s", "sum(a)"},
       {"results.m", "stddev(a)"},
       {"results.min", "min(a)"},
       {"results.max", "max(a)"},
       {"results.q", "quantile(a, 0)"},
       {"results.d", "distinct(a)"},
       {"results.top", "top(2, a, a)"}},
      {{"processor", "aggregate"},
       {"sliding", "50ms"},
       {"emit", "update"},
       {"key", "b"},
       {"within_partition", "true"},
       {"results.s", "sum(a)"}},
      {{"processor", "aggregate"}, {"results.s", "sum(a)"}, {"results.q", "quantile(a, 1)"}},
      {{"processor", "alert"},
       {"value", "a"},
       {"above", "3"},
       {"below", "-3"},
       {"margin", "0.5"},
       {"rise", "4"},
       {"fall", "4"},
       {"per", "10ms"},
       {"absent", "60ms"}},
      {{"processor", "route"}, {"outputs.x", "a > 1"}, {"outputs.y", "b == 'x'"}, {"rest", "z"}},
      {{"processor", "sample"}, {"share", "0.5"}, {"by", "b"}},
      {{"processor", "sample"}, {"share", "0.5"}},
      {{"processor", "enrich"},
       {"fields.x", "a * 2"},
       {"fields.y", "c"},
       {"under", "t"},
       {"missing", "fail"}},
      {{"processor", "enrich"},
       {"key", "b"},
       {"within_partition", "true"},
       {"missing", "drop"},
       {"fields.x", "a"},
       {"table.format", "csv"},
       {"table.columns", "a:number,b"},
       {"table.separator", ";"}}};
  return all;
}

std::vector<std::string_view> parts_of(std::string_view text, char separator, size_t most = SIZE_MAX) {
  std::vector<std::string_view> parts;
  while (parts.size() + 1 < most && text.find(separator) != std::string_view::npos) {
    parts.push_back(text.substr(0, text.find(separator)));
    text.remove_prefix(text.find(separator) + 1);
  }
  parts.push_back(text);
  return parts;
}

// Its steps, if they can be built.
void build(const options& all) {
  try {
    millrace::bundled::settings from(all);
    topology steps("fuzzed", "1", nullptr);
    millrace::bundled::find_kind(from)(steps, from);
    from.finish();
    MR_ASSERT(steps.has_source() && !steps.describe().empty() && !steps.graph().empty());
  } catch (const failure&) {
  }
}

void build_of_file(std::string_view text) {
  millrace::broker::config given;
  if (!millrace::broker::load_toml(given, text, "fuzz.toml")) return;
  for (const auto& one : given.processors) build({one.settings.begin(), one.settings.end()});
}

void build_of_lines(std::string_view text) {
  options all;
  for (const std::string_view line : parts_of(text, '\n')) {
    const auto parts = parts_of(line, '=', 2);
    all.emplace(parts.front(), parts.size() == 2 ? parts.back() : "");
  }
  build(all);
}

std::vector<harness::input> records_of(std::string_view text, bool has_table) {
  std::vector<harness::input> records;
  int64_t now = 1'000'000;
  for (std::string_view line : parts_of(text, '\n')) {
    const bool is_of_table = line.substr(0, 1) == "!";
    if (is_of_table) line.remove_prefix(1);
    const auto parts = parts_of(line, '\t', 3);
    if (parts.size() < 3) continue;
    const auto step = millrace::bundled::to_whole(parts[1]);
    now += step ? std::clamp<int64_t>(*step, -1000, 1000) : 0;
    harness::input one{std::string(parts[0]), std::string(parts[2]), now, {}};
    if (parts[0] == "~") one.key.reset();
    if (parts[2] == "~") one.value.reset();
    if (has_table) one.from = is_of_table ? "table" : "records";
    records.push_back(std::move(one));
  }
  return records;
}

const millrace_processor* table_of(const harness::options& with) {
  std::vector<millrace_option> raw;
  const auto view = [](const std::string& text) {
    return millrace_bytes{text.data(), static_cast<int64_t>(text.size())};
  };
  for (const auto& [key, value] : with) raw.push_back({view(key), view(value)});
  return millrace::bundled::table_for(raw.data(), static_cast<uint32_t>(raw.size()), sizeof(millrace_option));
}

// The same comes of them whatever calls they are cut into, and each ends: nobody waits for one that fails.
void run(const harness::options& with, std::string_view text) {
  const auto records = records_of(text, with.at("processor") == "enrich");
  harness whole(table_of(with), with);
  harness cut(table_of(with), with);
  whole.feed_all(records, 1);
  for (const harness::input& one : records) cut.feed(one);
  MR_ASSERT(whole.output().size() == cut.output().size());
  MR_ASSERT(whole.failures().size() == cut.failures().size());
  for (size_t i = 0; i < whole.output().size(); ++i)
    MR_ASSERT(whole.output()[i].value == cut.output()[i].value &&
              whole.output()[i].key == cut.output()[i].key);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view rest(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 't')
    build_of_file(rest);
  else if (data[0] == 'o')
    build_of_lines(rest);
  else
    run(configured()[data[0] % configured().size()], rest);
  return 0;
}
