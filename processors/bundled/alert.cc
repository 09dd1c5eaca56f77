// alert: says once when something begins to be wrong with a key, and once when that is over.
//
//   value = "mean_speed"      what is looked at; a record without it only shows that its key is there
//   above = 24, below = 18    wrong beyond a threshold; with both, outside of a band
//   margin = 0.5              over when it is so far inside of the threshold; 0 if not given
//   rise = 5, fall = 5        wrong if it changes by more than that from one record of the key to the next,
//   per = "1min"              reckoned per this time
//   absent = "5min"           wrong if the stream time has gone on so far without a record of the key
//   key, within_partition, key_name: group_key.h
//
// A result is {"key": .., "condition": "above", "state": "fired" or "cleared", "at": .., "since": ..,
// "value": .., "limit": ..}. Records that are older than the latest of their key are passed over, and counted
// as `late`.
//
// The store "keys" holds for each key its latest record and what is wrong, as JSON; "keys-calendar" when it
// becomes absent (millrace/window_store.h).
#include <cmath>
#include <memory>
#include <millrace/window_store.h>
#include <millrace/windows.h>
#include <utility>

#include "processors/bundled/expression.h"
#include "processors/bundled/group_key.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/reader.h"

namespace millrace::bundled {
namespace {

class watch {
 public:
  watch(topology& t, settings& from);
  void take(const record& one, const detail::moment& when) const;
  // Keys that have become absent.
  void work_off(detail::work& of, std::uint64_t bytes_max) const {
    detail::work_off(of, bytes_max, calendar_, detail::to_close,
                     [&](std::string_view key) { become_absent(key, of); });
  }

 private:
  // What a record, or its absence, does to a condition.
  struct finding {
    bool fires = false;
    bool clears = false;
    json value;
    json limit;
  };
  static constexpr const char* conditions[] = {"above", "below", "rise", "fall"};

  std::optional<finding> look(std::string_view condition, std::int64_t at, double value,
                              const json& before) const;
  void settle(json& state, const std::string& key, const char* condition, const finding& f, std::int64_t at,
              const detail::moment& when) const;
  void become_absent(std::string_view key, detail::work& of) const;
  std::int64_t absent_at(std::int64_t latest) const { return detail::later(latest, *absent_ms_); }

