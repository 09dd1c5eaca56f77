// millrace/windows.h: windows of event time.
//
//     tumbling(1min)           [0, 60 s), [60 s, 120 s), ...: each record in one
//     hopping(10min, 1min)     as long as that, one beginning every minute: each record in ten
//     sliding(30s)             wherever records lie at most 30 s apart: see below
//     session(5min)            records with pauses of at most 5 minutes between them
//
// Time is that of the records: the stream time of a partition is the largest timestamp among its records so
// far. A window takes records until the stream time has come to its end and the grace behind it; then it is
// closed, and what still comes for it is late. A session is over when the stream time is more than the pause
// and the grace behind its last record.
//
// Sliding windows are Kafka's: for each record at t there is one that ends with it, [t - 30 s, t], and one
// that begins behind it, [t + 1 ms, t + 1 ms + 30 s], if another record lies there. Both ends belong to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serde.h"

namespace millrace {
inline namespace sdk_v1 {

// Milliseconds since the Unix epoch. `end_ms` is the first behind the window for tumbling and hopping ones,
// and the last inside for sliding windows and sessions, as Kafka has it.
struct window {
  std::int64_t start_ms = 0;
  std::int64_t end_ms = 0;
};

// What windowed aggregates are known by. Its bytes are those of Kafka's TimeWindowedSerializer: the key, and
// behind it the window's start as 8 bytes, big-endian. The end is not in them.
template <class Key>
struct windowed {
  Key key;
  millrace::window window;
};

// The same for sessions. Its bytes are those of Kafka's SessionWindowedSerializer: the key, end and start.
template <class Key>
struct session_of {
  Key key;
  millrace::window window;
};

// How long behind its end a window stays open for records that come out of order.
struct grace {
  template <class Rep, class Period>
  explicit grace(std::chrono::duration<Rep, Period> length)
      : ms(std::chrono::duration_cast<std::chrono::milliseconds>(length).count()) {
    if (ms < 0) throw failure("grace is negative");
  }
  std::int64_t ms;
};

namespace detail {

// No window, gap or grace is longer: 1,000 years, so that sums of a few do not overflow.
constexpr std::int64_t window_ms_max = std::int64_t{1000} * 366 * 24 * 3600 * 1000;
// A record may be in so many hopping windows.
constexpr std::int64_t windows_per_record_max = 10'000;

template <class Rep, class Period>
std::int64_t length_ms(std::chrono::duration<Rep, Period> length, const char* what) {
  const std::int64_t ms = std::chrono::duration_cast<std::chrono::milliseconds>(length).count();
  if (ms < 1 || ms > window_ms_max)
    throw failure(std::string(what) + " must be between 1 ms and 1,000 years");
  return ms;
}

// The sum, or the last instant there is. Requires: span >= 0.
inline std::int64_t later(std::int64_t at, std::int64_t span) {
  return at > INT64_MAX - span ? INT64_MAX : at + span;
}
inline std::int64_t earlier(std::int64_t at, std::int64_t span) {
  return at < INT64_MIN + span ? INT64_MIN : at - span;
}

inline std::string span_text(std::int64_t ms) {
  if (ms % 3'600'000 == 0 && ms > 0) return std::to_string(ms / 3'600'000) + "h";
  if (ms % 60'000 == 0 && ms > 0) return std::to_string(ms / 60'000) + "min";
  if (ms % 1000 == 0) return std::to_string(ms / 1000) + "s";
  return std::to_string(ms) + "ms";
}

}  // namespace detail

// Tumbling and hopping ones. They lie on multiples of `advance_ms`; none begins before 1970.
struct time_windows {
  std::int64_t size_ms;
  std::int64_t advance_ms;

  // Those that hold `at_ms`, the earliest first. Requires: at_ms >= 0.
  std::vector<window> around(std::int64_t at_ms) const {
    std::vector<window> all;
    const std::int64_t first = at_ms < size_ms ? 0 : (at_ms - size_ms + advance_ms) / advance_ms * advance_ms;
    for (std::int64_t start = first; start <= at_ms; start += advance_ms) {
      all.push_back({start, detail::later(start, size_ms)});
      if (start > INT64_MAX - advance_ms) break;
    }
    return all;
  }
  std::string text() const {
    if (size_ms == advance_ms) return "tumbling " + detail::span_text(size_ms);
    return "hopping " + detail::span_text(size_ms) + " every " + detail::span_text(advance_ms);
  }
};

struct sliding_windows {
  std::int64_t difference_ms;
  std::string text() const { return "sliding " + detail::span_text(difference_ms); }
};

struct session_windows {
  std::int64_t gap_ms;
  std::string text() const { return "session " + detail::span_text(gap_ms); }
};

template <class Rep, class Period>
time_windows tumbling(std::chrono::duration<Rep, Period> size) {
  const std::int64_t ms = detail::length_ms(size, "the size of a window");
  return {ms, ms};
}

template <class Rep, class Period, class Rep2, class Period2>
time_windows hopping(std::chrono::duration<Rep, Period> size, std::chrono::duration<Rep2, Period2> advance) {
  const std::int64_t size_ms = detail::length_ms(size, "the size of a window");
  const std::int64_t advance_ms = detail::length_ms(advance, "the advance of a window");
  if (advance_ms > size_ms) throw failure("windows that begin farther apart than they are long leave gaps");
  if (size_ms / advance_ms > detail::windows_per_record_max)
    throw failure("each record would be in more than 10,000 windows");
  return {size_ms, advance_ms};
}

template <class Rep, class Period>
sliding_windows sliding(std::chrono::duration<Rep, Period> difference) {
  return {detail::length_ms(difference, "the time difference of sliding windows")};
}

template <class Rep, class Period>
session_windows session(std::chrono::duration<Rep, Period> gap) {
  return {detail::length_ms(gap, "the gap between sessions")};
}

}  // namespace sdk_v1

template <class Key>
struct serde<windowed<Key>> {
  static void encode(const windowed<Key>& from, std::string& to) {
    serde<Key>::encode(from.key, to);
    serde<std::int64_t>::encode(from.window.start_ms, to);
  }
  // The end is not in the bytes: it is the start again.
  static windowed<Key> decode(std::string_view from) {
    if (from.size() < 8) throw failure("not a windowed key: shorter than 8 bytes");
    const std::int64_t start = serde<std::int64_t>::decode(from.substr(from.size() - 8));
    return {serde<Key>::decode(from.substr(0, from.size() - 8)), {start, start}};
  }
};

template <class Key>
struct serde<session_of<Key>> {
  static void encode(const session_of<Key>& from, std::string& to) {
    serde<Key>::encode(from.key, to);
    serde<std::int64_t>::encode(from.window.end_ms, to);
    serde<std::int64_t>::encode(from.window.start_ms, to);
  }
  static session_of<Key> decode(std::string_view from) {
    if (from.size() < 16) throw failure("not the key of a session: shorter than 16 bytes");
    const std::size_t key_size = from.size() - 16;
    return {serde<Key>::decode(from.substr(0, key_size)),
            {serde<std::int64_t>::decode(from.substr(key_size + 8)),
             serde<std::int64_t>::decode(from.substr(key_size, 8))}};
  }
};

}  // namespace millrace
