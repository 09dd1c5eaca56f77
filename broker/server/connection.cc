#include "broker/server/connection.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "broker/api/all.h"
#include "broker/shard_context.h"

namespace millrace::broker {
namespace {

using std::chrono::milliseconds;

// Answers are sent in pieces of this size, so that a slow reader of a large one shows progress.
constexpr size_t send_bytes_max = 1024 * 1024;

// Moves up to `count` bytes off the front of `from`.
iobuf take_front(iobuf& from, size_t count) {
  if (from.size() <= count) return std::exchange(from, iobuf());
  iobuf front;
  iobuf rest;
  for (const slice& s : from.slices()) {
    const size_t room = count - front.size();
    const size_t head = std::min(room, s.size());
    front.append(s.sub(0, head));
    rest.append(s.sub(head, s.size() - head));
  }
  from = std::move(rest);
  return front;
}

frame_reader::limits reader_limits(const settings& s) {
  return {.frame_bytes_max = s.request_bytes_max, .memory_patience = std::chrono::seconds(5)};
}

}  // namespace

connection::connection(shard_context& shard, const listener_address& advertised,
                       std::unique_ptr<runtime::stream> stream)
    : shard_(shard),
      advertised_(advertised),
      stream_(std::move(stream)),
      reader_(*stream_, shard.requests, reader_limits(shard.config()),
              [this](bool is_mid_frame) { on_read_progress(is_mid_frame); }),
      read_timer_([this] { stream_->shutdown(); }),
      write_timer_([this] { stream_->shutdown(); }) {}

task<void> connection::run() {
  runtime::gate sender;
  sender.spawn(send_answers());
  arm_idle();
  co_await read_requests();
  co_await pipelined_.close();
  finished_reading_ = true;
  changed_.notify_all();
  co_await sender.close();
  read_timer_.cancel();
  write_timer_.cancel();
  co_await stream_->close();
}

void connection::stop() {
  stopping_ = true;
  // The reader may be waiting for a request that will not be taken.
  if (is_idle()) stream_->shutdown();
  changed_.notify_all();
}

void connection::cut() {
  stopping_ = true;
  failed_ = true;
  stream_->shutdown();
  changed_.notify_all();
}

task<void> connection::read_requests() {
  const auto unsent_max = static_cast<size_t>(shard_.config().produce_inflight_max);
  while (!stopping_ && !failed_) {
    result<std::optional<request_frame>> next = co_await reader_.next();
    if (!next) {
      if (next.error().code == errc::malformed || next.error().code == errc::limit_exceeded) {
        log::info("connection closed peer={} reason=\"{}\"", peer(), next.error().message);
      }
      break;
    }
    if (!*next || stopping_) break;
    const bool go_on = co_await begin_request(**std::move(next));
    if (!go_on) break;
    while (answers_.size() >= unsent_max && !failed_) co_await changed_.wait();
    if (answers_.empty()) arm_idle();
  }
}

task<bool> connection::begin_request(request_frame frame) {
  protocol::reader in(frame.bytes);
  const result<protocol::request_header> header = protocol::request_header::decode(in);
  const api* served = header ? find_served_api(header->api_key) : nullptr;
  // Kafka answers nothing it does not understand; old clients probe for versions by being hung up on.
  // ApiVersions alone is always answered: its handler speaks for versions that are not served, too.
  const bool is_probe = served != nullptr && served->key == protocol::api_key::api_versions;
  if (served == nullptr || (!is_probe && !served->serves(header->api_version))) {
    log::debug("connection closed peer={} reason=\"request of an unknown kind\" key={} version={}", peer(),
               header ? header->api_key : -1, header ? header->api_version : -1);
    co_return false;
  }
  if (!served->is_pipelined) {
    while (!answers_.all_complete() && !failed_) co_await changed_.wait();
    if (failed_) co_return false;
  }
  auto context = std::unique_ptr<request_context>(new request_context{
      .shard = shard_,
      .advertised = advertised_,
      .header = *header,
      .body = frame.bytes.sub(in.position(), in.remaining()),
      .peer = peer(),
      .ordered = {},
  });
  read_timer_.cancel();
  const uint64_t slot = answers_.open();
  if (!served->is_pipelined) {
    co_await serve(*served, std::move(context), std::move(frame.memory), slot);
    co_return !failed_;
  }
  // serve() cannot begin before this coroutine waits, and a waiter that was woken no longer needs the event:
  // so it does no harm that the context may be gone by the time this goes on.
  request_context& watched = *context;
  pipelined_.spawn(serve(*served, std::move(context), std::move(frame.memory), slot));
  co_await watched.ordered.wait();
  co_return !failed_;
}

task<void> connection::serve(const api& served, std::unique_ptr<request_context> context,
                             request_memory::charge memory, uint64_t slot) {
  result<reply> answer = co_await served.run(*context);
  if (answer) {
    answers_.complete(slot, {std::move(answer->bytes), answer->budget_bytes});
  } else {
    log::info("connection closed peer={} api={} reason=\"{}\"", peer(), protocol::name_of(served.key),
              to_string(answer.error()));
    answers_.complete(slot, {});
    cut();
  }
  context->ordered.set();
  memory.release();
  changed_.notify_all();
}

task<void> connection::send_answers() {
  while (true) {
    while (!answers_.has_ready() && !finished_reading_) {
      if (stopping_ && answers_.empty()) stream_->shutdown();
      co_await changed_.wait();
    }
    if (!answers_.has_ready()) break;
    sending_ = true;
    // Several answers leave in one call.
    std::vector<response_queue::answer> ready = answers_.take_ready(send_bytes_max);
    iobuf bytes;
    int64_t budget_bytes = 0;
    for (response_queue::answer& a : ready) {
      if (a.bytes) bytes.append(*a.bytes);
      budget_bytes += a.budget_bytes;
    }
    ready.clear();
    if (!failed_ && !bytes.empty()) {
      const result<void> sent = co_await send(std::move(bytes));
      if (!sent) cut();
    }
    shard_.responses.give_back(budget_bytes);
    sending_ = false;
    changed_.notify_all();
    if (answers_.empty() && !finished_reading_ && !mid_frame_) arm_idle();
  }
}

task<result<void>> connection::send(iobuf bytes) {
  while (!bytes.empty()) {
    write_timer_.arm_after(milliseconds(shard_.config().stall_timeout_ms));
    iobuf piece = take_front(bytes, send_bytes_max);
    const result<void> written = co_await stream_->write(std::move(piece));
    if (!written) co_return fail(written.error());
  }
  write_timer_.cancel();
  co_return result<void>();
}

void connection::on_read_progress(bool is_mid_frame) {
  mid_frame_ = is_mid_frame;
  if (is_mid_frame) read_timer_.arm_after(milliseconds(shard_.config().stall_timeout_ms));
}

void connection::arm_idle() {
  const int64_t idle_ms = shard_.config().idle_timeout_ms;
  if (idle_ms >= 0) read_timer_.arm_after(milliseconds(idle_ms));
}

}  // namespace millrace::broker
