#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>

#include "tests/perf/bench/clock.h"
#include "tests/perf/bench/load.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::perf {

namespace {

// Left out of the figures: connections are made, code is warm.
uint64_t warm_up_of(const load_options& o) {
  return o.rate > 0 ? std::min(o.rate, o.records / 5) : std::min<uint64_t>(200, o.records / 5);
}

// A record carries the moment it was due in its first 8 bytes.
void stamp(std::string& value, int64_t ns) {
  std::memcpy(value.data(), &ns, sizeof(ns));
}

class echo {
 public:
  static result<std::unique_ptr<echo>> open(const load_options& options) {
    std::unique_ptr<echo> self(new echo(options));
    auto producer = tools::handle::open(RD_KAFKA_PRODUCER, options.to,
                                        {{"acks", options.acks},
                                         {"linger.ms", "0"},
                                         {"batch.num.messages", std::to_string(options.batch_records)},
                                         {"socket.nagle.disable", "true"},
                                         {"queue.buffering.max.messages", "1000000"}});
    if (!producer) return fail(producer.error());
    self->producer_ = *std::move(producer);
    auto consumer = tools::handle::open(RD_KAFKA_CONSUMER, options.to,
                                        {{"group.id", "perf"},
                                         {"enable.auto.commit", "false"},
                                         {"fetch.min.bytes", "1"},
                                         {"socket.nagle.disable", "true"}});
    if (!consumer) return fail(consumer.error());
    self->consumer_ = *std::move(consumer);
    MR_TRY(self->start_consuming());
    return self;
  }

  result<load_result> run() {
    const double cpu_before = process_cpu_seconds();
    const int64_t start = now_ns();
    MR_TRY(options_.rate > 0 ? open_loop() : ping_pong());
    seen_.seconds = static_cast<double>(now_ns() - start) / 1e9;
    seen_.client_cpu_seconds = process_cpu_seconds() - cpu_before;
    rd_kafka_consumer_close(consumer_->get());
    return std::move(seen_);
  }

 private:
  explicit echo(const load_options& options) : options_(options) {
    // One that processors pass on.
    for (const std::string& value : make_payloads(100, std::max<size_t>(options.record_bytes, 16)))
      if (value_.empty() || !passes(value_, options.passing)) value_ = value;
    seen_.end_to_end_latency.reserve(options.records);
  }

  const std::string& consumed() const { return options_.derived.empty() ? options_.topic : options_.derived; }

  result<void> start_consuming() {
    const auto topic = tools::find_topic(*consumer_, consumed());
    if (!topic) return fail(topic.error());
    partitions_ = static_cast<int32_t>(topic->partitions.size());
    rd_kafka_poll_set_consumer(consumer_->get());
    const tools::partition_list_ptr all(rd_kafka_topic_partition_list_new(partitions_));
    for (int32_t i = 0; i < partitions_; ++i) {
      rd_kafka_topic_partition_list_add(all.get(), consumed().c_str(), i)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_assign(consumer_->get(), all.get());
    // Until the first fetch waits at the end; a record sent before would be missed.
    for (const int64_t until = now_ns() + 1'500'000'000; now_ns() < until;) {
      const tools::message_ptr none(rd_kafka_consumer_poll(consumer_->get(), 100));
    }
    topic_.reset(rd_kafka_topic_new(producer_->get(), options_.topic.c_str(), nullptr));
    return {};
  }

  result<void> send(int32_t partition, int64_t due) {
    stamp(value_, due);
    const std::string key = options_.keys > 0 ? key_of(options_, partition, sent_++) : std::string();
    if (rd_kafka_produce(topic_.get(), partition, RD_KAFKA_MSG_F_COPY, value_.data(), value_.size(),
                         key.empty() ? nullptr : key.data(), key.size(), nullptr) != 0) {
      return fail(tools::broker_error(rd_kafka_last_error(), "send"));
    }
    return {};
  }

  // Takes in one record; false if none came in time.
  bool receive(int wait_ms) {
    const tools::message_ptr message(rd_kafka_consumer_poll(consumer_->get(), wait_ms));
    if (!message || message->err != RD_KAFKA_RESP_ERR_NO_ERROR || message->len < sizeof(int64_t))
      return false;
    int64_t due = 0;
    std::memcpy(&due, message->payload, sizeof(due));
    if (++seen_.records > warm_up_of(options_)) seen_.end_to_end_latency.add(now_ns() - due);
    seen_.bytes += message->len;
    return true;
  }

  result<void> ping_pong() {
    for (uint64_t i = 0; i < options_.records; ++i) {
      MR_TRY(send(0, now_ns()));
      const int64_t give_up = now_ns() + 10'000'000'000;
      while (!receive(1000)) {
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
      for (int silent = 0; seen_.records < options_.records && silent < 30;) {
        silent = receive(100) || !is_sent ? 0 : silent + 1;
      }
    });
    result<void> sent;
    const int64_t start = now_ns();
    for (uint64_t i = 0; i < options_.records && sent; ++i) {
      const int64_t due = start + static_cast<int64_t>(i * 1'000'000'000 / options_.rate);
      if (now_ns() < due) sleep_until_ns(due);
      sent = send(static_cast<int32_t>(i % static_cast<uint64_t>(partitions_)), due);
      rd_kafka_poll(producer_->get(), 0);
    }
    rd_kafka_flush(producer_->get(), 30'000);
    is_sent = true;
    consuming.join();
    return sent;
  }

  load_options options_;
  std::string value_;
  std::unique_ptr<tools::handle> producer_;
  std::unique_ptr<tools::handle> consumer_;
  tools::topic_ptr topic_;
  int32_t partitions_ = 1;
  uint64_t sent_ = 0;
  load_result seen_;
};

}  // namespace

result<load_result> run_echo(const load_options& options) {
  auto e = echo::open(options);
  if (!e) return fail(e.error());
  return (*e)->run();
}

}  // namespace millrace::perf
