#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <unistd.h>

#include "tools/bench/clock.h"
#include "tools/bench/crowd.h"
#include "tools/bench/load.h"
#include "tools/cli/interrupt.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

namespace {

constexpr int64_t patience_ns = 10'000'000'000;

// What the first bytes of a record are: when it was due, and whose it is. A processor may keep only the
// first 8.
struct stamp {
  int64_t due_ns = 0;
  uint64_t run = 0;
};
static_assert(sizeof(stamp) == 16);

class echo {
 public:
  static result<std::unique_ptr<echo>> open(const load_options& options) {
    std::unique_ptr<echo> self(new echo(options));
    auto producer = handle::open(
        RD_KAFKA_PRODUCER, options.to,
        {{"acks", options.acks},
         {"compression.codec", options.codec},
         {"linger.ms", "0"},
         {"batch.num.messages", std::to_string(options.batch_records)},
         {"socket.nagle.disable", "true"},
         {"message.max.bytes", "16777216"},
         {"queue.buffering.max.messages", "1000000"}},
        {.on_delivery = [s = self.get()](const auto& m) { s->on_delivery(m); }, .on_rebalance = {}});
    if (!producer) return fail(producer.error());
    self->producer_ = *std::move(producer);
    auto consumer = handle::open(RD_KAFKA_CONSUMER, options.to,
                                 {{"group.id", "perf"},
                                  {"enable.auto.commit", "false"},
                                  {"isolation.level", options.isolation},
                                  {"fetch.min.bytes", "1"},
                                  {"socket.nagle.disable", "true"}});
    if (!consumer) return fail(consumer.error());
    self->consumer_ = *std::move(consumer);
    MR_TRY(self->start_consuming());
    return self;
  }

  result<load_result> run(const load_watch& watch) {
    const double cpu_before = process_cpu_seconds();
    start_ns_ = now_ns();
    const auto work = [&](size_t) { return options_.rate > 0 ? open_loop() : ping_pong(); };
    MR_TRY(run_crowd(1, work, progress_, watch));
    seen_.seconds = seconds_between(start_ns_, now_ns());
    seen_.client_cpu_seconds = process_cpu_seconds() - cpu_before;
    rd_kafka_consumer_close(consumer_->get());
    return std::move(seen_);
  }

 private:
  explicit echo(const load_options& options)
      : options_(options), run_(static_cast<uint64_t>(now_ns()) ^ static_cast<uint64_t>(getpid()) << 48) {
    for (const std::string& value : make_payloads(100, std::max<size_t>(options.record_bytes, sizeof(stamp))))
      if (value_.empty() || (options.fits && !options.fits(value_))) value_ = value;
    seen_.end_to_end_latency.reserve(options.records);
  }

  uint64_t total() const { return options_.warm_up_records + options_.records; }
  const std::string& consumed() const { return options_.derived.empty() ? options_.topic : options_.derived; }

  result<void> start_consuming() {
    const auto written = find_topic(*producer_, options_.topic);
    if (!written) return fail(written.error());
    partitions_ = static_cast<int32_t>(written->partitions.size());
    const auto topic = find_topic(*consumer_, consumed());
    if (!topic) return fail(topic.error());
    rd_kafka_poll_set_consumer(consumer_->get());
    const partition_list_ptr all(
        rd_kafka_topic_partition_list_new(static_cast<int>(topic->partitions.size())));
    for (const partition_info& p : topic->partitions) {
      rd_kafka_topic_partition_list_add(all.get(), consumed().c_str(), p.id)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_assign(consumer_->get(), all.get());
    // Until the first fetch waits at the end; a record sent before would be missed.
    for (const int64_t until = now_ns() + 1'500'000'000; now_ns() < until;) {
      const message_ptr none(rd_kafka_consumer_poll(consumer_->get(), 100));
    }
    topic_.reset(rd_kafka_topic_new(producer_->get(), options_.topic.c_str(), nullptr));
    return {};
  }

  result<void> send(int32_t partition, int64_t due) {
    const stamp mine{.due_ns = due, .run = run_};
    std::memcpy(value_.data(), &mine, options_.derived.empty() ? sizeof(mine) : sizeof(mine.due_ns));
    const uint64_t round = sent_ / static_cast<uint64_t>(partitions_);
    const std::string key = options_.keys > 0 ? key_of(options_, partition, round) : std::string();
    if (rd_kafka_produce(topic_.get(), partition, RD_KAFKA_MSG_F_COPY, value_.data(), value_.size(),
                         key.empty() ? nullptr : key.data(), key.size(), nullptr) != 0) {
      return fail(broker_error(rd_kafka_last_error(), "send"));
    }
    ++sent_;
    return {};
  }

  void on_delivery(const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) return;
    ++seen_.failed;
    if (!seen_.first_failure)
      seen_.first_failure = broker_error(message.err, fmt::format("write to {}", options_.topic));
  }

