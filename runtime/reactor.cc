#include "runtime/reactor.h"

#include <algorithm>

#include "base/log.h"
#include "runtime/event.h"

namespace millrace::runtime {

namespace {

// What one turn runs before it looks at the kernel again: enough to amortise the system call, few
// enough that a busy shard still answers new requests within a fraction of a millisecond.
constexpr size_t ready_per_turn = 512;

constexpr nanoseconds stall_report_interval = std::chrono::seconds(5);

}  // namespace

thread_local reactor* reactor::current_ = nullptr;

reactor::reactor(reactor_options options, std::unique_ptr<backend> io)
    : options_(options), io_(std::move(io)), random_(options.seed), peers_(&self_, 1) {
  read_clocks();
}

reactor::~reactor() {
  for (ready_item& item : ready_) delete item.function;
}

void reactor::post(unique_function f) {
  ready_.push_back({.handle = nullptr, .function = new unique_function(std::move(f))});
}

void reactor::resume_later(std::coroutine_handle<> h) {
  ready_.push_back({.handle = h});
}

task<void> reactor::sleep(nanoseconds delay) {
  event over;
  timer alarm(timers_, [&over] { over.set(); });
  alarm.arm(now_ + delay);
  co_await over.wait();
}

task<bool> reactor::sleep(nanoseconds delay, abort_source* abort) {
  if (!abort) {
    co_await sleep(delay);
    co_return true;
  }
  if (abort->is_aborted()) co_return false;
  event over;
  timer alarm(timers_, [&over] { over.set(); });
  alarm.arm(now_ + delay);
  abort_source::subscription on_abort(*abort, [&over] { over.set(); });
  co_await over.wait();
  co_return !abort->is_aborted();
}

task<void> reactor::yield() {
  struct awaiter {
    reactor& r;
    bool await_ready() const noexcept { return false; }
    void await_suspend(std::coroutine_handle<> h) const { r.resume_later(h); }
    void await_resume() const noexcept {}
  };
  awaiter to_the_back{*this};
  co_await to_the_back;
}

void reactor::read_clocks() noexcept {
  now_ = io_->monotonic_now();
  wall_clock_ms_ = io_->wall_clock_ms();
}

size_t reactor::run_messages() {
  size_t ran = 0;
  for (message* m = inbox_.take_all(); m != nullptr; ++ran) {
    message* next = m->next;
    m->run(*m);
    m = next;
  }
  return ran;
}

size_t reactor::run_ready() {
  size_t ran = 0;
  while (!ready_.empty() && ran < ready_per_turn) {
    const ready_item item = ready_.front();
    ready_.pop_front();
    ++ran;
    if (item.handle) {
      item.handle.resume();
    } else {
      const std::unique_ptr<unique_function> f(item.function);
      (*f)();
    }
  }
  return ran;
}

bool reactor::turn(bool may_wait) {
  scope here(*this);
  read_clocks();
  const time_point began = now_;

  size_t ran = run_messages();
  ran += timers_.fire(now_);
  ran += run_ready();

  std::optional<nanoseconds> wait = nanoseconds(0);
  const bool is_over = until_ && *until_;
  if (may_wait && !is_over && ready_.empty()) {
    const time_point next = timers_.settled_next();
    wait = next == time_never ? std::nullopt
                              : std::optional(std::max(nanoseconds(0), next - io_->monotonic_now()));
    // Announce the sleep, then look again: whoever pushes after this look sees the announcement.
    sleeping_.store(true, std::memory_order_seq_cst);
    if (!inbox_.empty() || stop_requested_.load(std::memory_order_seq_cst)) wait = nanoseconds(0);
  }
  if (options_.stall_report.count() > 0 && ran > 0) {
    const nanoseconds busy = io_->monotonic_now() - began;
    if (busy > options_.stall_report) report_stall(busy);
  }

  op_list done;
  io_->turn(wait, done);
  sleeping_.store(false, std::memory_order_relaxed);
  read_clocks();
  while (io_op* op = done.pop()) {
    ++ran;
    op->waiter.resume();
  }
  return ran > 0;
}

void reactor::run_loop_until(const bool& done) {
  MR_ASSERT(current_ == nullptr);
  until_ = &done;
  while (!done) turn(true);
  until_ = nullptr;
}

void reactor::run_until_stopped() {
  MR_ASSERT(current_ == nullptr);
  while (!stop_requested_.load(std::memory_order_acquire)) turn(true);
}

void reactor::stop() noexcept {
  stop_requested_.store(true, std::memory_order_seq_cst);
  io_->wake();
}

void reactor::push_message(message& m) noexcept {
  inbox_.push(m);
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false, std::memory_order_seq_cst))
    io_->wake();
}

void reactor::post_from_anywhere(unique_function f) {
  struct posted : message {
    unique_function function;
  };
  auto* p = new posted;
  p->function = std::move(f);
  p->run = [](message& m) {
    const std::unique_ptr<posted> self(static_cast<posted*>(&m));
    self->function();
  };
  push_message(*p);
}

void reactor::report_stall(nanoseconds busy) {
  if (last_stall_report_ != time_point{} && now_ - last_stall_report_ < stall_report_interval) return;
  last_stall_report_ = now_;
  log::warn("event loop stalled shard={} busy_ms={}", id(), busy.count() / 1'000'000);
}

void io_op::await_suspend(std::coroutine_handle<> awaiting) {
  waiter = awaiting;
  reactor::current().io().submit(*this);
}

}  // namespace millrace::runtime
