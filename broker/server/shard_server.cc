#include "broker/server/shard_server.h"

#include <chrono>

#include "base/log.h"
#include "broker/shard_context.h"
#include "runtime/reactor.h"
#include "runtime/timer.h"

namespace millrace::broker {

task<result<uint16_t>> shard_server::bind(size_t listener, uint16_t port, bool is_shared) {
  const settings& config = shard_.config();
  const listener_address& address = config.listeners[listener].bind;
  const runtime::listen_options options{
      .reuse_port = is_shared, .backlog = config.listen_backlog, .patience = runtime::predecessor_patience};
  auto made = co_await runtime::listener::bind(address.host, port, options);
  if (!made)
    co_return fail(made.error().code, "cannot listen on {}: {}", address.to_string(), made.error().message);
  const uint16_t actual = (*made)->port();
  bound_.push_back(std::make_unique<bound>(listener, *std::move(made)));
  if (address.host == "localhost") {
    // The name means two addresses, and a client may try only one of them.
    auto second = co_await runtime::listener::bind("::1", actual, options);
    if (second) {
      bound_.push_back(std::make_unique<bound>(listener, *std::move(second)));
    } else {
      log::info("not listening on [::1]:{} reason=\"{}\"", actual, second.error().message);
    }
  }
  co_return actual;
}

void shard_server::start() {
  for (const auto& b : bound_) accepting_.spawn(accept_from(*b));
}

task<void> shard_server::stop(runtime::nanoseconds patience) {
  stopping_ = true;
  for (const auto& b : bound_) b->listener->close();
  co_await accepting_.close();
  shard_.stopping.request_abort();
  for (connection* c : connections_) c->stop();
  runtime::timer impatience([this] {
    if (!connections_.empty()) log::warn("connections cut at shutdown count={}", connections_.size());
    for (connection* c : connections_) c->cut();
  });
  impatience.arm_after(patience);
  co_await serving_.close();
}

task<void> shard_server::accept_from(bound& from) {
  while (!stopping_) {
    result<std::unique_ptr<runtime::stream>> accepted = co_await from.listener->accept();
    if (stopping_) {
      if (accepted) co_await (*accepted)->close();
      break;
    }
    if (accepted) {
      serving_.spawn(serve(*std::move(accepted), from.index));
      continue;
    }
    // Most likely out of descriptors: what is connected goes on, and a pause gives it time to end.
    log::warn("cannot accept reason=\"{}\"", to_string(accepted.error()));
    co_await runtime::reactor::current().sleep(std::chrono::milliseconds(100), &shard_.stopping);
  }
}

task<void> shard_server::serve(std::unique_ptr<runtime::stream> stream, size_t listener) {
  const std::string peer = stream->peer();
  if (!quota_.enter(peer)) {
    log::info("connection refused peer={} reason=\"too many\"", peer);
    co_await stream->close();
    co_return;
  }
  {
    connection served(shard_, shard_.whole().advertised[listener], std::move(stream));
    const auto place = connections_.insert(connections_.end(), &served);
    if (stopping_) served.stop();
    co_await served.run();
    connections_.erase(place);
  }
  quota_.leave(peer);
}

}  // namespace millrace::broker
