#include "processors/bundled/aggregates.h"

#include <algorithm>
#include <cmath>

#include "processors/bundled/reader.h"

namespace millrace::bundled {
namespace {

struct function_form {
  const char* name;
  function what;
  const char* form;
};
constexpr function_form forms[] = {{"count", function::count, "count() or count(x)"},
                                   {"sum", function::sum, "sum(x)"},
                                   {"mean", function::mean, "mean(x)"},
                                   {"min", function::min, "min(x)"},
                                   {"max", function::max, "max(x)"},
                                   {"variance", function::variance, "variance(x)"},
                                   {"stddev", function::stddev, "stddev(x)"},
                                   {"quantile", function::quantile, "quantile(x, 0.95)"},
                                   {"distinct", function::distinct, "distinct(x)"},
                                   {"top", function::top, "top(5, x) or top(5, x, weight)"}};
constexpr std::int64_t top_max = 100;
// Of a value among the largest: each is in the store ten times as often as it is asked for.
constexpr std::size_t top_value_bytes_max = 1024;

std::string all_forms() {
  std::vector<std::string> texts;
  for (const function_form& f : forms) texts.emplace_back(f.form);
  return joined(texts);
}

bool is_less(const json& a, const json& b) {
  if (a.is_whole() && b.is_whole()) return a.whole() < b.whole();
  return a.number() < b.number();
}

}  // namespace

aggregates::aggregates(settings& from, std::string_view name, interpreter& with) {
  for (const auto& [result, text] : from.table(name))
    read(from, std::string(name) + "." + result, result, text, with);
  if (shown_.empty()) from.refuse(name, "results are expected: NAME = a function of " + all_forms());
  for (const std::string& text : kept_texts_) layout_ += text + ";";
}

void aggregates::read(settings& from, const std::string& key, const std::string& name,
                      const std::string& text, interpreter& with) {
  const std::string_view whole = trimmed(text);
  const std::size_t open = whole.find('(');
  const std::string_view called = trimmed(whole.substr(0, open));
  const auto form =
      std::find_if(std::begin(forms), std::end(forms), [&](const auto& f) { return f.name == called; });
  if (form == std::end(forms) || open == std::string_view::npos || whole.back() != ')')
    from.refuse(key, "a function is expected: " + all_forms());
  const std::vector<std::string> given = split_at_commas(whole.substr(open + 1, whole.size() - open - 2));
  const auto wrong = [&]() { from.refuse(key, std::string(form->form) + " is expected"); };
  for (const std::string& one : given)
    if (one.empty()) wrong();
  shown made{name, std::string(whole), form->what, 0, 0};
  kept needed{form->what, no_argument, no_argument, 0};
  std::string needed_text(called);
  switch (form->what) {
    case function::count:
      if (given.size() > 1) wrong();
      if (given.size() == 1) needed.argument = argument_of(from, key, given[0], with);
      break;
    case function::quantile: {
      if (given.size() != 2) wrong();
      const auto q = to_number(given[1]);
      if (!q || *q < 0 || *q > 1) from.refuse(key, "the second argument is a number from 0 to 1");
      made.q = *q;
      needed.argument = argument_of(from, key, given[0], with);
      break;
    }
    case function::top: {
      if (given.size() != 2 && given.size() != 3) wrong();
      const auto top = to_whole(given[0]);
      if (!top || *top < 1 || *top > top_max)
        from.refuse(key, "the first argument is a whole number from 1 to " + std::to_string(top_max));
      needed.top = static_cast<std::size_t>(*top);
      needed_text += given[0];
      needed.argument = argument_of(from, key, given[1], with);
      if (given.size() == 3) needed.weight = argument_of(from, key, given[2], with);
      break;
    }
    case function::mean:
    case function::variance:
    case function::stddev:
      if (given.size() != 1) wrong();
      needed.what = function::mean;
      needed_text = "mean";
      needed.argument = argument_of(from, key, given[0], with);
      break;
    default:
      if (given.size() != 1) wrong();
      needed.argument = argument_of(from, key, given[0], with);
  }
  for (const std::size_t argument : {needed.argument, needed.weight})
    needed_text += argument == no_argument ? "" : "(" + arguments_[argument].text() + ")";
  made.cell = keep(needed, needed_text);
  shown_.push_back(std::move(made));
}

std::size_t aggregates::argument_of(settings& from, const std::string& key, const std::string& text,
                                    interpreter& with) {
  for (std::size_t i = 0; i < arguments_.size(); ++i)
    if (arguments_[i].text() == text) return i;
  arguments_.push_back(with.compile(from, key, text));
  return arguments_.size() - 1;
}

std::size_t aggregates::keep(kept one, const std::string& text) {
  for (std::size_t i = 0; i < kept_.size(); ++i)
    if (kept_texts_[i] == text) return i;
  kept_.push_back(one);
  kept_texts_.push_back(text);
  return kept_.size() - 1;
}

arguments aggregates::evaluate(const row& one) const {
  arguments made;
  made.reserve(arguments_.size());
  for (const expression& e : arguments_) made.push_back(e.evaluate(one));
  for (const kept& k : kept_) {
    if (k.what == function::top && millrace::encode(made[k.argument]).size() > top_value_bytes_max)
      throw failure("\"" + arguments_[k.argument].text() +
                    "\": it has more than 1,024 bytes, too many for top()");
    const bool is_any = k.what == function::count || k.what == function::distinct || k.what == function::top;
    for (const std::size_t at : {is_any ? no_argument : k.argument, k.weight}) {
      if (at == no_argument || made[at].is_null()) continue;
      const auto refuse = [&](const char* what) {
        throw failure("\"" + arguments_[at].text() + "\": " + what + " is expected, and it is " +
                      millrace::encode(made[at]).substr(0, 100));
      };
      if (!made[at].is_number()) refuse("a number");
      if (at == k.weight && made[at].number() < 0) refuse("a weight from 0 on");
    }
  }
  return made;
}

cell aggregates::empty_cell(const kept& one) const {
  switch (one.what) {
    case function::count:
      return std::int64_t{0};
    case function::sum:
      return exact_sum();
    case function::min:
    case function::max:
      return extreme();
    case function::quantile:
      return quantile_sketch();
    case function::distinct:
      return distinct_sketch();
    case function::top:
      return heavy_sketch(one.top);
    default:
      return mean();
  }
}

group aggregates::nothing() const {
  group made;
  for (const kept& one : kept_) made.push_back(empty_cell(one));
  return made;
}

void aggregates::add(group& to, const arguments& from) const {
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    const kept& one = kept_[i];
    const json* value = one.argument == no_argument ? nullptr : &from[one.argument];
    if (value && value->is_null()) continue;
    switch (one.what) {
      case function::count:
        if (!value || !value->is_bool() || value->truth()) ++std::get<std::int64_t>(to[i]);
        break;
      case function::sum:
        std::get<exact_sum>(to[i]).add(*value);
        break;
      case function::min:
      case function::max: {
        extreme& so_far = std::get<extreme>(to[i]);
        if (so_far.is_null() ||
            (one.what == function::min ? is_less(*value, so_far) : is_less(so_far, *value)))
          so_far = *value;
        break;
      }
      case function::quantile:
        std::get<quantile_sketch>(to[i]).add(value->number());
        break;
      case function::distinct:
        std::get<distinct_sketch>(to[i]).add(millrace::encode(*value));
        break;
      case function::top:
        if (one.weight == no_argument)
          std::get<heavy_sketch>(to[i]).add(millrace::encode(*value), 1);
        else if (!from[one.weight].is_null())
          std::get<heavy_sketch>(to[i]).add(millrace::encode(*value), from[one.weight].number());
        break;
      default: {
        auto& so_far = std::get<mean>(to[i]);
        so_far = so_far.add(value->number());
      }
    }
  }
}

