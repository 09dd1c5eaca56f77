#include "tools/cli/live_rate.h"

#include <cstdio>
#include <fmt/format.h>
#include <unistd.h>

#include "tools/cli/terminal.h"

namespace millrace::tools {

void rate_window::add(time_point now, uint64_t total) {
  points_.push_back({now, total});
  // The oldest that stays is at least as old as the window is long.
  while (points_.size() > 2 && now - points_[1].at >= length) points_.pop_front();
}

double rate_window::per_second() const {
  if (points_.size() < 2) return 0;
  const double seconds = std::chrono::duration<double>(points_.back().at - points_.front().at).count();
  return seconds > 0 ? static_cast<double>(points_.back().total - points_.front().total) / seconds : 0;
}

live_rate::live_rate(bool is_wanted, std::chrono::milliseconds patience)
    : is_active_(is_wanted && isatty(STDERR_FILENO) == 1),
      shares_terminal_(isatty(STDOUT_FILENO) == 1),
      next_draw_(clock::now() + patience) {}

void live_rate::update(uint64_t records, uint64_t bytes) {
  if (!is_active_) return;
  const clock::time_point now = clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(250);
  records_.add(now, records);
  bytes_.add(now, bytes);
  const auto whole = [](double number) { return static_cast<uint64_t>(number + 0.5); };
  const std::string line =
      fmt::format("\r\x1b[K{} records, {}/s, {}/s", with_thousands(records),
                  with_thousands(whole(records_.per_second())), human_bytes(whole(bytes_.per_second())));
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  is_drawn_ = true;
}

void live_rate::clear() {
  if (!is_drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  is_drawn_ = false;
  next_draw_ = {};
}

}  // namespace millrace::tools
