#include "broker/admin/door.h"

#include <utility>

#include "base/log.h"
#include "broker/admin/answer.h"
#include "runtime/gate.h"
#include "runtime/reactor.h"

namespace millrace::broker::admin {

// Shared with requests that are still on their way when the door has closed. Used on shard 0 only.
struct door::inside {
  explicit inside(node& n) : whole(n) {}

  node& whole;  // not after the gate has closed
  runtime::gate requests;

  static void arrive(const std::shared_ptr<inside>& self, http_request request, http_server::reply reply) {
    if (self->requests.is_closed())
      return reply(error_response(503, {errc::broker_not_available, "the broker is shutting down"}));
    self->requests.spawn(serve(self->whole, std::move(request), std::move(reply)));
  }
  static runtime::task<void> serve(node& whole, http_request request, http_server::reply reply) {
    http_response response = co_await answer(whole, std::move(request));
    reply(std::move(response));
  }
};

door::door() = default;

door::~door() = default;

result<std::unique_ptr<door>> door::open(node& whole) {
  const settings& s = whole.config;
  if (s.admin_socket.empty()) return nullptr;
  if (s.admin_socket.size() > http_server::path_bytes_max() && !s.is_admin_socket_given) {
    log::warn("no admin socket: its path is too long bytes={} bytes_max={} path={} choose=admin.socket",
              s.admin_socket.size(), http_server::path_bytes_max(), s.admin_socket);
    return nullptr;
  }
  std::unique_ptr<door> made(new door);
  made->inside_ = std::make_shared<inside>(whole);
  const auto hand_over = [there = made->inside_, &shard = runtime::reactor::current()](
                             http_request request, http_server::reply reply) {
    shard.post_from_anywhere([there, request = std::move(request), reply = std::move(reply)]() mutable {
      inside::arrive(there, std::move(request), std::move(reply));
    });
  };
  auto server = http_server::start({.socket_path = s.admin_socket}, hand_over);
  if (!server) return fail(server.error().code, "admin.socket: {}", server.error().message);
  made->server_ = *std::move(server);
  log::info("admin socket open path={}", s.admin_socket);
  return made;
}

runtime::task<void> door::close() {
  co_await inside_->requests.close();
  server_->stop();
  // What the server had posted before it ended.
  co_await runtime::reactor::current().yield();
}

}  // namespace millrace::broker::admin
