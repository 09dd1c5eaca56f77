#include <atomic>
#include <thread>

#include "tests/perf/bench/derived.h"
#include "tools/bench/clock.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::perf {

namespace {

constexpr size_t batch_records = 10'000;
constexpr int64_t patience_ns = 60'000'000'000;

}  // namespace

bool passes(std::string_view value, int64_t temp_min) {
  constexpr std::string_view field = "\"temp\":";
  const size_t at = value.find(field);
  if (at == std::string_view::npos || at + field.size() + 2 > value.size()) return false;
  const int64_t temp = (value[at + field.size()] - '0') * 10 + (value[at + field.size() + 1] - '0');
  return temp >= temp_min;
}

// One consumer from the end on, one producer beside it.
result<tools::load_result> run_derive(const tools::load_options& options) {
  const auto client = tools::handle::open(RD_KAFKA_CONSUMER, options.to,
                                          {{"group.id", "perf"},
                                           {"enable.auto.commit", "false"},
                                           {"fetch.min.bytes", "1"},
                                           {"queued.min.messages", "500000"},
                                           {"queued.max.messages.kbytes", "65536"}});
  if (!client) return fail(client.error());
  const auto topic = tools::find_topic(**client, options.derived);
  if (!topic) return fail(topic.error());
  rd_kafka_t* const consumer = (*client)->get();
  rd_kafka_poll_set_consumer(consumer);
  const tools::queue_ptr queue(rd_kafka_queue_get_consumer(consumer));
  const tools::partition_list_ptr all(
      rd_kafka_topic_partition_list_new(static_cast<int>(topic->partitions.size())));
  for (const tools::partition_info& partition : topic->partitions) {
    rd_kafka_topic_partition_list_add(all.get(), options.derived.c_str(), partition.id)->offset =
        RD_KAFKA_OFFSET_END;
  }
  rd_kafka_assign(consumer, all.get());
  // Until the first fetch waits at the end; a record derived before would be missed.
  for (const int64_t until = tools::now_ns() + 1'500'000'000; tools::now_ns() < until;) {
    const tools::message_ptr none(rd_kafka_consumer_poll(consumer, 100));
  }

  // The producer's payloads repeat, so what follows from them can be told beforehand.
  const std::vector<std::string> payloads = tools::make_payloads(tools::payload_count, options.record_bytes);
  uint64_t expected = 0;
  for (uint64_t i = 0; i < options.records; ++i)
    expected += !options.fits || options.fits(payloads[i % payloads.size()]);

  const double cpu_before = tools::process_cpu_seconds();
  const int64_t start = tools::now_ns();
  std::atomic<bool> is_sent = false;
  result<tools::load_result> sent = tools::load_result();
  std::thread producing([&] {
    sent = tools::run_produce(options);
    is_sent = true;
  });
  std::vector<rd_kafka_message_t*> batch(batch_records);
  uint64_t read = 0;
  int64_t last = start;
  while (read < expected && tools::now_ns() - last < patience_ns && (!is_sent || sent.has_value())) {
    const ssize_t count = rd_kafka_consume_batch_queue(queue.get(), 50, batch.data(), batch.size());
    const int64_t now = tools::now_ns();
    for (ssize_t i = 0; i < count; ++i) {
      const tools::message_ptr message(batch[static_cast<size_t>(i)]);
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      ++read;
      last = now;
    }
  }
  producing.join();
  if (!sent) return fail(sent.error());
  if (read < expected)
    return fail(errc::request_timed_out, "only {} of {} derived records came", read, expected);
  tools::load_result seen = *std::move(sent);
  seen.seconds = static_cast<double>(last - start) / 1e9;
  seen.client_cpu_seconds = tools::process_cpu_seconds() - cpu_before;
  rd_kafka_consumer_close(consumer);
  return seen;
}

}  // namespace millrace::perf