void aggregates::merge(group& to, const group& other) const {
  for (std::size_t i = 0; i < kept_.size(); ++i) {
    if (kept_[i].what == function::min || kept_[i].what == function::max) {
      extreme& mine = std::get<extreme>(to[i]);
      const extreme& theirs = std::get<extreme>(other[i]);
      const bool is_min = kept_[i].what == function::min;
      if (!theirs.is_null() && (mine.is_null() || (is_min ? is_less(theirs, mine) : is_less(mine, theirs))))
        mine = theirs;
      continue;
    }
    std::visit(
        [&](auto& mine) {
          using kind = std::decay_t<decltype(mine)>;
          const auto& theirs = std::get<kind>(other[i]);
          if constexpr (std::is_same_v<kind, std::int64_t>)
            mine += theirs;
          else if constexpr (std::is_same_v<kind, mean>)
            mine = mine.merge(theirs);
          else if constexpr (!std::is_same_v<kind, extreme>)
            mine.merge(theirs);
        },
        to[i]);
  }
}

json aggregates::result_of(const shown& one, const group& from) const {
  const cell& c = from[one.cell];
  switch (one.what) {
    case function::count:
      return json(std::get<std::int64_t>(c));
    case function::sum:
      return std::get<exact_sum>(c).value();
    case function::mean:
      return finite(std::get<mean>(c).value());
    case function::variance:
      return finite(std::get<mean>(c).variance());
    case function::stddev:
      return finite(std::sqrt(std::get<mean>(c).variance()));
    case function::min:
    case function::max:
      return std::get<extreme>(c);
    case function::quantile:
      return finite(std::get<quantile_sketch>(c).quantile(one.q));
    case function::distinct:
      return json(static_cast<std::int64_t>(std::get<distinct_sketch>(c).estimate()));
    case function::top: {
      json list = json::array();
      for (const auto& [value, entry] : std::get<heavy_sketch>(c).largest()) {
        json item = json::object();
        item["value"] = json::parse(value);
        const bool is_count = kept_[one.cell].weight == no_argument;
        item[is_count ? "count" : "sum"] =
            is_count ? json(static_cast<std::int64_t>(entry.weight)) : finite(entry.weight);
        if (entry.error > 0)
          item["error"] = is_count ? json(static_cast<std::int64_t>(entry.error)) : json(entry.error);
        list.push_back(std::move(item));
      }
      return list;
    }
  }
  return {};
}

