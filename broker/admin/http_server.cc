// The only file of the broker that includes Boost.
#include "broker/admin/http_server.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>
#include <unordered_set>

#include "base/log.h"
#include "broker/admin/unix_listener.h"

namespace millrace::broker::admin {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using local = asio::local::stream_protocol;

namespace {

constexpr int backlog = 64;
constexpr auto accept_pause = std::chrono::milliseconds(100);
// A peer that is still sending what nobody wants gets so much more of our attention, so that it sees the
// answer rather than a broken connection.
constexpr uint64_t drain_bytes_max = 16 * 1024 * 1024;
constexpr auto drain_patience = std::chrono::seconds(2);

// What a request that cannot be read deserves.
http_response response_to(const beast::error_code& why, const http_options& options) {
  if (why == http::error::body_limit)
    return error_response(
        413, {errc::limit_exceeded, fmt::format("the body is larger than {} bytes", options.body_bytes_max)});
  if (why == http::error::header_limit || why == http::error::buffer_overflow)
    return error_response(431, {errc::limit_exceeded,
                                fmt::format("the header is larger than {} bytes", options.header_bytes_max)});
  return error_response(400, {errc::malformed, fmt::format("this is no HTTP request: {}", why.message())});
}

}  // namespace

class http_server::engine {
 public:
  engine(http_options options, handler handle, int listener)
      : options_(std::move(options)),
        handle_(std::move(handle)),
        acceptor_(io_, local(), listener),
        pause_(io_) {}
  ~engine() {
    gate_->close();
    io_.stop();
    if (thread_.joinable()) thread_.join();
    waiting_.clear();
    ::unlink(options_.socket_path.c_str());
  }
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  void run() {
    accept();
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "admin-http");
      io_.run();
    });
  }

 private:
  class session;

  // Lets answers in from other threads for as long as there is somebody to take them.
  class answer_gate {
   public:
    explicit answer_gate(asio::io_context& io) : io_(&io) {}
    void close() {
      const std::lock_guard lock(mutex_);
      io_ = nullptr;
    }
    template <class F>
    void pass(F f) {
      const std::lock_guard lock(mutex_);
      if (io_) asio::post(*io_, std::move(f));
    }

   private:
    std::mutex mutex_;
    asio::io_context* io_;
  };

  void accept();
  void turn_away(local::socket socket);

  const http_options options_;
  const handler handle_;
  size_t connections_ = 0;
  asio::io_context io_{1};
  std::shared_ptr<answer_gate> gate_ = std::make_shared<answer_gate>(io_);
  local::acceptor acceptor_;
  asio::steady_timer pause_;
  std::unordered_set<std::shared_ptr<session>> waiting_;  // for the handler's answer
  std::thread thread_;
};

// One connection. It lives as long as an operation of its own is on its way, or somebody owes it an answer.
class http_server::engine::session : public std::enable_shared_from_this<session> {
 public:
  session(engine& whole, local::socket socket) : whole_(whole), stream_(std::move(socket)) {
    ++whole_.connections_;
  }
  ~session() { --whole_.connections_; }
  session(const session&) = delete;
  session& operator=(const session&) = delete;

