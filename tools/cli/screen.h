// screen: a terminal that is drawn on as a whole, and is afterwards as it was before.
//
// While one exists the terminal shows its second page, without a cursor, and keys arrive unseen, each at
// once. The destructor, Ctrl-C and SIGTERM (also a second time, see interrupt.h) put everything back. One at
// a time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace millrace::tools {

class screen {
 public:
  // Null unless standard output is a terminal.
  static std::unique_ptr<screen> open();
  ~screen();
  screen(const screen&) = delete;
  screen& operator=(const screen&) = delete;

  size_t width() const noexcept { return width_; }
  size_t height() const noexcept { return height_; }
  // The lines from the top on; what was there before is gone. Requires: as many as `height` at most, none
  // wider than `width`. False if the terminal has gone.
  bool draw(const std::vector<std::string>& lines);

  enum class event { nothing, key, resized };
  // Waits for something to happen, `wait_ms` at most. `key` is what was typed.
  event wait(int wait_ms, char& key);

 private:
  screen();
  void measure();

  size_t width_ = 80;
  size_t height_ = 24;
};

}  // namespace millrace::tools
