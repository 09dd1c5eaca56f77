// What the protocol costs: requests and answers, the check of a produced batch, codecs. Bytes per second are
// of uncompressed records, or of the whole request where there is no batch.
#include <benchmark/benchmark.h>
#include <string>
#include <vector>

#include "base/assert.h"
#include "base/prng.h"
#include "protocol/batch_builder.h"
#include "protocol/batch_check.h"
#include "protocol/generated/fetch_request.h"
#include "protocol/generated/fetch_response.h"
#include "protocol/generated/produce_request.h"
#include "protocol/generated/produce_response.h"
#include "protocol/header.h"
#include "protocol/record.h"

namespace millrace::protocol {
namespace {

constexpr int64_t now_ms = 1'750'000'000'000;
constexpr int16_t produce_version = 9;
constexpr int16_t fetch_version = 12;

// Records of about 100 bytes that look like JSON, until they are `bytes` together.
slice make_batch(size_t bytes, codec c) {
  batch_builder builder;
  prng random(1);
  for (int64_t i = 0; builder.plain_size_bytes() < bytes; ++i) {
    const std::string key = fmt::format("user-{}", random.below(1000));
    const std::string value = fmt::format(R"({{"id":{},"name":"{}","amount":{},"city":"Kiruna"}})", i, key,
                                          random.below(1'000'000));
    builder.add(now_ms + i, as_bytes(key), as_bytes(value));
  }
  return builder.build({.compression = c});
}

void bytes_per_second(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes));
}

void decode_produce(benchmark::State& state) {
  produce_request request;
  request.acks = -1;
  for (int t = 0; t < state.range(0); ++t) {
    auto& topic = request.topic_data.emplace_back();
    topic.name = "orders";
    auto& partition = topic.partition_data.emplace_back();
    partition.index = t;
    partition.records = iobuf(make_batch(1024, codec::none));
  }
  const slice wire = encode_request(request, produce_version, 1, "bench").flatten();
  const slice body = wire.sub(4, wire.size() - 4);
  for (auto _ : state) {
    reader in(body);
    const auto header = request_header::decode(in);
    auto got = produce_request::decode(in, header->api_version);
    MR_ASSERT(got.has_value());
    benchmark::DoNotOptimize(got);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_produce)->Arg(1)->Arg(32);

void encode_produce_answer(benchmark::State& state) {
  produce_response answer;
  for (int t = 0; t < state.range(0); ++t) {
    auto& topic = answer.responses.emplace_back();
    topic.name = "orders";
    topic.partition_responses.emplace_back().base_offset = 1'000'000;
  }
  for (auto _ : state) benchmark::DoNotOptimize(encode_response(answer, produce_version, 1));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(encode_produce_answer)->Arg(1)->Arg(32);

void decode_fetch(benchmark::State& state) {
  fetch_request request;
  auto& topic = request.topics.emplace_back();
  topic.topic = "orders";
  topic.partitions.resize(static_cast<size_t>(state.range(0)));
  const slice wire = encode_request(request, fetch_version, 1, "bench").flatten();
  const slice body = wire.sub(4, wire.size() - 4);
  for (auto _ : state) {
    reader in(body);
    const auto header = request_header::decode(in);
    auto got = fetch_request::decode(in, header->api_version);
    MR_ASSERT(got.has_value());
    benchmark::DoNotOptimize(got);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_fetch)->Arg(1)->Arg(100);

void encode_fetch_answer(benchmark::State& state) {
  fetch_response answer;
  auto& topic = answer.responses.emplace_back();
  topic.topic = "orders";
  const slice batch = make_batch(16 * 1024, codec::none);
  for (int64_t p = 0; p < state.range(0); ++p) topic.partitions.emplace_back().records = iobuf(batch);
  for (auto _ : state) benchmark::DoNotOptimize(encode_response(answer, fetch_version, 1));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(encode_fetch_answer)->Arg(1)->Arg(100);

void check_batch(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  const slice batch = make_batch(size, static_cast<codec>(state.range(1)));
  int64_t records = 0;
  for (auto _ : state) {
    const auto checked = check_produced_batch(batch, {.batch_bytes_max = SIZE_MAX, .now_ms = now_ms});
    MR_ASSERT(checked.has_value());
    records += checked->record_count();
  }
  bytes_per_second(state, size);
  state.SetItemsProcessed(records);
  state.SetLabel(std::string(name_of(static_cast<codec>(state.range(1)))));
}
BENCHMARK(check_batch)->ArgsProduct({{1024, 16 * 1024, 1024 * 1024}, {0, 1, 2, 3, 4}});

void store_checked_batch(benchmark::State& state) {
  const slice batch = make_batch(16 * 1024, codec::none);
  const auto checked =
      check_produced_batch(batch, {.uses_append_time = state.range(0) != 0, .now_ms = now_ms});
  std::vector<std::byte> into(checked->size_bytes());
  for (auto _ : state) store_batch(*checked, 12345, 1, into);
  bytes_per_second(state, into.size());
  state.SetLabel(state.range(0) ? "append time" : "create time");
}
BENCHMARK(store_checked_batch)->Arg(0)->Arg(1);

void build_batch(benchmark::State& state) {
  const std::vector<std::byte> value(100);
  batch_builder builder;
  for (auto _ : state) {
    for (int i = 0; i < 100; ++i) builder.add(now_ms, std::nullopt, value);
    benchmark::DoNotOptimize(builder.build({}));
  }
  state.SetItemsProcessed(state.iterations() * 100);
}
BENCHMARK(build_batch);

slice plain_sample(size_t size) {
  const slice batch = make_batch(size, codec::none);
  return batch.sub(batch_header_bytes, batch.size() - batch_header_bytes);
}

void compress_records(benchmark::State& state) {
  const auto c = static_cast<codec>(state.range(0));
  const slice plain = plain_sample(static_cast<size_t>(state.range(1)));
  for (auto _ : state) benchmark::DoNotOptimize(compress(c, plain));
  bytes_per_second(state, plain.size());
  state.SetLabel(std::string(name_of(c)));
}
BENCHMARK(compress_records)->ArgsProduct({{1, 2, 3, 4}, {16 * 1024, 1024 * 1024}});

void decompress_records(benchmark::State& state) {
  const auto c = static_cast<codec>(state.range(0));
  const slice plain = plain_sample(static_cast<size_t>(state.range(1)));
  const slice packed = compress(c, plain);
  for (auto _ : state) benchmark::DoNotOptimize(decompress(c, packed, size_t{1} << 30));
  bytes_per_second(state, plain.size());
  state.SetLabel(std::string(name_of(c)));
}
BENCHMARK(decompress_records)->ArgsProduct({{1, 2, 3, 4}, {16 * 1024, 1024 * 1024}});

}  // namespace
}  // namespace millrace::protocol

BENCHMARK_MAIN();