  // Takes in one record of ours; false if none came in time.
  bool receive(int wait_ms) {
    const message_ptr message(rd_kafka_consumer_poll(consumer_->get(), wait_ms));
    stamp found{.due_ns = 0, .run = run_};
    const size_t wanted = options_.derived.empty() ? sizeof(found) : sizeof(found.due_ns);
    if (!message || message->err != RD_KAFKA_RESP_ERR_NO_ERROR || message->len < wanted) return false;
    std::memcpy(&found, message->payload, wanted);
    if (found.run != run_) return false;
    progress_.bytes += message->len;
    if (++progress_.records <= options_.warm_up_records) return true;
    ++seen_.records;
    seen_.bytes += message->len;
    seen_.end_to_end_latency.add(now_ns() - found.due_ns);
    return true;
  }

  // The first record that counts is about to be sent.
  void begin_if(uint64_t i, int64_t due) {
    if (i == options_.warm_up_records) start_ns_ = due;
  }

  result<void> ping_pong() {
    for (uint64_t i = 0; i < total(); ++i) {
      const int64_t now = now_ns();
      begin_if(i, now);
      MR_TRY(send(0, now));
      const int64_t give_up = now_ns() + patience_ns;
      while (!receive(1000)) {
        if (interrupted()) return {};
        rd_kafka_poll(producer_->get(), 0);
        if (seen_.first_failure) return fail(*seen_.first_failure);
        MR_TRY(producer_->check());
        if (now_ns() > give_up) return fail(errc::request_timed_out, "record {} did not come back", i);
      }
      rd_kafka_poll(producer_->get(), 0);
    }
    return {};
  }

  result<void> open_loop() {
    // Until all came, or nothing did for a while after the last was sent: what is acknowledged is readable.
    std::atomic<bool> is_sent = false;
    std::thread consuming([&] {
      for (int silent = 0; progress_.records < total() && silent < 30;) {
        silent = receive(100) || !is_sent ? 0 : silent + 1;
        if (interrupted() && is_sent) break;
      }
    });
    result<void> sent;
    const int64_t start = now_ns();
    for (uint64_t i = 0; i < total() && sent && !interrupted(); ++i) {
      const int64_t due = start + due_ns(i, options_.rate);
      if (now_ns() < due) sleep_until_ns(due);
      begin_if(i, due);
      sent = send(static_cast<int32_t>(i % static_cast<uint64_t>(partitions_)), due);
      rd_kafka_poll(producer_->get(), 0);
      if (sent) sent = producer_->check();
    }
    rd_kafka_flush(producer_->get(), interrupted() ? 1'000 : 30'000);
    is_sent = true;
    consuming.join();
    if (sent && !seen_.first_failure && progress_.records < total() && !interrupted())
      return fail(errc::request_timed_out, "{} of {} records did not come back", total() - progress_.records,
                  total());
    return sent;
  }

  load_options options_;
  uint64_t run_;
  std::string value_;
  std::unique_ptr<handle> producer_;
  std::unique_ptr<handle> consumer_;
  topic_ptr topic_;
  int32_t partitions_ = 1;
  uint64_t sent_ = 0;
  int64_t start_ns_ = 0;
  load_progress progress_;
  load_result seen_;
};

}  // namespace

result<load_result> run_latency(const load_options& options, const load_watch& watch) {
  auto e = echo::open(options);
  if (!e) return fail(e.error());
  return (*e)->run(watch);
}

}  // namespace millrace::tools
