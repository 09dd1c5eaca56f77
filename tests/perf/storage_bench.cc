// What appending costs, from a checked batch to the moment it may be acknowledged. In TMPDIR, whose disk is
// part of the figure where durability is `sync`.
#include <benchmark/benchmark.h>
#include <memory>
#include <string>

#include "protocol/batch_builder.h"
#include "protocol/batch_check.h"
#include "runtime/probe.h"
#include "runtime/reactor.h"
#include "storage/shard_store.h"
#include "tests/perf/require.h"
#include "tests/temporary_directory.h"

namespace millrace::storage {
namespace {

using perf::require;
using runtime::reactor;

partition_spec spec_with(durability d) {
  uuid topic;
  topic.bytes[15] = std::byte{1};
  partition_config config;
  config.durability = d;
  config.retention_ms = -1;
  config.retention_bytes = 256 << 20;
  config.file_delete_delay_ms = 0;
  config.segment_bytes = 64 << 20;
  return {{topic, 0}, "bench", 0, config};
}

task<std::unique_ptr<shard_store>> open_store(std::string directory, partition_spec spec) {
  store_options options;
  options.data_dir = std::move(directory);
  options.retention_check_interval = std::chrono::seconds(1);
  auto opened = co_await shard_store::open(std::move(options), {std::move(spec)});
  co_return require(std::move(opened));
}

// So many batches that share a commit, as a shard's requests of the same moment do.
task<void> append_some(shard_store& store, topic_partition_id id, const protocol::checked_batch& batch,
                       int64_t batches) {
  const auto admitted = co_await store.admit(batch.size_bytes() * static_cast<uint64_t>(batches));
  require(admitted);
  partition_log& log = *store.find(id);
  lsn last{0};
  for (int64_t i = 0; i < batches; ++i)
    last = require(store.append(log, batch, append_origin::client)).durable_at;
  const auto durable = co_await store.wait_durable(last);
  require(durable);
}

task<void> close_store(shard_store& store) {
  const auto closed = co_await store.close();
  require(closed);
}

// Arguments: bytes of a batch, batches a commit, durability.
void append_batches(benchmark::State& state) {
  const auto how = static_cast<durability>(state.range(2));
  const temporary_directory directory;
  protocol::batch_builder builder;
  const std::string value(100, 'v');
  while (builder.plain_size_bytes() < static_cast<size_t>(state.range(0)))
    builder.add(1'000, std::nullopt, as_bytes(value));
  const protocol::checked_batch batch = protocol::trusted_batch(builder.build({}));
  {
    reactor loop({}, require(runtime::make_backend(runtime::backend_choice::automatic)));
    const partition_spec spec = spec_with(how);
    const auto store = loop.run(open_store(directory.path(), spec));
    for (auto _ : state) loop.run(append_some(*store, spec.id, batch, state.range(1)));
    loop.run(close_store(*store));
  }
  state.SetItemsProcessed(state.iterations() * state.range(1));
  state.SetBytesProcessed(state.iterations() * state.range(1) * static_cast<int64_t>(batch.size_bytes()));
  state.SetLabel(how == durability::sync ? "sync" : how == durability::os ? "os" : "memory");
}
BENCHMARK(append_batches)
    ->ArgNames({"bytes", "batches", "durability"})
    ->ArgsProduct({{100, 16 * 1024}, {1, 16}, {0, 1, 2}})
    ->MeasureProcessCPUTime()
    ->UseRealTime();

}  // namespace
}  // namespace millrace::storage

BENCHMARK_MAIN();
