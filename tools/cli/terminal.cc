#include "tools/cli/terminal.h"

#include <array>
#include <cstdio>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

namespace millrace::tools {

namespace {

constexpr std::string_view reset = "\x1b[0m";

std::string_view escape_of(style s) {
  switch (s) {
    case style::plain:
      return "";
    case style::bold:
      return "\x1b[1m";
    case style::dim:
      return "\x1b[2m";
    case style::red:
      return "\x1b[31m";
    case style::green:
      return "\x1b[32m";
    case style::yellow:
      return "\x1b[33m";
  }
  return "";
}

bool environment_allows_colour() {
  const char* no_colour = getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* kind = getenv("TERM");
  return kind == nullptr || std::string_view(kind) != "dumb";
}

}  // namespace

bool has_colour(int descriptor) {
  return isatty(descriptor) == 1 && environment_allows_colour();
}

std::string styled(int descriptor, style s, std::string_view text) {
  if (s == style::plain || !has_colour(descriptor)) return std::string(text);
  return fmt::format("{}{}{}", escape_of(s), text, reset);
}

std::string human_bytes(uint64_t bytes) {
  constexpr std::array<std::string_view, 6> units = {"B", "kB", "MB", "GB", "TB", "PB"};
  if (bytes < 1000) return fmt::format("{} B", bytes);
  auto amount = static_cast<double>(bytes);
  size_t unit = 0;
  // 999.95 and up would print as "1000.0".
  while (amount >= 999.95 && unit + 1 < units.size()) {
    amount /= 1000;
    ++unit;
  }
  return fmt::format("{:.1f} {}", amount, units[unit]);
}

std::string with_thousands(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t from_end = 3; from_end < digits.size(); from_end += 4)
    digits.insert(digits.size() - from_end, 1, ',');
  return digits;
}

progress::progress(std::string_view label, bool is_wanted)
    : label_(label), is_active_(is_wanted && isatty(STDERR_FILENO) == 1) {}

void progress::update(uint64_t done_bytes, uint64_t total_bytes) {
  if (!is_active_) return;
  const clock::time_point now = clock::now();
  if (now < next_draw_) return;
  next_draw_ = now + std::chrono::milliseconds(100);
  draw(done_bytes, total_bytes, now);
}

void progress::draw(uint64_t done_bytes, uint64_t total_bytes, clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - start_).count();
  const auto rate = static_cast<uint64_t>(static_cast<double>(done_bytes) / seconds);
  std::string line = fmt::format("\r\x1b[K{} ", label_);
  if (total_bytes > 0 && done_bytes <= total_bytes) {
    constexpr uint64_t cells = 30;
    const uint64_t filled = cells * done_bytes / total_bytes;
    line += fmt::format("[{:#<{}}{:.<{}}] {:3}% ", "", filled, "", cells - filled,
                        100 * done_bytes / total_bytes);
  }
  line += fmt::format("{} at {}/s", human_bytes(done_bytes), human_bytes(rate));
  std::fwrite(line.data(), 1, line.size(), stderr);
  std::fflush(stderr);
  is_drawn_ = true;
}

void progress::clear() {
  if (!is_drawn_) return;
  std::fputs("\r\x1b[K", stderr);
  std::fflush(stderr);
  is_drawn_ = false;
}

}  // namespace millrace::tools
