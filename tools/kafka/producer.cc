#include "tools/kafka/producer.h"

#include <chrono>
#include <thread>

#include "tools/cli/interrupt.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

namespace {

// Records between two looks for acknowledgements.
constexpr uint32_t poll_every = 256;

std::vector<property> properties_for(const connection& to, const producer::settings& s) {
  std::vector<property> properties = {
      {"acks", s.acks},
      {"compression.codec", s.codec},
      {"partitioner", s.partitioner},
      {"batch.num.messages", "100000"},
      {"queue.buffering.max.messages", "500000"},
      // Enough to keep the broker busy; more would only be fresh memory to touch.
      {"queue.buffering.max.kbytes", "65536"},
      // The broker decides what is too large, and says so.
      {"message.max.bytes", "104857600"},
      {"message.timeout.ms", std::to_string(std::max(to.timeout_ms(), 30'000))},
      {"topic.metadata.propagation.max.ms", std::to_string(to.timeout_ms())},
  };
  if (s.is_idempotent) properties.emplace_back("enable.idempotence", "true");
  return properties;
}

headers_ptr to_headers(const std::vector<owned_header>& from) {
  headers_ptr headers(rd_kafka_headers_new(from.size()));
  for (const auto& [name, value] : from) {
    rd_kafka_header_add(headers.get(), name.data(), static_cast<ssize_t>(name.size()),
                        value ? value->data() : nullptr, value ? static_cast<ssize_t>(value->size()) : 0);
  }
  return headers;
}

}  // namespace

result<std::unique_ptr<producer>> producer::open(const connection& to, const settings& s) {
  std::unique_ptr<producer> self(new producer);
  auto client =
      handle::open(RD_KAFKA_PRODUCER, to, properties_for(to, s),
                   {.on_delivery = [p = self.get()](const rd_kafka_message_t& m) { p->on_delivery(m); },
                    .on_rebalance = {}});
  if (!client) return fail(client.error());
  self->client_ = *std::move(client);
  MR_TRY(self->client_->reach());
  self->topic_.reset(rd_kafka_topic_new(self->client_->get(), s.topic.c_str(), nullptr));
  if (!self->topic_) return fail(errc::invalid_topic_exception, "'{}' is no topic name", s.topic);
  MR_TRY(self->await_topic(s.topic));
  return self;
}

result<void> producer::await_topic(const std::string& name) {
  // Asking as a producer lets a broker that creates topics do so; it answers "unknown" until it has.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  while (true) {
    auto found = find_topic(*client_, name);
    if (found && !found->partitions.empty()) return {};
    if (!found && !is_retriable(found.error().code)) return fail(found.error());
    if (std::chrono::steady_clock::now() > deadline) {
      if (!found) return fail(found.error());
      return fail(errc::leader_not_available, "topic '{}' has no partitions yet", name);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void producer::on_delivery(const rd_kafka_message_t& message) {
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++totals_.failed;
    if (!first_failure_) {
      first_failure_ = broker_error(
          message.err, fmt::format("write to {} [{}]", rd_kafka_topic_name(message.rkt), message.partition));
    }
    return;
  }
  ++totals_.records;
  totals_.bytes += message.len + message.key_len;
  partition_totals& partition = totals_.partitions[message.partition];
  ++partition.records;
  if (message.offset < 0) return;
  if (partition.first_offset < 0) partition.first_offset = message.offset;
  partition.last_offset = std::max(partition.last_offset, message.offset);
}

result<void> producer::send(const outgoing_record& record) {
  const std::string_view key = record.key.value_or("");
  const std::string_view value = record.value.value_or("");
  // librdkafka takes null pointers for null and anything else for empty.
  void* key_at = record.key ? const_cast<char*>(key.empty() ? "" : key.data()) : nullptr;
  void* value_at = record.value ? const_cast<char*>(value.empty() ? "" : value.data()) : nullptr;
  headers_ptr headers = record.headers ? to_headers(*record.headers) : nullptr;
  while (true) {
    const rd_kafka_resp_err_t code = rd_kafka_producev(
        client_->get(), RD_KAFKA_V_RKT(topic_.get()), RD_KAFKA_V_PARTITION(record.partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(key_at, key.size()),
        RD_KAFKA_V_VALUE(value_at, value.size()), RD_KAFKA_V_TIMESTAMP(record.timestamp_ms),
        RD_KAFKA_V_HEADERS(headers.get()), RD_KAFKA_V_END);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      (void)headers.release();  // librdkafka's now
      break;
    }
    if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) return fail(broker_error(code, "send the record"));
    rd_kafka_poll(client_->get(), 100);
    MR_TRY(client_->check());
    if (first_failure_) return fail(*first_failure_);
    if (interrupted()) return {};
  }
  if (++sent_since_poll_ >= poll_every) {
    sent_since_poll_ = 0;
    poll();
    MR_TRY(client_->check());
  }
  if (first_failure_) return fail(*first_failure_);
  return {};
}

result<void> producer::finish() {
  // Ends by itself: every record is acknowledged or times out. A second Ctrl-C ends the program.
  while (rd_kafka_flush(client_->get(), 200) == RD_KAFKA_RESP_ERR__TIMED_OUT) {
    if (const auto lasting = client_->check(); !lasting) {
      rd_kafka_purge(client_->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    }
    if (first_failure_) rd_kafka_purge(client_->get(), RD_KAFKA_PURGE_F_QUEUE);
  }
  if (const auto lasting = client_->check(); !lasting) return fail(lasting.error());
  if (first_failure_) return fail(*first_failure_);
  return {};
}

}  // namespace millrace::tools
