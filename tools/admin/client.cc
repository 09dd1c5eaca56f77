#include "tools/admin/client.h"

#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace millrace::tools {

namespace {

using clock = std::chrono::steady_clock;

constexpr size_t answer_bytes_max = 256 * 1024 * 1024;

class connection_fd {
 public:
  explicit connection_fd(int fd) : fd_(fd) {}
  ~connection_fd() {
    if (fd_ >= 0) ::close(fd_);
  }
  connection_fd(const connection_fd&) = delete;
  connection_fd& operator=(const connection_fd&) = delete;
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

std::unexpected<error> cannot_connect(const std::string& path, int why) {
  switch (why) {
    case ENOENT:
      return fail(
          errc::closed,
          "there is no socket {}: is the broker running? Say where its data is with --data DIR, or where its "
          "socket is with --socket PATH or MILLRACE_ADMIN_SOCKET",
          path);
    case ECONNREFUSED:
      return fail(errc::closed, "nobody answers on {}: the broker that made it is not running", path);
    case EACCES:
    case EPERM:
      return fail(errc::closed, "permission denied on {}: only the broker's user may use it (try sudo -u)",
                  path);
    case EAGAIN:
      return fail(errc::closed, "the broker has too many connections on {}; try again", path);
    default:
      return fail(errc::closed, "cannot connect to {}: {}", path, std::strerror(why));
  }
}

// Waits for the descriptor; false when the time is up.
bool wait_for(int fd, short what, clock::time_point deadline) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now()).count();
    if (left <= 0) return false;
    pollfd ready{fd, what, 0};
    const int found = ::poll(&ready, 1, static_cast<int>(left));
    if (found > 0) return true;
    if (found < 0 && errno != EINTR) return false;
  }
}

std::unexpected<error> too_slow(const admin_options& to) {
  return fail(errc::request_timed_out,
              "the broker has not answered within {} s; what was asked for may still happen",
              to.timeout_seconds);
}

// What cannot be sent may be of no interest any more: the answer tells.
result<void> send_all(int fd, std::string_view bytes, const admin_options& to, clock::time_point deadline) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno == EAGAIN || errno == EINTR) {
      if (!wait_for(fd, POLLOUT, deadline)) return too_slow(to);
    } else {
      break;
    }
  }
  return {};
}

result<std::string> receive_all(int fd, const admin_options& to, clock::time_point deadline) {
  std::string all;
  std::array<char, 64 * 1024> piece;
  while (all.size() < answer_bytes_max) {
    const ssize_t n = ::recv(fd, piece.data(), piece.size(), 0);
    if (n > 0) {
      all.append(piece.data(), static_cast<size_t>(n));
    } else if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
      if (!wait_for(fd, POLLIN, deadline)) return too_slow(to);
    } else {
      return all;
    }
  }
  return fail(errc::limit_exceeded, "the broker's answer is larger than {} bytes", answer_bytes_max);
}

errc code_named(std::string_view name) {
  for (int16_t code = -200; code < 200; ++code)
    if (name_of(static_cast<errc>(code)) == name) return static_cast<errc>(code);
  return errc::unknown_server_error;
}

// The broker's {"error":{"code":...,"message":...}}.
error refusal_in(std::string_view body, int status) {
  const auto parsed = nlohmann::json::parse(body, nullptr, false);
  const auto text_at = [&parsed](const char* key) -> std::string {
    if (!parsed.is_object() || !parsed.contains("error")) return {};
    const auto& told = parsed["error"];
    return told.is_object() && told.contains(key) && told[key].is_string() ? told[key].get<std::string>()
                                                                           : "";
  };
  if (const std::string message = text_at("message"); !message.empty()) {
    const errc code = code_named(text_at("code"));
    // Our own invalid_argument means that nothing was attempted.
    return {code == errc::invalid_argument ? errc::invalid_request : code, message};
  }
  return {errc::unknown_server_error, fmt::format("the broker answers with status {} and no reason", status)};
}

}  // namespace

admin_options::admin_options() {
  if (const char* given = getenv("MILLRACE_ADMIN_SOCKET"); given != nullptr) socket = given;
}

std::string admin_options::path() const {
  if (!data_directory.empty()) return data_directory + "/admin.sock";
  return socket.empty() ? "data/admin.sock" : socket;
}

namespace {
constexpr const char* group = "Broker";
}

void add_socket_options(CLI::App& verb, admin_options& options) {
  CLI::Option* socket =
      verb.add_option("--socket", options.socket,
                      "Its admin socket; or set MILLRACE_ADMIN_SOCKET. Default: data/admin.sock")
          ->type_name("PATH")
          ->group(group);
  verb.add_option("--data", options.data_directory, "Its data directory, where the socket is")
      ->type_name("DIR")
      ->excludes(socket)
      ->group(group);
}

void add_admin_options(CLI::App& verb, admin_options& options) {
  add_socket_options(verb, options);
  verb.add_option("--timeout", options.timeout_seconds, "Seconds to wait for its answer")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 86400))
      ->capture_default_str()
      ->group(group);
}

result<std::string> read_answer(std::string_view bytes) {
  const auto broken = [] {
    return fail(errc::network_exception, "what answers on the socket is no Millrace broker");
  };
  const size_t head_end = bytes.find("\r\n\r\n");
  int status = 0;
  if (!bytes.starts_with("HTTP/1.1 ") || head_end == std::string_view::npos || head_end < 12) return broken();
  const char* digits = bytes.data() + 9;
  if (std::from_chars(digits, digits + 3, status).ptr != digits + 3) return broken();
  const std::string_view body = bytes.substr(head_end + 4);
  if (status < 200 || status > 299) return fail(refusal_in(body, status));
  return std::string(body);
}

result<std::string> ask_broker(const admin_options& to, std::string_view method, std::string_view target,
                               std::string_view body) {
  const std::string path = to.path();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path))
    return fail(errc::closed,
                "a socket's path has at most {} bytes: go to its directory, and name it from there ({})",
                sizeof(address.sun_path) - 1, path);
  std::memcpy(address.sun_path, path.data(), path.size());
  const auto deadline = clock::now() + std::chrono::seconds(to.timeout_seconds);
  const connection_fd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return cannot_connect(path, errno);
  const std::string request = fmt::format(
      "{} {} HTTP/1.1\r\nHost: millrace\r\nConnection: close\r\nContent-Type: "
      "application/json\r\nContent-Length: "
      "{}\r\n\r\n{}",
      method, target, body.size(), body);
  MR_TRY(send_all(connection.get(), request, to, deadline));
  const auto answer = receive_all(connection.get(), to, deadline);
  if (!answer) return fail(answer.error());
  if (answer->empty())
    return fail(errc::closed, "the broker ended, or hung up, without an answer; its log says why");
  return read_answer(*answer);
}

}  // namespace millrace::tools