void aggregates::put_results(const group& from, json& to) const {
  for (const shown& one : shown_) to[one.name] = result_of(one, from);
}

std::string aggregates::encode(const group& from) const {
  std::string bytes;
  for (const cell& c : from)
    std::visit(
        [&](const auto& value) {
          using kind = std::decay_t<decltype(value)>;
          if constexpr (std::is_same_v<kind, std::int64_t>)
            detail::put_varint(static_cast<std::uint64_t>(value), bytes);
          else if constexpr (std::is_same_v<kind, mean>)
            serde<mean>::encode(value, bytes);
          else if constexpr (std::is_same_v<kind, extreme>)
            put_number(value, bytes);
          else
            value.encode(bytes);
        },
        c);
  return bytes;
}

group aggregates::decode(std::string_view from) const {
  group made;
  for (const kept& one : kept_) {
    switch (one.what) {
      case function::count:
        made.emplace_back(static_cast<std::int64_t>(detail::take_varint(from)));
        break;
      case function::sum:
        made.emplace_back(exact_sum::decode(from));
        break;
      case function::min:
      case function::max:
        made.emplace_back(take_number(from));
        break;
      case function::quantile:
        made.emplace_back(quantile_sketch::decode(from));
        break;
      case function::distinct:
        made.emplace_back(distinct_sketch::decode(from));
        break;
      case function::top:
        made.emplace_back(heavy_sketch::decode(one.top, from));
        break;
      default: {
        constexpr std::size_t bytes = 24;
        if (from.size() < bytes) throw failure("what the store holds is no aggregate");
        made.emplace_back(serde<mean>::decode(from.substr(0, bytes)));
        from.remove_prefix(bytes);
      }
    }
  }
  return made;
}

std::string aggregates::describe() const {
  std::string text;
  for (const shown& one : shown_) text += (text.empty() ? "" : ", ") + one.name + " = " + one.text;
  return text;
}

}  // namespace millrace::bundled
