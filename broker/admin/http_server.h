// http_server: HTTP/1.1 on a Unix socket, on a thread of its own.
//
// It knows nothing of what is asked: a request is read whole, within bounds of size and time, and handed to
// the handler, which may answer from any thread whenever it likes; meanwhile other connections are served.
// What is not HTTP, too large or too slow gets an error in the form of error_body(), if anything, and its
// connection is closed. Shards never wait for this thread, and it never waits for them.
//
// The socket belongs to the broker's user alone from its first moment (mode 0600). One that a killed broker
// has left behind is replaced; anything else at that path is left alone and an error. stop() removes it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace millrace::broker::admin {

struct http_request {
  std::string method;  // "GET"
  std::string target;  // "/v1/processors/cleaner?purge=true", as sent
  std::string body;
};

struct http_response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
};

// {"error":{"code":"NOT_FOUND","message":"..."}}
std::string error_body(const error& e);
http_response error_response(unsigned status, const error& e);

struct http_options {
  std::string socket_path;
  uint32_t header_bytes_max = 16 * 1024;
  uint64_t body_bytes_max = 1024 * 1024;
  size_t connections_max = 64;
  // For a request to arrive, counted from the end of the one before, and for an answer to be taken.
  std::chrono::milliseconds patience{30'000};
};

class http_server {
 public:
  // Sends the answer; from any thread, once. Does nothing if the server or the connection is gone. A request
  // that nobody answers keeps its connection until stop().
  using reply = std::function<void(http_response)>;
  // Called on the server's thread; must not block.
  using handler = std::function<void(http_request, reply)>;

  // The longest path that a Unix socket can have.
  static size_t path_bytes_max() noexcept;

  static result<std::unique_ptr<http_server>> start(http_options options, handler handle);
  ~http_server();
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;

  // Closes all connections, joins the thread, removes the socket.
  void stop();

 private:
  class engine;
  explicit http_server(std::unique_ptr<engine> e);

  std::unique_ptr<engine> engine_;
};

}  // namespace millrace::broker::admin