  void read_request() {
    parser_.emplace();
    parser_->header_limit(whole_.options_.header_bytes_max);
    parser_->body_limit(whole_.options_.body_bytes_max);
    stream_.expires_after(whole_.options_.patience);
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](beast::error_code why, size_t) {
                              if (why) return self->refuse(why);
                              self->read_body();
                            });
  }

 private:
  void read_body() {
    const auto read = [self = shared_from_this()] {
      http::async_read(self->stream_, self->buffer_, *self->parser_, [self](beast::error_code why, size_t) {
        if (why) return self->refuse(why);
        self->hand_over();
      });
    };
    if (!beast::iequals(parser_->get()[http::field::expect], "100-continue")) return read();
    static constexpr std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
    asio::async_write(stream_, asio::buffer(go_on),
                      [self = shared_from_this(), read](beast::error_code why, size_t) {
                        if (!why) read();
                      });
  }

  void hand_over() {
    auto message = parser_->release();
    keeps_alive_ = message.keep_alive() && message.method() != http::verb::head;
    stream_.expires_never();
    http_request request{std::string(message.method_string()), std::string(message.target()),
                         std::move(message.body())};
    whole_.waiting_.insert(shared_from_this());
    // The answer may come when all this is gone.
    whole_.handle_(std::move(request), [to = weak_from_this(), gate = whole_.gate_](http_response answer) {
      gate->pass([to, answer = std::move(answer)]() mutable {
        const auto self = to.lock();
        if (self && self->whole_.waiting_.erase(self) > 0) self->send(std::move(answer));
      });
    });
  }

  void refuse(const beast::error_code& why) {
    keeps_alive_ = false;
    // Otherwise the peer has gone or the time is up, and there is no connection left.
    const bool is_about_content = why.category() == http::make_error_code(http::error::bad_method).category();
    if (why == http::error::end_of_stream || !is_about_content) return;
    send(response_to(why, whole_.options_));
  }

  void send(http_response answer) {
    response_ = {};
    response_.result(answer.status);
    response_.version(11);
    response_.set(http::field::content_type, answer.content_type);
    response_.keep_alive(keeps_alive_);
    response_.body() = std::move(answer.body);
    response_.prepare_payload();
    stream_.expires_after(whole_.options_.patience);
    http::async_write(stream_, response_, [self = shared_from_this()](beast::error_code why, size_t) {
      if (why) return;
      if (self->keeps_alive_) return self->read_request();
      self->say_goodbye();
    });
  }

  void say_goodbye() {
    beast::error_code ignored;
    stream_.socket().shutdown(local::socket::shutdown_send, ignored);
    stream_.expires_after(drain_patience);
    drain();
  }

  void drain() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(64 * 1024),
                            [self = shared_from_this()](beast::error_code why, size_t bytes) {
                              self->drained_bytes_ += bytes;
                              if (!why && self->drained_bytes_ < drain_bytes_max) self->drain();
                            });
  }

  engine& whole_;
  beast::basic_stream<local> stream_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  http::response<http::string_body> response_;
  bool keeps_alive_ = false;
  uint64_t drained_bytes_ = 0;
};

void http_server::engine::accept() {
  acceptor_.async_accept([this](beast::error_code why, local::socket socket) {
    if (why == asio::error::operation_aborted || !acceptor_.is_open()) return;
    if (why) {  // say, no descriptors left: again a little later
      pause_.expires_after(accept_pause);
      pause_.async_wait([this](beast::error_code stopped) {
        if (!stopped) accept();
      });
      return;
    }
    if (connections_ < options_.connections_max) {
      std::make_shared<session>(*this, std::move(socket))->read_request();
    } else {
      turn_away(std::move(socket));
    }
    accept();
  });
}

// One too many: it is told so, in as much as fits the socket's buffer, and dropped.
void http_server::engine::turn_away(local::socket socket) {
  const std::string body = error_body({errc::limit_exceeded, "too many connections to the admin socket"});
  const std::string answer = fmt::format(
      "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: "
      "close\r\nContent-Length: {}\r\n\r\n{}",
      body.size(), body);
  if (::send(socket.native_handle(), answer.data(), answer.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    log::debug("an admin connection too many could not be told so");
}

size_t http_server::path_bytes_max() noexcept {
  return sizeof(sockaddr_un::sun_path) - 1;
}

result<std::unique_ptr<http_server>> http_server::start(http_options options, handler handle) {
  const auto listener = listen_on_unix_socket(options.socket_path, backlog);
  if (!listener) return fail(listener.error());
  auto made = std::make_unique<engine>(std::move(options), std::move(handle), *listener);
  made->run();
  return std::unique_ptr<http_server>(new http_server(std::move(made)));
}

http_server::http_server(std::unique_ptr<engine> e) : engine_(std::move(e)) {}

http_server::~http_server() = default;

void http_server::stop() {
  engine_.reset();
}

}  // namespace millrace::broker::admin
