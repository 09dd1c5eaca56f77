// sim_world: a process with n shards, on one thread, in virtual time, decided by a seed.
//
//   sim_world world(seed, {.shards = 3, .disk = disk});
//   world.run(my_program());                 // on shard 0; call_on reaches the others
//   if (disk->has_crashed()) {
//     sim_world after(seed + 1, {.shards = 3, .disk = disk->after_power_cut(seed)});
//     after.run(recover_and_check());
//   }
//
// Everything above backend.h runs unchanged. At each step the seed picks one of the shards that have
// something to run and gives it one turn; when none has, time jumps to the next timer or completion.
// The same seed and program give the same run, step by step: trace() is equal.
//
// A world that has nothing left to do while run() still waits is a deadlock of the program under test;
// that ends the process with the seed in the message, as does a run of more than `steps_max` turns.
// When a disk crashes, let the program run into its errors and end; tasks are never cut off.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/prng.h"
#include "runtime/reactor.h"
#include "runtime/sim/backend.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/network.h"
#include "runtime/task.h"

namespace millrace::runtime {

struct sim_options {
  uint32_t shards = 1;
  // The disk to start from; an empty one if null.
  std::shared_ptr<sim_disk> disk;
  uint64_t steps_max = 100'000'000;
};

class sim_world {
 public:
  explicit sim_world(uint64_t seed, sim_options options = {});
  sim_world(const sim_world&) = delete;
  sim_world& operator=(const sim_world&) = delete;
  ~sim_world();

  sim_disk& disk() noexcept { return *disk_; }
  const std::shared_ptr<sim_disk>& shared_disk() const noexcept { return disk_; }
  sim_network& network() noexcept { return network_; }
  reactor& shard(shard_id id) noexcept { return *peers_[id.value()]; }
  time_point now() const noexcept { return environment_.now; }
  uint64_t trace() const noexcept { return environment_.trace; }
  // As an administrator or NTP may; monotonic time is not touched.
  void step_wall_clock(int64_t by_ms) noexcept { environment_.wall_clock_offset_ms += by_ms; }

  // Runs the world until `t`, started on shard 0, is done; yields its value.
  template <class T>
  T run(task<T> t) {
    return run_on<T>(shard_id(0), [&t] { return std::move(t); });
  }
  // Calls `make` on a shard, and runs the world until the task it returns is done.
  template <class T>
  T run_on(shard_id on, std::function<task<T>()> make);
  // Lets whatever is going on go on for so long.
  void run_for(nanoseconds time);

 private:
  template <class T, class Out>
  static detail::detached drive(std::function<task<T>()>& make, Out& out, bool& done);
  // One turn of one shard, or one jump of time up to `limit`. False if there was neither.
  bool step(time_point limit);
  bool can_run(size_t i) const;
  void run_until(const bool& done);

  uint64_t seed_;
  uint64_t steps_left_;
  prng random_;
  std::shared_ptr<sim_disk> disk_;
  sim_network network_;
  sim_environment environment_;
  std::vector<sim_backend*> backends_;
  std::vector<std::unique_ptr<reactor>> reactors_;
  std::vector<reactor*> peers_;
  std::vector<size_t> runnable_;
};

// --- inline parts -----------------------------------------------------------------------------------

template <class T, class Out>
detail::detached sim_world::drive(std::function<task<T>()>& make, Out& out, bool& done) {
  {
    auto work = make();
    if constexpr (std::is_void_v<T>) {
      co_await work;
    } else {
      out.emplace(co_await work);
    }
  }
  done = true;
}

template <class T>
T sim_world::run_on(shard_id on, std::function<task<T>()> make) {
  struct nothing {};
  std::conditional_t<std::is_void_v<T>, nothing, std::optional<T>> out;
  bool done = false;
  shard(on).resume_later(drive<T>(make, out, done).handle);
  run_until(done);
  if constexpr (!std::is_void_v<T>) return std::move(*out);
}

}  // namespace millrace::runtime
