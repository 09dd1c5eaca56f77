// sim_backend: the bottom of one simulated shard.
//
// Takes every operation to the world's disk or network, and lets it finish after a seeded delay, so
// that operations in flight overtake each other as they do on real hardware.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <vector>

#include "base/prng.h"
#include "runtime/backend.h"
#include "runtime/sim/disk.h"
#include "runtime/sim/network.h"

namespace millrace::runtime {

// What the shards of one world share.
struct sim_environment {
  time_point now{std::chrono::seconds(1)};
  int64_t wall_clock_offset_ms = 1'700'000'000'000;
  sim_disk* disk = nullptr;
  sim_network* network = nullptr;
  // Of everything that happened, in order: equal for equal seeds.
  uint64_t trace = 0;

  void note(uint64_t what) noexcept;
};

class sim_backend final : public backend, public sim_completions {
 public:
  sim_backend(sim_environment& world, uint64_t seed) : world_(world), random_(seed) {}

  std::string_view name() const noexcept override { return "sim"; }
  void submit(io_op& op) override;
  void cancel(io_op& op) override;
  void turn(std::optional<nanoseconds> wait, op_list& done) override;
  void wake() noexcept override {}
  time_point monotonic_now() noexcept override { return world_.now; }
  int64_t wall_clock_ms() noexcept override;
  int listen(const socket_address& address, const listen_options& options, socket_address& bound) override;
  void shutdown(int fd) noexcept override { world_.network->shutdown(fd); }
  void close_now(int fd) noexcept override;
  int lock_file(int fd) noexcept override { return world_.disk->lock(fd); }

  void complete_later(io_op& op, int64_t result) override;
  // When the next operation finishes; time_never if none is in flight.
  time_point next_completion() const noexcept { return queue_.empty() ? time_never : queue_.top().at; }

 private:
  struct event {
    time_point at;
    uint64_t order;
    io_op* op;
    bool is_disk;  // to be carried out when its time comes
    bool operator>(const event& other) const noexcept {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  nanoseconds delay_of(const io_op& op);
  void schedule(io_op& op, bool is_disk);

  sim_environment& world_;
  prng random_;
  uint64_t order_ = 0;
  std::priority_queue<event, std::vector<event>, std::greater<>> queue_;
};

}  // namespace millrace::runtime
