#include "runtime/shards.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <pthread.h>
#include <random>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/when_all.h"

namespace millrace::runtime {

namespace {

// One caller waiting for threads to say that they are done.
class latch {
 public:
  explicit latch(size_t count) : count_(count) {}
  void count_down() {
    const std::lock_guard lock(mutex_);
    if (--count_ == 0) reached_.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex_);
    reached_.wait(lock, [this] { return count_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable reached_;
  size_t count_;
};

void pin_to_core(uint32_t core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core % std::max(1U, std::thread::hardware_concurrency()), &cores);
  pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores);
}

// What threads of this kind run for before others get a turn. A shard, and the kernel's workers for its ring,
// which take this over, mostly wait for each other and for the disk: where computing programs fill the cores,
// each of these waits would else last until somebody else's turn of 3 ms is over. Since Linux 6.12 who asks
// for shorter turns comes first when it wakes; its share of the cores stays what it was. Older kernels do not
// care.
constexpr uint64_t turn_ns = 500'000;

// As in the kernel's linux/sched/types.h, which does not go together with <sched.h>.
struct sched_attributes {
  uint32_t size, policy;
  uint64_t flags;
  int32_t nice;
  uint32_t priority;
  uint64_t runtime, deadline, period;
};

void ask_for_short_turns() {
  sched_attributes now{};
  if (::syscall(SYS_sched_getattr, 0, &now, sizeof(now), 0) != 0 || now.policy != SCHED_OTHER) return;
  now.runtime = turn_ns;
  now.flags = 0;
  [[maybe_unused]] const long outcome = ::syscall(SYS_sched_setattr, 0, &now, 0);
}

// A wait may end as late as this after its time, for the sake of ending together with others. The system's
// own 50 us are as long as what a shard sometimes waits for: the next request of a client that sends several.
constexpr unsigned long timer_slack_ns = 1000;

// Topic ids, member ids and WAL generations are drawn from it, and must not come again after a restart.
uint64_t true_random() {
  std::random_device entropy;
  return (static_cast<uint64_t>(entropy()) << 32) | entropy();
}

}  // namespace

task<void> on_every_shard(std::function<task<void>(shard_id)> make) {
  std::vector<task<void>> calls;
  for (uint32_t i = 0; i < shard_count(); ++i) {
    const shard_id to(i);
    calls.push_back(call_on(to, [&make, to] { return make(to); }));
  }
  co_await when_all(std::move(calls));
}

// What the threads share with start() until all of them have passed it.
struct shards::start_up {
  explicit start_up(size_t count) : failures(count), made(count), decided(1) {}

  std::vector<std::string> failures;
  latch made;
  latch decided;
  bool go = true;  // written before `decided` is reached
};

void shards::run_thread(uint32_t index, const shards_options& options, std::shared_ptr<start_up> together) {
  pthread_setname_np(pthread_self(), fmt::format("shard-{}", index).c_str());
  ask_for_short_turns();
  ::prctl(PR_SET_TIMERSLACK, timer_slack_ns, 0, 0, 0);
  if (options.pin_threads) pin_to_core(index);
  auto io = make_backend(options.io);
  if (io) {
    reactors_[index] = std::make_unique<reactor>(
        reactor_options{.id = shard_id(index), .seed = true_random()}, std::move(*io));
  } else {
    together->failures[index] = io.error().message;
  }
  together->made.count_down();
  together->decided.wait();
  if (together->go) reactors_[index]->run_until_stopped();
}

result<std::unique_ptr<shards>> shards::start(shards_options options) {
  MR_ASSERT(options.count > 0);
  std::unique_ptr<shards> group(new shards);
  group->reactors_.resize(options.count);
  // Every reactor is made on its own thread, as io_uring wants it; none runs before all are there.
  auto together = std::make_shared<start_up>(options.count);
  for (uint32_t i = 0; i < options.count; ++i)
    group->threads_.emplace_back(
        [group = group.get(), i, options, together] { group->run_thread(i, options, together); });
  together->made.wait();

  for (const std::string& failure : together->failures) {
    if (failure.empty()) continue;
    together->go = false;
    together->decided.count_down();
    for (std::thread& t : group->threads_) t.join();
    group->threads_.clear();
    return fail(errc::not_supported, "cannot start the event loops: {}", failure);
  }
  for (const auto& r : group->reactors_) group->peers_.push_back(r.get());
  for (reactor* r : group->peers_) r->set_peers(group->peers_);
  group->backend_name_ = group->peers_.front()->io().name();
  together->decided.count_down();
  return group;
}

shards::~shards() {
  stop();
}

void shards::stop() {
  if (threads_.empty()) return;
  for (reactor* r : peers_) r->stop();
  for (std::thread& t : threads_) t.join();
  threads_.clear();
  peers_.clear();
  // Only now: until its thread has ended, any of them may still wake any other.
  reactors_.clear();
}

void shards::run_blocking(shard_id on, std::function<task<void>()> make) {
  MR_ASSERT(reactor::current_or_null() == nullptr);
  latch done(1);
  struct runner {
    static detail::detached drive(std::function<task<void>()>& make, latch& done) {
      {
        auto work = make();
        co_await work;
      }
      done.count_down();
    }
  };
  post(on, [&] { runner::drive(make, done).handle.resume(); });
  done.wait();
}

}  // namespace millrace::runtime
