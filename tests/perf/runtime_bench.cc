// What the ground under everything costs: checksums, a turn of the event loop, a call to another shard.
#include <benchmark/benchmark.h>
#include <vector>

#include "base/checksum.h"
#include "runtime/gate.h"
#include "runtime/shards.h"
#include "tests/perf/require.h"

namespace millrace::runtime {
namespace {

using perf::require;

std::vector<std::byte> sample(size_t bytes) {
  std::vector<std::byte> of(bytes);
  for (size_t i = 0; i < bytes; ++i) of[i] = static_cast<std::byte>(i * 131);
  return of;
}

void checksum_crc32c(benchmark::State& state) {
  const std::vector<std::byte> bytes = sample(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(crc32c(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum_crc32c)->Arg(100)->Arg(1024)->Arg(16 * 1024)->Arg(1024 * 1024);

void checksum_xxh3(benchmark::State& state) {
  const std::vector<std::byte> bytes = sample(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(xxh3(bytes));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum_xxh3)->Arg(100)->Arg(1024)->Arg(16 * 1024)->Arg(1024 * 1024);

// A turn that finds nothing to do: clocks, timers, and a look at the kernel's answers.
void turn_of_the_loop(benchmark::State& state) {
  reactor loop({}, require(make_backend(backend_choice::automatic)));
  for (auto _ : state) benchmark::DoNotOptimize(loop.turn(false));
}
BENCHMARK(turn_of_the_loop);

constexpr int64_t steps_a_run = 1000;

task<void> step_aside(int64_t times) {
  for (int64_t i = 0; i < times; ++i) co_await reactor::current().yield();
}

// A coroutine that gives way and is resumed from the run queue.
void yield_to_the_loop(benchmark::State& state) {
  reactor loop({}, require(make_backend(backend_choice::automatic)));
  for (auto _ : state) loop.run(step_aside(steps_a_run));
  state.SetItemsProcessed(state.iterations() * steps_a_run);
}
BENCHMARK(yield_to_the_loop);

task<void> call_many(shard_id to, int64_t calls) {
  uint64_t sum = 0;
  for (int64_t i = 0; i < calls; ++i)
    sum += co_await call_on(to, [] { return reactor::current().id().value(); });
  benchmark::DoNotOptimize(sum);
}

// One call after the other: the other shard sleeps in between, so each wakes it. Argument: the shard called;
// 0 is the caller's own.
void call_another_shard(benchmark::State& state) {
  const auto group = require(shards::start({.count = 2}));
  const shard_id to(static_cast<uint32_t>(state.range(0)));
  for (auto _ : state) group->run<void>([to] { return call_many(to, steps_a_run); });
  state.SetItemsProcessed(state.iterations() * steps_a_run);
  state.SetLabel(state.range(0) == 0 ? "own" : "another, one at a time");
  group->stop();
}
BENCHMARK(call_another_shard)->Arg(0)->Arg(1)->MeasureProcessCPUTime()->UseRealTime();

task<void> call_once(shard_id to) {
  const uint32_t seen = co_await call_on(to, [] { return reactor::current().id().value(); });
  benchmark::DoNotOptimize(seen);
}

task<void> call_at_once(shard_id to, int64_t calls) {
  gate open;
  for (int64_t i = 0; i < calls; ++i) open.spawn(call_once(to));
  co_await open.close();
}

// So many calls on their way at once, as under load: one wake for many.
void call_another_shard_at_once(benchmark::State& state) {
  const auto group = require(shards::start({.count = 2}));
  const int64_t calls = state.range(0);
  for (auto _ : state) group->run<void>([calls] { return call_at_once(shard_id(1), calls); });
  state.SetItemsProcessed(state.iterations() * calls);
  group->stop();
}
BENCHMARK(call_another_shard_at_once)->Arg(1)->Arg(100)->Arg(10'000)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
}  // namespace millrace::runtime

BENCHMARK_MAIN();
