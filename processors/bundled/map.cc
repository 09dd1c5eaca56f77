// map: records with other fields, another key or another timestamp.
//
//   fields.NAME = "speed * 3.6"     a field of the result; left out where it is nil
//   others = "keep"                 what becomes of fields that are not named: "drop" (the default) or "keep"
//   remove = ["debug", "trace"]     with others = "keep": not these
//   key = "road"                    the key of the result; without it the record's own
//   timestamp = "ts"                the timestamp of the result, in milliseconds; without it the record's own
#include <memory>
#include <utility>

#include "processors/bundled/expression.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/reader.h"

namespace millrace::bundled {
namespace {

class mapper {
 public:
  explicit mapper(settings& from) : source_(from) {
    const auto lua = interpreter::make();
    for (const auto& [name, text] : from.table("fields"))
      fields_.emplace_back(name, lua->compile(from, "fields." + name, text));
    keeps_others_ = from.choice("others", {"drop", "keep"}) == "keep";
    removed_ = from.list("remove");
    if (!removed_.empty() && !keeps_others_) from.refuse("remove", "it goes with others = \"keep\"");
    if (const auto text = from.text("key")) key_.push_back(lua->compile(from, "key", *text));
    if (const auto text = from.text("timestamp"))
      timestamp_.push_back(lua->compile(from, "timestamp", *text));
    if (fields_.empty() && !keeps_others_)
      from.refuse("fields", "a table of NAME = \"expression\" is expected, or others = \"keep\"");
  }

  void process(const record& one, output out, const detail::moment& when) const {
    const json value = source_.read(one);
    const row now{value, one};
    json made = json::object();
    if (keeps_others_) {
      made = value;
      for (const std::string& name : removed_) made.remove(name);
    }
    for (const auto& [name, field] : fields_) {
      json result = field.evaluate(now);
      if (!result.is_null())
        made[name] = std::move(result);
      else if (keeps_others_)
        made.remove(name);
    }
    const std::string bytes = encode(made);
    emission sent(one);
    sent.value(bytes);
    std::optional<std::string> key;
    if (!key_.empty()) {
      key = key_[0].key_text(now);
      if (!key) throw failure("key = \"" + key_[0].text() + "\": it is missing");
      sent.key(*key);
    }
    if (!timestamp_.empty()) sent.timestamp_ms(timestamp_of(now));
    when.ctx().emit(out, sent);
  }

  std::string describe() const {
    std::string text;
    for (const auto& [name, field] : fields_)
      text += (text.empty() ? "" : ", ") + name + " = " + field.text();
    if (keeps_others_) text += text.empty() ? "all fields" : ", others stay";
    if (!key_.empty()) text += ", key = " + key_[0].text();
    if (!timestamp_.empty()) text += ", timestamp = " + timestamp_[0].text();
    return text;
  }

 private:
  std::int64_t timestamp_of(const row& now) const {
    const json value = timestamp_[0].evaluate(now);
    const auto refuse = [&] {
      throw failure("timestamp = \"" + timestamp_[0].text() +
                    "\": whole milliseconds since 1970 are expected, and it is " +
                    encode(value).substr(0, 100));
    };
    if (!value.is_number()) refuse();
    const double ms = value.number();
    if (!(ms >= 0 && ms < 9e15)) refuse();
    return value.is_whole() ? value.whole() : static_cast<std::int64_t>(ms);
  }

  reader source_;
  std::vector<std::pair<std::string, expression>> fields_;
  bool keeps_others_ = false;
  std::vector<std::string> removed_;
  std::vector<expression> key_;        // one or none
  std::vector<expression> timestamp_;  // one or none
};

}  // namespace

void build_map(topology& t, settings& from) {
  const auto all = std::make_shared<mapper>(from);
  t.keep_headers();
  const std::size_t first = t.add_step({"from", "input", {}, {}, true});
  const std::size_t map = t.add_step({"map", all->describe(), {first}, {}, false});
  t.add_step({"to", main_output, {map}, {}, true});
  t.set_source([all, out = t.add_output(main_output)](const record& one, const detail::moment& when) {
    all->process(one, out, when);
  });
}

}  // namespace millrace::bundled
