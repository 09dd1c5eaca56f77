#include "runtime/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "base/assert.h"

namespace millrace::runtime {

sim_world::sim_world(uint64_t seed, sim_options options)
    : seed_(seed),
      steps_left_(options.steps_max),
      random_(seed),
      disk_(options.disk ? std::move(options.disk) : std::make_shared<sim_disk>(seed)),
      network_(random_.next()) {
  MR_ASSERT(options.shards > 0);
  environment_.disk = disk_.get();
  environment_.network = &network_;
  for (uint32_t i = 0; i < options.shards; ++i) {
    auto io = std::make_unique<sim_backend>(environment_, random_.next());
    backends_.push_back(io.get());
    const reactor_options shard_options{
        .id = shard_id(i), .seed = random_.next(), .stall_report = nanoseconds(0)};
    reactors_.push_back(std::make_unique<reactor>(shard_options, std::move(io)));
    peers_.push_back(reactors_.back().get());
  }
  for (reactor* r : peers_) r->set_peers(peers_);
}

sim_world::~sim_world() = default;

bool sim_world::can_run(size_t i) const {
  return peers_[i]->has_work() || peers_[i]->timers().next() <= environment_.now ||
         backends_[i]->next_completion() <= environment_.now;
}

bool sim_world::step(time_point limit) {
  runnable_.clear();
  for (size_t i = 0; i < peers_.size(); ++i)
    if (can_run(i)) runnable_.push_back(i);
  if (!runnable_.empty()) {
    const size_t chosen = runnable_[random_.below(runnable_.size())];
    environment_.note(chosen);
    peers_[chosen]->turn(false);
    // Computing takes time too: without it, loops that poll the clock would never end.
    environment_.now += nanoseconds(random_.between(100, 3000));
    return true;
  }
  time_point next = time_never;
  for (size_t i = 0; i < peers_.size(); ++i)
    next = std::min({next, peers_[i]->timers().settled_next(), backends_[i]->next_completion()});
  if (next > limit || next == time_never) {
    if (limit != time_never) environment_.now = std::max(environment_.now, limit);
    return false;
  }
  environment_.now = std::max(environment_.now, next);
  return true;
}

void sim_world::run_until(const bool& done) {
  const char* trouble = "the simulated program waits for something that will never happen";
  while (!done && step(time_never)) {
    if (--steps_left_ > 0) continue;
    trouble = "the simulated program does not come to an end";
    break;
  }
  if (done) return;
  std::fprintf(stderr, "%s: seed=%llu virtual_ms=%lld crashed=%d\n", trouble,
               static_cast<unsigned long long>(seed_),
               static_cast<long long>(environment_.now.time_since_epoch().count() / 1'000'000),
               static_cast<int>(disk_->has_crashed()));
  std::abort();
}

void sim_world::run_for(nanoseconds time) {
  const time_point limit = environment_.now + time;
  while (environment_.now < limit && step(limit)) {
  }
}

}  // namespace millrace::runtime
