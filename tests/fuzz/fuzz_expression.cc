// Any bytes as an expression of a bundled processor, about any record: a reason or a result, never a crash.
//
// Input: the expression, a NUL byte, and the record's value. It is read as JSON, and as CSV with three
// columns.
//
// covers: processors/bundled/expression.cc processors/bundled/lua_functions.cc processors/bundled/reader.cc
// covers: processors/sdk/millrace/json.h
#include <cstddef>
#include <cstdint>
#include <memory>
#include <millrace/json.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "processors/bundled/expression.h"
#include "processors/bundled/reader.h"
#include "processors/bundled/settings.h"

namespace {

using namespace millrace::bundled;
using millrace::failure;
using millrace::json;

std::optional<expression> compiled(const std::string& text) {
  try {
    return interpreter::make()->compile(settings({}), "x", text);
  } catch (const failure&) {
    return std::nullopt;
  }
}

std::optional<json> read(const reader& with, const millrace::record& from) {
  try {
    return with.read(from);
  } catch (const failure&) {
    return std::nullopt;
  }
}

// What an expression gives can be sent on, and read again.
void evaluate(const expression& text, const json& value, const millrace::record& from) {
  const row now{value, from};
  try {
    const std::string bytes = millrace::encode(text.evaluate(now));
    MR_ASSERT(millrace::encode(json::parse(bytes)) == bytes);
  } catch (const failure&) {
  }
  for (int form = 0; form < 3; ++form) try {
      if (form == 0) (void)text.number(now);
      if (form == 1) (void)text.key_text(now);
      if (form == 2) (void)text.truth(now);
    } catch (const failure&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  const size_t nul = all.find('\0');
  const std::string expression_text(all.substr(0, nul));
  const std::string_view rest = nul == std::string_view::npos ? std::string_view() : all.substr(nul + 1);
  const std::vector<char> value(rest.begin(), rest.end());  // of just its size

  static const reader as_json = [] {
    settings none({});
    return reader(none);
  }();
  static const reader as_csv = [] {
    settings with({{"format", "csv"}, {"columns", "a,b:number,c:boolean"}});
    return reader(with);
  }();
  millrace_record raw{};
  raw.timestamp_ms = 1000;
  raw.key = {"k", 1};
  raw.value = {value.data(), static_cast<int64_t>(value.size())};
  const millrace::record from(raw);
  const auto text = compiled(expression_text);
  for (const reader* one : {&as_json, &as_csv}) {
    const auto read_value = read(*one, from);
    if (!read_value) continue;
    const std::string bytes = millrace::encode(*read_value);
    MR_ASSERT(millrace::encode(json::parse(bytes)) == bytes);
    if (text) evaluate(*text, *read_value, from);
  }
  return 0;
}
