#include "tools/cli/screen.h"

#include <atomic>
#include <cerrno>
#include <poll.h>
#include <signal.h>
#include <string_view>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "tools/cli/interrupt.h"

namespace millrace::tools {

namespace {

// The second page, no cursor; and back.
constexpr std::string_view enter = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view leave = "\x1b[?25h\x1b[?1049l";

termios before;
bool has_keys = false;  // standard input is a terminal, too
std::atomic<bool> was_resized{false};
struct sigaction resize_before;

bool write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

// Also in a signal handler: write() and tcsetattr() may be called there.
void put_back() {
  write_all(leave);
  if (has_keys) tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

}  // namespace

std::unique_ptr<screen> screen::open() {
  if (isatty(STDOUT_FILENO) != 1) return nullptr;
  return std::unique_ptr<screen>(new screen);
}

screen::screen() {
  has_keys = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before) == 0;
  before_forced_exit(put_back);
  if (has_keys) {
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    silent.c_cc[VMIN] = 1;
    silent.c_cc[VTIME] = 0;
    silent.c_cc[VSUSP] = _POSIX_VDISABLE;  // stopped, it would leave the terminal like this
    tcsetattr(STDIN_FILENO, TCSANOW, &silent);
  }
  struct sigaction action = {};
  action.sa_handler = [](int) { was_resized.store(true); };
  sigemptyset(&action.sa_mask);
  sigaction(SIGWINCH, &action, &resize_before);
  measure();
  write_all(enter);
}

screen::~screen() {
  sigaction(SIGWINCH, &resize_before, nullptr);
  put_back();
  before_forced_exit(nullptr);
}

void screen::measure() {
  winsize size = {};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return;
  width_ = size.ws_col;
  height_ = size.ws_row;
}

bool screen::draw(const std::vector<std::string>& lines) {
  std::string bytes = "\x1b[H";
  for (size_t i = 0; i < lines.size(); ++i) {
    bytes += lines[i];
    bytes += "\x1b[K";
    if (i + 1 < height_) bytes += "\r\n";
  }
  if (lines.size() < height_) bytes += "\x1b[J";
  return write_all(bytes);
}

screen::event screen::wait(int wait_ms, char& key) {
  pollfd input{STDIN_FILENO, POLLIN, 0};
  const int ready = ::poll(&input, has_keys ? 1 : 0, wait_ms);
  if (was_resized.exchange(false)) {
    measure();
    return event::resized;
  }
  if (ready <= 0) return event::nothing;
  const ssize_t n = ::read(STDIN_FILENO, &key, 1);
  if (n == 1) return event::key;
  if (n == 0 || errno != EINTR) has_keys = false;  // the terminal has gone: draw() tells
  return event::nothing;
}

}  // namespace millrace::tools
