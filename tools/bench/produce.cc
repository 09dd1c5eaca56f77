#include <algorithm>
#include <barrier>

#include "tools/bench/clock.h"
#include "tools/bench/crowd.h"
#include "tools/bench/load.h"
#include "tools/cli/interrupt.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

namespace {

constexpr uint64_t poll_every = 512;
// How long acknowledgements are waited for after Ctrl-C.
constexpr int64_t last_patience_ns = 5'000'000'000;

std::vector<property> properties_for(const load_options& o) {
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

// One client, which sends each `clients`-th record from number `index` on. Runs on: one thread at a time.
class sender {
 public:
  static result<std::unique_ptr<sender>> open(const load_options& options, size_t index,
                                              const std::vector<std::string>& payloads,
                                              load_progress& progress) {
    std::unique_ptr<sender> self(new sender(options, index, payloads, progress));
    auto client = handle::open(
        RD_KAFKA_PRODUCER, options.to, properties_for(options),
        {.on_delivery = [s = self.get()](const auto& m) { s->on_delivery(m); }, .on_rebalance = {}});
    if (!client) return fail(client.error());
    self->client_ = *std::move(client);
    const auto topic = find_topic(*self->client_, options.topic);
    if (!topic) return fail(topic.error());
    self->partitions_ = topic->partitions.size();
    self->topic_.reset(rd_kafka_topic_new(self->client_->get(), options.topic.c_str(), nullptr));
    return self;
  }

  result<void> warm_up() {
    if (options_.warm_up_records == 0) return {};
    MR_TRY(send_all(options_.warm_up_records, now_ns()));
    if (seen_.first_failure) return fail(*seen_.first_failure);
    seen_ = {};
    seen_.ack_latency.reserve(options_.records / options_.clients + 1);
    return {};
  }

  result<void> run(int64_t start_ns) {
    MR_TRY(send_all(options_.records, start_ns));
    end_ns_ = now_ns();
    return {};
  }

  load_result& seen() { return seen_; }
  int64_t end_ns() const { return end_ns_; }

 private:
  sender(const load_options& options, size_t index, const std::vector<std::string>& payloads,
         load_progress& progress)
      : options_(options), index_(index), payloads_(payloads), progress_(progress) {
    seen_.ack_latency.reserve(std::max(options.records, options.warm_up_records) / options.clients + 1);
  }

  // Returns when all is acknowledged or given up.
  result<void> send_all(uint64_t records, int64_t start_ns) {
    sent_to_.assign(partitions_, 0);
    const uint64_t run_records = std::max<uint64_t>(1, options_.batch_bytes / options_.record_bytes);
    uint64_t sent = 0;
    for (uint64_t i = index_; i < records && !interrupted(); i += options_.clients, ++sent) {
      int64_t due = now_ns();
      if (options_.rate > 0) {
        due = start_ns + due_ns(i, options_.rate);
        wait_until(due);
      }
      // At a fixed rate every record goes to the next partition; flat out, whole batches do.
      const uint64_t partition = (options_.rate > 0 ? i : sent / run_records + index_) % partitions_;
      if (options_.keys > 0) key_ = key_of(options_, static_cast<int32_t>(partition), sent_to_[partition]++);
      MR_TRY(send(static_cast<int32_t>(partition), payloads_[i % payloads_.size()], due));
      if (sent % poll_every == 0) {
        rd_kafka_poll(client_->get(), 0);
        MR_TRY(client_->check());
      }
    }
    return finish();
  }

  result<void> finish() {
    int64_t give_up = 0;
    while (rd_kafka_flush(client_->get(), 500) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
      MR_TRY(client_->check());
      if (!interrupted()) continue;
      if (give_up == 0) give_up = now_ns() + last_patience_ns;
      const bool is_late = now_ns() > give_up;
      rd_kafka_purge(client_->get(),
                     is_late ? RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT : RD_KAFKA_PURGE_F_QUEUE);
    }
    return {};
  }

  // Acknowledgements are taken in meanwhile, or their latency would include our sleep.
  void wait_until(int64_t due) {
    while (now_ns() < due && !interrupted()) {
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
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(broker_error(code, "send"));
      rd_kafka_poll(client_->get(), 10);
      MR_TRY(client_->check());
      if (interrupted()) return {};
    }
    return {};
  }

  void on_delivery(const rd_kafka_message_t& message) {
    if (message.err == RD_KAFKA_RESP_ERR__PURGE_QUEUE || message.err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT)
      return;
    if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++seen_.failed;
      if (!seen_.first_failure)
        seen_.first_failure =
            broker_error(message.err, fmt::format("write to {} [{}]", options_.topic, message.partition));
      return;
    }
    ++seen_.records;
    seen_.bytes += message.len;
    progress_.records.fetch_add(1, std::memory_order_relaxed);
    progress_.bytes.fetch_add(message.len, std::memory_order_relaxed);
    seen_.ack_latency.add(now_ns() - static_cast<int64_t>(reinterpret_cast<intptr_t>(message._private)));
  }

  const load_options& options_;
  size_t index_;
  const std::vector<std::string>& payloads_;
  load_progress& progress_;
  std::string key_;
  std::vector<uint64_t> sent_to_;  // so many records, by partition
  std::unique_ptr<handle> client_;
  topic_ptr topic_;
  uint64_t partitions_ = 1;
  load_result seen_;
  int64_t end_ns_ = 0;
};

}  // namespace

result<load_result> run_produce(const load_options& options, const load_watch& watch) {
  const std::vector<std::string> payloads = make_payloads(payload_count, options.record_bytes);
  load_progress progress;
  std::vector<std::unique_ptr<sender>> senders;
  for (size_t i = 0; i < options.clients; ++i) {
    auto s = sender::open(options, i, payloads, progress);
    if (!s) return fail(s.error());
    senders.push_back(*std::move(s));
  }
  int64_t start_ns = 0;
  double cpu_before = 0;
  std::barrier warm(static_cast<ptrdiff_t>(options.clients), [&]() noexcept {
    cpu_before = process_cpu_seconds();
    start_ns = now_ns();
  });
  const auto work = [&](size_t i) -> result<void> {
    const result<void> ready = senders[i]->warm_up();
    if (!ready) {
      warm.arrive_and_drop();
      return ready;
    }
    warm.arrive_and_wait();
    return senders[i]->run(start_ns);
  };
  MR_TRY(run_crowd(options.clients, work, progress, watch));

  load_result seen = std::move(senders.front()->seen());
  int64_t end_ns = senders.front()->end_ns();
  for (size_t i = 1; i < senders.size(); ++i) {
    load_result& more = senders[i]->seen();
    seen.records += more.records;
    seen.failed += more.failed;
    seen.bytes += more.bytes;
    seen.ack_latency.add(more.ack_latency);
    if (!seen.first_failure) seen.first_failure = more.first_failure;
    end_ns = std::max(end_ns, senders[i]->end_ns());
  }
  seen.seconds = seconds_between(start_ns, end_ns);
  seen.client_cpu_seconds = process_cpu_seconds() - cpu_before;
  return seen;
}

}  // namespace millrace::tools
