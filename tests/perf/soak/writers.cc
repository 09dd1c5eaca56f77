#include "tests/perf/soak/writers.h"

#include <algorithm>
#include <cstring>

#include "tests/perf/bench/derived.h"
#include "tools/bench/clock.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/topics.h"

namespace millrace::perf {

namespace {

// How often acknowledgements are taken in, which is also how exactly they are timed.
constexpr int64_t tick_ns = 250'000;
constexpr uint64_t ticks_a_burst = 200;  // every producer has a burst in 50 ms, at a tick of its own
constexpr uint64_t most_waiting = 500;   // of each producer, as fast as it goes
constexpr int64_t patience_ns = 60'000'000'000;

}  // namespace

writers::writers(const writers_options& options)
    : options_(options), payloads_(tools::make_payloads(tools::payload_count, options.record_bytes)) {
  for (const std::string& value : payloads_) passes_.push_back(passes(value, options.passing_temp));
}

result<std::unique_ptr<writers>> writers::open(const writers_options& options) {
  std::unique_ptr<writers> self(new writers(options));
  for (uint32_t i = 0; i < options.producers; ++i) {
    auto one = std::make_unique<producer>();
    auto client = tools::handle::open(
        RD_KAFKA_PRODUCER, options.to,
        {{"acks", "all"},
         {"enable.idempotence", "true"},
         {"linger.ms", "5"},
         {"message.timeout.ms", "60000"}},
        {.on_delivery = [s = self.get(), o = one.get()](const auto& m) { s->on_delivery(*o, m); },
         .on_rebalance = {}});
    if (!client) return fail(client.error());
    one->client = *std::move(client);
    if (i == 0) {
      const auto topic = tools::find_topic(*one->client, options.topic);
      if (!topic) return fail(topic.error());
      self->partitions_ = topic->partitions.size();
    }
    one->topic.reset(rd_kafka_topic_new(one->client->get(), options.topic.c_str(), nullptr));
    one->bursts = i;  // or all would write to the same partition at a time
    self->producers_.push_back(std::move(one));
  }
  return self;
}

result<void> writers::run(double seconds, uint64_t rate) {
  for (auto& one : producers_) one->sent = 0;
  const auto ticks = static_cast<uint64_t>(seconds * 1e9 / static_cast<double>(tick_ns));
  const int64_t start = tools::now_ns();
  for (uint64_t tick = 0; tick < ticks; ++tick) {
    // A tick that is late keeps its time: what was due then waited.
    const int64_t due = start + static_cast<int64_t>(tick) * tick_ns;
    if (rate == 0 && tools::now_ns() - start > static_cast<int64_t>(seconds * 1e9)) break;
    if (tools::now_ns() < due) tools::sleep_until_ns(due);
    for (size_t i = 0; i < producers_.size(); ++i) {
      producer& one = *producers_[i];
      rd_kafka_poll(one.client->get(), 0);
      if (rate == 0) {
        if (one.waiting < most_waiting / 2) MR_TRY(burst(one, most_waiting - one.waiting, due));
      } else if (tick % ticks_a_burst == i * ticks_a_burst / producers_.size()) {
        const uint64_t wanted = rate * (tick + 1) * tick_ns / 1'000'000'000 / producers_.size();
        if (wanted > one.sent) MR_TRY(burst(one, wanted - one.sent, due));
      }
    }
  }
  return finish();
}

result<void> writers::burst(producer& one, uint64_t records, int64_t due) {
  const auto partition = static_cast<int32_t>(one.bursts++ % partitions_);
  tools::load_options keyed;
  keyed.keys = options_.keys;
  for (uint64_t i = 0; i < records; ++i, ++next_) {
    std::string value = payloads_[next_ % payloads_.size()];
    std::memcpy(value.data(), &due, sizeof(due));
    const std::string key = tools::key_of(keyed, partition, next_);
    while (rd_kafka_produce(one.topic.get(), partition, RD_KAFKA_MSG_F_COPY, value.data(), value.size(),
                            key.data(), key.size(), reinterpret_cast<void*>(next_ % payloads_.size())) != 0) {
      const rd_kafka_resp_err_t code = rd_kafka_last_error();
      if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(tools::broker_error(code, "send"));
      rd_kafka_poll(one.client->get(), 10);
      MR_TRY(one.client->check());
    }
    ++one.sent;
    ++one.waiting;
  }
  return {};
}

result<void> writers::finish() {
  const int64_t give_up = tools::now_ns() + patience_ns;
  for (auto& one : producers_) {
    while (one->waiting > 0) {
      rd_kafka_poll(one->client->get(), 1);
      MR_TRY(one->client->check());
      if (tools::now_ns() > give_up) return fail(errc::request_timed_out, "records were not acknowledged");
    }
  }
  return {};
}

void writers::on_delivery(producer& one, const rd_kafka_message_t& message) {
  --one.waiting;
  int64_t due = 0;
  std::memcpy(&due, message.payload, sizeof(due));
  const int64_t latency = tools::now_ns() - due;
  if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++acknowledged_;
    passing_ += passes_[reinterpret_cast<uintptr_t>(message._private)];
  }
  tally_.update([&](sightings& now) {
    if (message.err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++now.records;
      now.latency.add(latency);
      return;
    }
    ++now.failed;
    if (now.first_failure.empty()) now.first_failure = rd_kafka_err2str(message.err);
  });
}

}  // namespace millrace::perf
