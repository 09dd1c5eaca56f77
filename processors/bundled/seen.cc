#include "processors/bundled/seen.h"

namespace millrace::bundled {

std::shared_ptr<const seen> seen::make(topology& t, settings& from, std::size_t source) {
  const auto text = from.text("unique");
  const auto within = from.duration_ms("within", 1);
  if (!text && within) from.refuse("within", "it goes with unique = \"expression\"");
  if (!text) return nullptr;
  if (!within)
    from.refuse("within",
                "it is missing; the time in which a value is unique is expected, such as \"10min\"");
  const std::shared_ptr<seen> made(new seen(interpreter::make()->compile(from, "unique", *text)));
  made->within_ms_ = *within;
  made->step_ =
      t.add_step({"unique", made->by_.text() + " within " + detail::span_text(*within), {source}, {}, false});
  made->kept_ = t.add_store(made->step_, "seen");
  made->calendar_ = t.add_store(made->step_, "seen-calendar");
  t.add_due_work([kept = made->kept_, calendar = made->calendar_](detail::work& of, std::uint64_t bytes_max) {
    detail::work_off(of, bytes_max, calendar, detail::to_remove,
                     [&](std::string_view value) { of.erase(kept, value); });
  });
  return made;
}

bool seen::is_first(const row& one, const detail::moment& when) const {
  const auto value = by_.key_text(one);
  if (!value) throw failure("unique = \"" + by_.text() + "\": it is missing");
  const std::int64_t t = when.timestamp_ms;
  const bool is_forgotten = forget_at(t) <= when.of->stream_time_ms;
  if (const maybe_bytes found = when.ctx().get(kept_, *value)) {
    const std::int64_t before = detail::get_time(*found, 0);
    if (t <= detail::later(before, within_ms_) && t >= detail::earlier(before, within_ms_)) return false;
    // The later one is what the next will be compared with.
    if (t < before || is_forgotten) return true;
    when.of->erase(calendar_, detail::calendar_key(detail::to_remove, forget_at(before), *value));
  }
  if (is_forgotten) return true;
  std::string at;
  detail::put_time(t, at);
  when.of->put(kept_, *value, at);
  when.of->put(calendar_, detail::calendar_key(detail::to_remove, forget_at(t), *value), {});
  return true;
}

}  // namespace millrace::bundled
