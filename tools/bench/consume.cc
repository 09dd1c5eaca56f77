#include <algorithm>

#include "tools/bench/clock.h"
#include "tools/bench/crowd.h"
#include "tools/bench/load.h"
#include "tools/cli/interrupt.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

namespace {

constexpr size_t batch_records = 10'000;
constexpr int64_t patience_ns = 20'000'000'000;

// One client, which reads each `clients`-th partition. Runs on: one thread at a time.
class reader {
 public:
  static result<std::unique_ptr<reader>> open(const load_options& options, size_t index,
                                              load_progress& progress) {
    std::unique_ptr<reader> self(new reader(options, progress));
    auto client = handle::open(RD_KAFKA_CONSUMER, options.to,
                               {{"group.id", "perf"},
                                {"enable.auto.commit", "false"},
                                {"enable.partition.eof", "true"},
                                {"isolation.level", options.isolation},
                                {"queued.min.messages", "500000"},
                                {"queued.max.messages.kbytes", "65536"},
                                {"fetch.message.max.bytes", "1048576"}});
    if (!client) return fail(client.error());
    self->client_ = *std::move(client);
    const auto topic = find_topic(*self->client_, options.topic);
    if (!topic) return fail(topic.error());
    rd_kafka_poll_set_consumer(self->client_->get());
    self->queue_.reset(rd_kafka_queue_get_consumer(self->client_->get()));
    self->list_.reset(rd_kafka_topic_partition_list_new(static_cast<int>(topic->partitions.size())));
    for (size_t i = index; i < topic->partitions.size(); i += options.clients) {
      rd_kafka_topic_partition_list_add(self->list_.get(), options.topic.c_str(), topic->partitions[i].id)
          ->offset = RD_KAFKA_OFFSET_BEGINNING;
    }
    self->left_ = self->list_->cnt;
    return self;
  }

  // Until all clients together have enough, or this one is at the end of all its partitions.
  result<void> run() {
    std::vector<rd_kafka_message_t*> batch(batch_records);
    last_ns_ = now_ns();
    int64_t heard_ns = last_ns_;
    rd_kafka_assign(client_->get(), list_.get());
    while (progress_.records < options_.records && left_ > 0 && !interrupted()) {
      const ssize_t count = rd_kafka_consume_batch_queue(queue_.get(), 100, batch.data(), batch.size());
      const int64_t now = now_ns();
      const uint64_t records_before = seen_.records;
      const uint64_t bytes_before = seen_.bytes;
      for (ssize_t i = 0; i < count; ++i) {
        const message_ptr message(batch[static_cast<size_t>(i)]);
        if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) --left_;
        if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        ++seen_.records;
        seen_.bytes += message->len;
      }
      progress_.records += seen_.records - records_before;
      progress_.bytes += seen_.bytes - bytes_before;
      if (seen_.records > records_before) last_ns_ = now;
      if (count > 0) heard_ns = now;
      MR_TRY(client_->check());
      if (now - heard_ns > patience_ns) return fail(errc::request_timed_out, "no record came for 20 s");
    }
    return {};
  }

  void close() { rd_kafka_consumer_close(client_->get()); }
  const load_result& seen() const { return seen_; }
  int64_t last_ns() const { return last_ns_; }

 private:
  reader(const load_options& options, load_progress& progress) : options_(options), progress_(progress) {}

  const load_options& options_;
  load_progress& progress_;
  std::unique_ptr<handle> client_;
  queue_ptr queue_;
  partition_list_ptr list_;
  int left_ = 0;  // partitions whose end was not seen yet
  load_result seen_;
  int64_t last_ns_ = 0;
};

}  // namespace

result<load_result> run_consume(const load_options& options, const load_watch& watch) {
  load_progress progress;
  std::vector<std::unique_ptr<reader>> readers;
  for (size_t i = 0; i < options.clients; ++i) {
    auto r = reader::open(options, i, progress);
    if (!r) return fail(r.error());
    readers.push_back(*std::move(r));
  }
  const double cpu_before = process_cpu_seconds();
  const int64_t start_ns = now_ns();
  MR_TRY(run_crowd(readers.size(), [&](size_t i) { return readers[i]->run(); }, progress, watch));
  load_result seen;
  int64_t end_ns = start_ns;
  for (const auto& r : readers) {
    seen.records += r->seen().records;
    seen.bytes += r->seen().bytes;
    if (r->seen().records > 0) end_ns = std::max(end_ns, r->last_ns());
  }
  seen.seconds = seconds_between(start_ns, end_ns);
  seen.client_cpu_seconds = process_cpu_seconds() - cpu_before;
  for (const auto& r : readers) r->close();
  if (seen.records < options.records && !interrupted())
    return fail(errc::request_timed_out, "'{}' ended after {} of {} records", options.topic, seen.records,
                options.records);
  return seen;
}

}  // namespace millrace::tools