  reader source_;
  std::shared_ptr<interpreter> lua_ = interpreter::make();
  group_key key_;
  std::vector<expression> value_;  // one or none
  std::optional<double> above_, below_, rise_, fall_;
  double margin_ = 0;
  std::int64_t per_ms_ = 0;
  std::optional<std::int64_t> absent_ms_;
  store kept_;
  store calendar_;
  output out_;
};

watch::watch(topology& t, settings& from)
    : source_(from),
      key_(from, *lua_),
      above_(from.number("above")),
      below_(from.number("below")),
      rise_(from.number("rise")),
      fall_(from.number("fall")),
      absent_ms_(from.duration_ms("absent", 1)) {
  const auto value = from.text("value");
  const auto margin = from.number("margin");
  const auto per = from.duration_ms("per", 1);
  const bool has_bounds = above_ || below_;
  const bool has_rate = rise_ || fall_;
  if (!has_bounds && !has_rate && !absent_ms_)
    from.refuse("above", "it is missing; at least one of above, below, rise, fall and absent is expected");
  if ((has_bounds || has_rate) && !value)
    from.refuse("value", "it is missing; the expression to be looked at is expected");
  if (value && !has_bounds && !has_rate) from.refuse("value", "it goes with above, below, rise or fall");
  if (margin && !has_bounds) from.refuse("margin", "it goes with above or below");
  if (margin && *margin < 0) from.refuse("margin", "a number from 0 on is expected");
  if (above_ && below_ && *below_ >= *above_) from.refuse("below", "it is not less than above");
  if (has_rate && !per)
    from.refuse("per",
                "it is missing; the time that rise and fall are reckoned for is expected, such as \"1min\"");
  if (!has_rate && per) from.refuse("per", "it goes with rise or fall");
  for (const auto& [name, limit] : {std::pair("rise", rise_), {"fall", fall_}})
    if (limit && *limit < 0) from.refuse(name, "a number from 0 on is expected");
  for (const char* name : {"condition", "state", "at", "since", "value", "limit"})
    if (key_.name() == name) from.refuse("key_name", "results have a member of that name already");
  if (value) value_.push_back(lua_->compile(from, "value", *value));
  margin_ = margin.value_or(0);
  per_ms_ = per.value_or(0);

  std::string text = key_.describe();
  for (const char* name : {"above", "below", "rise", "fall", "absent"})
    if (const auto limit = from.text(name)) text += std::string(", ") + name + " " + *limit;
  const std::size_t first = t.add_step({"from", "input", {}, {}, true});
  const std::size_t step = t.add_step({"alert", text, {first}, {}, false});
  kept_ = t.add_store(step, "keys");
  calendar_ = t.add_store(step, "keys-calendar");
  t.add_step({"to", main_output, {step}, {}, true});
  out_ = t.add_output(main_output);
}

std::optional<watch::finding> watch::look(std::string_view condition, std::int64_t at, double value,
                                          const json& before) const {
  finding f;
  f.value = json(value);
  if (condition == "above" || condition == "below") {
    const bool is_above = condition == "above";
    const std::optional<double>& limit = is_above ? above_ : below_;
    if (!limit) return std::nullopt;
    f.limit = json(*limit);
    f.fires = is_above ? value > *limit : value < *limit;
    f.clears = is_above ? value <= *limit - margin_ : value >= *limit + margin_;
    return f;
  }
  const bool is_rise = condition == "rise";
  const std::optional<double>& limit = is_rise ? rise_ : fall_;
  if (!limit || !before["value"].is_number()) return std::nullopt;
  const auto passed = static_cast<double>(at - before["value_at"].whole());
  if (passed <= 0) return std::nullopt;
  const double change = (value - before["value"].number()) / passed * static_cast<double>(per_ms_);
  if (!std::isfinite(change)) return std::nullopt;
  f.value = json(change);
  f.limit = json(*limit);
  f.fires = is_rise ? change > *limit : -change > *limit;
  f.clears = !f.fires;
  return f;
}

// Tells what has changed; `state` is the key's, with what is wrong since when.
void watch::settle(json& state, const std::string& key, const char* condition, const finding& f,
                   std::int64_t at, const detail::moment& when) const {
  const json since =
      std::as_const(state)["wrong"].is_object() ? std::as_const(state)["wrong"][condition] : json();
  const bool is_wrong = !since.is_null();
  if (is_wrong ? !f.clears : !f.fires) return;
  json told = json::object();
  told[key_.name()] = key;
  told["condition"] = condition;
  told["state"] = is_wrong ? "cleared" : "fired";
  told["at"] = at;
  told["since"] = is_wrong ? since : json(at);
  if (!f.value.is_null()) told["value"] = f.value;
  told["limit"] = f.limit;
  const std::string bytes = encode(told);
  when.ctx().emit(out_, emission().key(key).value(bytes).timestamp_ms(at));
  when.of->spent_bytes += key.size() + bytes.size();
  if (is_wrong)
    state["wrong"].remove(condition);
  else
    state["wrong"][condition] = at;
}

void watch::take(const record& one, const detail::moment& when) const {
  const json value = source_.read(one);
  const row now{value, one};
  const auto key = key_.of(now);
  if (!key) return when.ctx().count("records_without_key");
  const std::optional<double> looked_at = value_.empty() ? std::nullopt : value_[0].number(now);
  const std::int64_t at = when.timestamp_ms;
  json state;
  if (const maybe_bytes found = when.ctx().get(kept_, *key)) state = json::parse(*found);
  const bool is_new = state.is_null();
  if (is_new) state = json::object();
  if (!is_new && at < std::as_const(state)["at"].whole()) return when.ctx().count("late");

  if (absent_ms_) {
    if (!is_new)
      when.of->erase(calendar_, detail::calendar_key(detail::to_close,
                                                     absent_at(std::as_const(state)["at"].whole()), *key));
    finding there;
    there.clears = true;
    there.limit = json(*absent_ms_);
    settle(state, *key, "absent", there, at, when);
    when.of->put(calendar_, detail::calendar_key(detail::to_close, absent_at(at), *key), {});
  }
  if (looked_at) {
    for (const char* condition : conditions)
      if (const auto found = look(condition, at, *looked_at, state))
        settle(state, *key, condition, *found, at, when);
    state["value"] = *looked_at;
    state["value_at"] = at;
  }
  state["at"] = at;
  when.of->put(kept_, *key, encode(state));
}

void watch::become_absent(std::string_view of_key, detail::work& of) const {
  const std::string key(of_key);
  const maybe_bytes found = of.ctx->get(kept_, key);
  if (!found) throw failure("the calendar knows a key that is not there");
  json state = json::parse(*found);
  finding gone;
  gone.fires = true;
  gone.limit = json(*absent_ms_);
  const std::int64_t at = absent_at(std::as_const(state)["at"].whole());
  settle(state, key, "absent", gone, at, {&of, at, false});
  of.put(kept_, key, encode(state));
}

}  // namespace

void build_alert(topology& t, settings& from) {
  const auto all = std::make_shared<const watch>(t, from);
  t.add_due_work([all](detail::work& of, std::uint64_t bytes_max) { all->work_off(of, bytes_max); });
  t.set_source([all](const record& one, const detail::moment& when) { all->take(one, when); });
}

}  // namespace millrace::bundled
