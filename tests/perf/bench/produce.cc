#include <algorithm>

#include "tests/perf/bench/clock.h"
#include "tests/perf/bench/load.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::perf {

namespace {

constexpr uint64_t poll_every = 512;

std::vector<tools::property> properties_for(const load_options& o) {
  return {{"acks", o.acks},
          {"compression.codec", o.codec},
          {"linger.ms", fmt::format("{}", o.linger_ms)},
          {"batch.size", std::to_string(o.batch_bytes)},
          {"batch.num.messages", std::to_string(o.batch_records)},
          {"max.in.flight", "5"},
          {"queue.buffering.max.messages", "500000"},
          {"queue.buffering.max.kbytes", "65536"},
          {"message.max.bytes", "16777216"},
          {"message.timeout.ms", "300000"}};
}

// The moment a record was due rides along as its opaque; it comes back with the acknowledgement.
void* to_opaque(int64_t ns) {
  return reinterpret_cast<void*>(static_cast<intptr_t>(ns));
}

class sender {
 public:
  static result<std::unique_ptr<sender>> open(const load_options& options) {
    std::unique_ptr<sender> self(new sender(options));
    auto client = tools::handle::open(
        RD_KAFKA_PRODUCER, options.to, properties_for(options),
        {.on_delivery = [s = self.get()](const auto& m) { s->on_delivery(m); }, .on_rebalance = {}});
    if (!client) return fail(client.error());
    self->client_ = *std::move(client);
    const auto topic = tools::find_topic(*self->client_, options.topic);
    if (!topic) return fail(topic.error());
    self->partitions_ = topic->partitions.size();
    self->topic_.reset(rd_kafka_topic_new(self->client_->get(), options.topic.c_str(), nullptr));
    return self;
  }

  result<load_result> run() {
    const uint64_t run_records = std::max<uint64_t>(1, options_.batch_bytes / options_.record_bytes);
    const double cpu_before = process_cpu_seconds();
    const int64_t start = now_ns();
    for (uint64_t i = 0; i < options_.records; ++i) {
      int64_t due = now_ns();
      if (options_.rate > 0) {
        due = start + static_cast<int64_t>(i * 1'000'000'000 / options_.rate);
        wait_until(due);
      }
      // At a fixed rate every record goes to the next partition; flat out, whole batches do.
      const uint64_t partition = (options_.rate > 0 ? i : i / run_records) % partitions_;
      if (options_.keys > 0) key_ = key_of(options_, static_cast<int32_t>(partition), i);
      MR_TRY(send(static_cast<int32_t>(partition), payloads_[i % payloads_.size()], due));
      if (i % poll_every == 0) rd_kafka_poll(client_->get(), 0);
    }
    while (rd_kafka_flush(client_->get(), 500) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
    }
    seen_.seconds = static_cast<double>(now_ns() - start) / 1e9;
    seen_.client_cpu_seconds = process_cpu_seconds() - cpu_before;
    return std::move(seen_);
  }

 private:
  explicit sender(const load_options& options)
      : options_(options), payloads_(make_payloads(payload_count, options.record_bytes)) {
    seen_.ack_latency.reserve(options.records);
  }

  // Acknowledgements are taken in meanwhile, or their latency would include our sleep.
  void wait_until(int64_t due) {
    while (now_ns() < due) {
      const int64_t left_ms = (due - now_ns()) / 1'000'000;
      if (rd_kafka_poll(client_->get(), static_cast<int>(std::min<int64_t>(left_ms, 1))) == 0 &&
          left_ms == 0) {
        sleep_until_ns(std::min(due, now_ns() + 50'000));
      }
    }
  }

  result<void> send(int32_t partition, const std::string& value, int64_t due) {
    while (rd_kafka_produce(topic_.get(), partition, RD_KAFKA_MSG_F_COPY, const_cast<char*>(value.data()),
                            value.size(), key_.empty() ? nullptr : key_.data(), key_.size(),
                            to_opaque(due)) != 0) {
      const rd_kafka_resp_err_t code = rd_kafka_last_error();
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(tools::broker_error(code, "send"));
      rd_kafka_poll(client_->get(), 10);
    }
    return {};
  }

  void on_delivery(const rd_kafka_message_t& message) {
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++seen_.failed;
      return;
    }
    ++seen_.records;
    seen_.bytes += message.len;
    seen_.ack_latency.add(now_ns() - static_cast<int64_t>(reinterpret_cast<intptr_t>(message._private)));
  }

  load_options options_;
  std::vector<std::string> payloads_;
  std::string key_;
  std::unique_ptr<tools::handle> client_;
  tools::topic_ptr topic_;
  uint64_t partitions_ = 1;
  load_result seen_;
};

}  // namespace

result<load_result> run_produce(const load_options& options) {
  auto s = sender::open(options);
  if (!s) return fail(s.error());
  return (*s)->run();
}

}  // namespace millrace::perf
