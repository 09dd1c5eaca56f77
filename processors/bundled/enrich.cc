// enrich: adds to each record what a table, the topic of another input, has under its key.
//
//   fields.NAME = "name"           an expression on the table's entry: a field of the result
//   under = "customer"             a field of the result that takes the whole entry
//   missing = "keep"               what becomes of a record whose key is not in the table: "keep" it as it
//                                  is (the default), "drop" it, or "fail"
//   key, within_partition          what it is looked up by: record_key.h
//   table.format, table.columns, table.separator
//                                  how the table's values are to be read: reader.h
//
// The store "table" holds the latest value of each key of the table: its timestamp (8 bytes, big-endian), and
// the value as JSON.
#include <memory>
#include <millrace/ktable.h>
#include <utility>

#include "processors/bundled/expression.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/pass.h"
#include "processors/bundled/reader.h"
#include "processors/bundled/record_key.h"

namespace millrace::bundled {
namespace {

class enricher {
 public:
  enricher(topology& t, settings& from);
  // A record of the table: the value of its key from now on, or none.
  void learn(const record& one, const detail::moment& when) const;
  void take(const record& one, const detail::moment& when) const;

 private:
  std::string describe() const;

  reader source_;
  reader table_source_;
  std::shared_ptr<interpreter> lua_ = interpreter::make();
  record_key key_;
  std::vector<std::pair<std::string, expression>> fields_;
  std::optional<std::string> under_;
  std::string missing_;
  store table_;
  output out_;
};

enricher::enricher(topology& t, settings& from)
    : source_(from),
      table_source_(from, "table."),
      key_(from, *lua_, "records must be in the partition that has their entry of the table"),
      under_(from.text("under")),
      missing_(from.choice("missing", {"keep", "drop", "fail"})) {
  for (const auto& [name, text] : from.table("fields"))
    fields_.emplace_back(name, lua_->compile(from, "fields." + name, text));
  if (fields_.empty() && !under_)
    from.refuse("fields",
                "a table of NAME = \"expression on the table's entry\" is expected, or under = NAME");
  if (under_ && under_->empty()) from.refuse("under", "a name is expected");
  for (const auto& field : fields_)
    if (under_ == field.first) from.refuse("under", "fields has one of that name already");

  const std::size_t records = t.add_step({"from", "records", {}, {}, true});
  const std::size_t entries = t.add_step({"from", "table", {}, {}, true});
  const std::size_t kept = t.add_step({"to_table", "", {entries}, {}, false});
  const std::size_t step = t.add_step({"enrich", describe(), {records, kept}, {}, false});
  table_ = t.add_store(kept, "table");
  t.add_step({"to", main_output, {step}, {}, true});
  out_ = t.add_output(main_output);
}

std::string enricher::describe() const {
  std::string text = "by " + key_.describe();
  for (const auto& [name, field] : fields_) text += ", " + name + " = " + field.text();
  if (under_) text += ", under " + *under_;
  return text + ", missing: " + missing_;
}

void enricher::learn(const record& one, const detail::moment& when) const {
  if (!one.key()) return when.ctx().count("table_records_without_key");
  if (one.value())
    when.of->put(table_, *one.key(), detail::stamped(when.timestamp_ms, encode(table_source_.read(one))));
  else
    when.of->erase(table_, *one.key());
}

std::string shown(const std::string& key) {
  return detail::is_utf8(key) ? encode(json(key)).substr(0, 100) : "that it has, which is not UTF-8";
}

void enricher::take(const record& one, const detail::moment& when) const {
  json value = source_.read(one);
  const auto key = key_.of({value, one});
  const maybe_bytes found = key ? when.ctx().get(table_, *key) : std::nullopt;
  if (!found) {
    if (missing_ == "drop") return when.ctx().count("dropped");
    if (missing_ == "fail")
      throw failure(key ? "the table has nothing under the key " + shown(*key)
                        : "there is no key to be looked up in the table");
    return pass_as(value, one, out_, when);
  }
  json entry = json::parse(detail::unstamped(*found));
  for (const auto& [name, field] : fields_) {
    json result = field.evaluate({entry, one});
    if (result.is_null())
      value.remove(name);
    else
      value[name] = std::move(result);
  }
  if (under_) value[*under_] = std::move(entry);
  pass_as(value, one, out_, when);
}

}  // namespace

void build_enrich(topology& t, settings& from) {
  t.keep_headers();
  const auto all = std::make_shared<const enricher>(t, from);
  // The table first: of records of equal age, those of the first input are taken first.
  t.add_input("table", [all](const record& one, const detail::moment& when) { all->learn(one, when); });
  t.add_input("records", [all](const record& one, const detail::moment& when) { all->take(one, when); });
}

}  // namespace millrace::bundled
