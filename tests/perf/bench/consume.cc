#include "tests/perf/bench/clock.h"
#include "tests/perf/bench/load.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::perf {

namespace {

constexpr size_t batch_records = 10'000;
constexpr int64_t patience_ns = 20'000'000'000;

}  // namespace

result<load_result> run_consume(const load_options& options) {
  const auto client = tools::handle::open(RD_KAFKA_CONSUMER, options.to,
                                          {{"group.id", "perf"},
                                           {"enable.auto.commit", "false"},
                                           {"queued.min.messages", "500000"},
                                           {"queued.max.messages.kbytes", "65536"},
                                           {"fetch.message.max.bytes", "1048576"}});
  if (!client) return fail(client.error());
  const auto topic = tools::find_topic(**client, options.topic);
  if (!topic) return fail(topic.error());
  rd_kafka_t* const consumer = (*client)->get();
  rd_kafka_poll_set_consumer(consumer);
  const tools::queue_ptr queue(rd_kafka_queue_get_consumer(consumer));
  const tools::partition_list_ptr all(
      rd_kafka_topic_partition_list_new(static_cast<int>(topic->partitions.size())));
  for (const tools::partition_info& partition : topic->partitions) {
    rd_kafka_topic_partition_list_add(all.get(), options.topic.c_str(), partition.id)->offset =
        RD_KAFKA_OFFSET_BEGINNING;
  }

  load_result seen;
  std::vector<rd_kafka_message_t*> batch(batch_records);
  const double cpu_before = process_cpu_seconds();
  const int64_t start = now_ns();
  int64_t last = start;
  rd_kafka_assign(consumer, all.get());
  while (seen.records < options.records) {
    const ssize_t count = rd_kafka_consume_batch_queue(queue.get(), 100, batch.data(), batch.size());
    const int64_t now = now_ns();
    for (ssize_t i = 0; i < count; ++i) {
      const tools::message_ptr message(batch[static_cast<size_t>(i)]);
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
      ++seen.records;
      seen.bytes += message->len;
      last = now;
    }
    if (now - last > patience_ns) {
      return fail(errc::request_timed_out, "only {} of {} records came", seen.records, options.records);
    }
  }
  seen.seconds = static_cast<double>(last - start) / 1e9;
  seen.client_cpu_seconds = process_cpu_seconds() - cpu_before;
  rd_kafka_consumer_close(consumer);
  return seen;
}

}  // namespace millrace::perf
