#include "tests/perf/soak/readers.h"

#include <cstring>

#include "tools/bench/clock.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"
#include "tools/kafka/topics.h"

namespace millrace::perf {

namespace {

constexpr size_t batch_records = 1000;

}  // namespace

result<std::unique_ptr<readers>> readers::open(const tools::connection& to, const std::string& topic,
                                               uint32_t members) {
  std::unique_ptr<readers> self(new readers(topic));
  for (uint32_t i = 0; i < members; ++i) {
    auto one = std::make_unique<member>();
    auto client = tools::handle::open(
        RD_KAFKA_CONSUMER, to,
        {{"group.id", topic}, {"auto.offset.reset", "earliest"}, {"isolation.level", "read_committed"}});
    if (!client) return fail(client.error());
    one->client = *std::move(client);
    if (i == 0) {
      const auto found = tools::find_topic(*one->client, topic);
      if (!found) return fail(found.error());
      self->partitions_ = static_cast<int>(found->partitions.size());
    }
    rd_kafka_poll_set_consumer(one->client->get());
    const tools::partition_list_ptr wanted(rd_kafka_topic_partition_list_new(1));
    rd_kafka_topic_partition_list_add(wanted.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
    const rd_kafka_resp_err_t code = rd_kafka_subscribe(one->client->get(), wanted.get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(tools::broker_error(code, "subscribe"));
    self->members_.push_back(std::move(one));
  }
  for (auto& one : self->members_)
    self->threads_.emplace_back([s = self.get(), o = one.get()] { s->read(*o); });
  return self;
}

readers::~readers() {
  is_over_ = true;
  threads_.clear();
}

void readers::read(member& one) {
  const tools::queue_ptr queue(rd_kafka_queue_get_consumer(one.client->get()));
  std::vector<rd_kafka_message_t*> batch(batch_records);
  while (!is_over_) {
    // The first as soon as it comes; a batch alone would be waited for until it is full.
    const tools::message_ptr first(rd_kafka_consumer_poll(one.client->get(), 200));
    look_at_assignment(one);
    if (!first) continue;
    const ssize_t more = rd_kafka_consume_batch_queue(queue.get(), 0, batch.data(), batch.size());
    tally_.update([&](sightings& now) {
      take(*first, now);
      for (ssize_t i = 0; i < more; ++i) {
        const tools::message_ptr message(batch[static_cast<size_t>(i)]);
        take(*message, now);
      }
    });
  }
  rd_kafka_consumer_close(one.client->get());
}

void readers::take(const rd_kafka_message_t& message, sightings& now) {
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++now.failed;
    if (now.first_failure.empty()) {
      now.first_failure = fmt::format("read {}: {}", topic_, rd_kafka_message_errstr(&message));
    }
    return;
  }
  int64_t due = 0;
  if (message.len < sizeof(due)) {
    ++now.failed;
    if (now.first_failure.empty()) now.first_failure = fmt::format("{}: {} bytes", topic_, message.len);
    return;
  }
  std::memcpy(&due, message.payload, sizeof(due));
  const int64_t now_ns = tools::now_ns();
  now.latency.add(now_ns - due);
  ++now.records;
  ++records_;
  last_ns_ = now_ns;
}

void readers::look_at_assignment(member& one) {
  if (has_all()) return;
  rd_kafka_topic_partition_list_t* list = nullptr;
  if (rd_kafka_assignment(one.client->get(), &list) != RD_KAFKA_RESP_ERR_NO_ERROR) return;
  assigned_ += list->cnt - one.assigned;
  one.assigned = list->cnt;
  rd_kafka_topic_partition_list_destroy(list);
}

}  // namespace millrace::perf
