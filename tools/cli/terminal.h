// terminal: colour and progress, only where a person is looking.
//
// Colour follows the stream it is written to: none unless it is a terminal, none with NO_COLOR or
// TERM=dumb. Progress goes to standard error, only on a terminal, and only for work that takes longer
// than a second.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::tools {

enum class style { plain, bold, dim, red, green, yellow };

// Whether `descriptor` is a terminal that wants colour.
bool has_colour(int descriptor);
// `text` in `s`, or just `text` if `descriptor` shows no colour.
std::string styled(int descriptor, style s, std::string_view text);

// "12.3 MB"; powers of 1,000 as disks and networks are sold.
std::string human_bytes(uint64_t bytes);
// "1,234,567"
std::string with_thousands(uint64_t number);

// One line that redraws itself at most ten times a second and vanishes at the end.
class progress {
 public:
  // Draws nothing if `is_wanted` is false (--quiet) or standard error is no terminal.
  progress(std::string_view label, bool is_wanted);
  ~progress() { clear(); }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  // `total_bytes` 0: unknown, so only the amount and rate are shown. Cheap when nothing is due.
  void update(uint64_t done_bytes, uint64_t total_bytes);
  // Takes the line away, so that a message can be printed.
  void clear();

 private:
  using clock = std::chrono::steady_clock;
  void draw(uint64_t done_bytes, uint64_t total_bytes, clock::time_point now);

  std::string label_;
  bool is_active_;
  bool is_drawn_ = false;
  clock::time_point start_ = clock::now();
  clock::time_point next_draw_ = start_ + std::chrono::seconds(1);
};

}  // namespace millrace::tools
