// log: one line per event, `message key=value ...`, to standard error, never blocking a shard.
//
// spdlog lies behind this header alone. Lines go through a bounded queue to a thread of its own; when
// the queue is full the oldest lines are dropped rather than a shard delayed.
#pragma once

#include <fmt/format.h>
#include <string_view>
#include <utility>

namespace millrace::log {

enum class level { trace, debug, info, warn, error };

// Starts the background thread. Before it (and after stop) lines are written at once by the caller.
void start(level lowest);
// Writes out what is queued and stops the thread.
void stop();

bool is_enabled(level l) noexcept;
void write(level l, std::string_view line);

template <class... Args>
void info(fmt::format_string<Args...> text, Args&&... args) {
  if (is_enabled(level::info)) write(level::info, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void warn(fmt::format_string<Args...> text, Args&&... args) {
  if (is_enabled(level::warn)) write(level::warn, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void error(fmt::format_string<Args...> text, Args&&... args) {
  if (is_enabled(level::error)) write(level::error, fmt::format(text, std::forward<Args>(args)...));
}
template <class... Args>
void debug(fmt::format_string<Args...> text, Args&&... args) {
  if (is_enabled(level::debug)) write(level::debug, fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace millrace::log
