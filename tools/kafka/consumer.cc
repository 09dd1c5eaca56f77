#include "tools/kafka/consumer.h"

#include <algorithm>

#include "tools/kafka/errors.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

namespace {

constexpr size_t batch_records = 1024;

std::vector<property> properties_for(const consumer::settings& s) {
  const std::string_view reset = s.from.as_reset_policy();
  return {
      // librdkafka wants a name even from a consumer that joins no group.
      {"group.id", s.group.empty() ? "millrace" : s.group},
      {"enable.auto.commit", s.group.empty() ? "false" : "true"},
      {"enable.auto.offset.store", "false"},
      {"enable.partition.eof", "true"},
      {"isolation.level", s.isolation},
      // An offset that is not there any more is an error to be told of, not a reason to jump silently.
      {"auto.offset.reset", s.group.empty() || reset.empty() ? "error" : std::string(reset)},
      {"fetch.wait.max.ms", s.is_bounded ? "20" : "500"},
      {"fetch.message.max.bytes", "1048576"},
      // librdkafka pauses for up to a second once so many wait; of small records its default is soon there.
      {"queued.min.messages", "1000000"},
      {"topic.metadata.refresh.sparse", "false"},
  };
}

record_view view_of(const rd_kafka_message_t& message, std::string_view topic) {
  record_view record{.topic = topic, .partition = message.partition, .offset = message.offset};
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  record.timestamp_ms = rd_kafka_message_timestamp(&message, &type);
  record.is_append_time = type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME;
  if (message.key != nullptr) record.key = {static_cast<const char*>(message.key), message.key_len};
  if (message.payload != nullptr) record.value = {static_cast<const char*>(message.payload), message.len};
  rd_kafka_headers_t* headers = nullptr;
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return record;
  const char* name = nullptr;
  const void* value = nullptr;
  size_t size = 0;
  for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    header_view header{.name = name, .value = {}};
    if (value != nullptr) header.value = {static_cast<const char*>(value), size};
    record.headers.push_back(header);
  }
  return record;
}

}  // namespace

result<std::unique_ptr<consumer>> consumer::open(const connection& to, const settings& s) {
  std::unique_ptr<consumer> self(new consumer);
  self->topic_ = s.topic;
  self->is_group_member_ = !s.group.empty();
  handle::callbacks callbacks;
  callbacks.on_rebalance = [p = self.get()](rd_kafka_resp_err_t code,
                                            rd_kafka_topic_partition_list_t* partitions) {
    p->on_rebalance(code, partitions);
  };
  auto client = handle::open(RD_KAFKA_CONSUMER, to, properties_for(s), std::move(callbacks));
  if (!client) return fail(client.error());
  self->client_ = *std::move(client);
  MR_TRY(self->client_->reach());
  rd_kafka_poll_set_consumer(self->client_->get());
  self->queue_.reset(rd_kafka_queue_get_consumer(self->client_->get()));
  self->batch_.resize(batch_records);
  MR_TRY(self->is_group_member_ ? self->subscribe(s.topic) : self->assign(s));
  return self;
}

consumer::~consumer() {
  if (client_ && !is_closed_) rd_kafka_consumer_close(client_->get());
}

result<void> consumer::assign(const settings& s) {
  const auto topic = find_topic(*client_, s.topic);
  if (!topic) return fail(topic.error());
  std::vector<int32_t> partitions = s.partitions;
  if (partitions.empty()) {
    for (const partition_info& partition : topic->partitions) partitions.push_back(partition.id);
  }
  for (const int32_t id : partitions) {
    if (std::ranges::none_of(topic->partitions, [&](const partition_info& p) { return p.id == id; })) {
      return fail(errc::unknown_topic_or_partition, "topic '{}' has no partition {}: there are {}, from 0",
                  s.topic, id, topic->partitions.size());
    }
  }
  const auto offsets = s.from.resolve(*client_, s.topic, partitions);
  if (!offsets) return fail(offsets.error());
  if (s.until) MR_TRY(find_ends(*s.until, s.topic, partitions));
  const partition_list_ptr list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
  for (size_t i = 0; i < partitions.size(); ++i) {
    rd_kafka_topic_partition_list_add(list.get(), s.topic.c_str(), partitions[i])->offset = (*offsets)[i];
  }
  if (const auto code = rd_kafka_assign(client_->get(), list.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fail(broker_error(code, "start reading"));
  }
  has_assignment_ = true;
  assigned_ = partitions.size();
  return {};
}

result<void> consumer::find_ends(const start_position& until, const std::string& topic,
                                 const std::vector<int32_t>& partitions) {
  const auto wanted = until.resolve(*client_, topic, partitions);
  if (!wanted) return fail(wanted.error());
  for (size_t i = 0; i < partitions.size(); ++i) {
    int64_t first = 0;
    int64_t next = 0;
    const auto code = rd_kafka_query_watermark_offsets(client_->get(), topic.c_str(), partitions[i], &first,
                                                       &next, client_->timeout_ms());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(broker_error(code, "find the end of a partition"));
    int64_t end = (*wanted)[i];
    if (end == RD_KAFKA_OFFSET_BEGINNING)
      end = first;
    else if (end <= RD_KAFKA_OFFSET_TAIL_BASE)
      end = next - (RD_KAFKA_OFFSET_TAIL_BASE - end);
    else if (end < 0)
      end = next;  // the end itself, and a time that no record has reached
    until_[partitions[i]] = std::min(end, next);
  }
  return {};
}

result<void> consumer::subscribe(const std::string& topic) {
  // Subscribing to a topic that does not exist would wait for it in silence.
  if (const auto found = find_topic(*client_, topic); !found) return fail(found.error());
  const partition_list_ptr list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  if (const auto code = rd_kafka_subscribe(client_->get(), list.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fail(broker_error(code, "join the group"));
  }
  return {};
}

void consumer::on_rebalance(rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions) {
  const bool is_given = code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
  if (is_given) {
    rd_kafka_assign(client_->get(), partitions);
  } else {
    // Done work of partitions that move on is committed by librdkafka as they go.
    rd_kafka_assign(client_->get(), nullptr);
  }
  has_assignment_ = is_given;
  assigned_ = is_given ? static_cast<size_t>(partitions->cnt) : 0;
  at_end_.clear();
  next_offsets_.clear();
}

result<bool> consumer::take_message(rd_kafka_message_t& message,
                                    const std::function<bool(const record_view&)>& take) {
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    at_end_.insert(message.partition);
    return true;
  }
  if (message.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
    if (message.err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || message.err == RD_KAFKA_RESP_ERR__TRANSPORT ||
        message.err == RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED) {
      return true;  // librdkafka reconnects or rejoins
    }
    return fail(broker_error(message.err, fmt::format("read {}", topic_), rd_kafka_message_errstr(&message)));
  }
  if (const auto end = until_.find(message.partition); end != until_.end()) {
    if (message.offset + 1 >= end->second) at_end_.insert(message.partition);
    if (message.offset >= end->second) return true;
  } else {
    at_end_.erase(message.partition);
  }
  next_offsets_[message.partition] = message.offset + 1;
  return take(view_of(message, topic_));
}

result<void> consumer::poll(int wait_ms, const std::function<bool(const record_view&)>& take) {
  // A batch call alone would wait out its time for more; the first record must not wait.
  message_ptr first(rd_kafka_consumer_poll(client_->get(), wait_ms));
  MR_TRY(client_->check());
  if (!first) return {};
  const ssize_t more = rd_kafka_consume_batch_queue(queue_.get(), 0, batch_.data(), batch_.size());
  result<bool> going = take_message(*first, take);
  for (ssize_t i = 0; i < more; ++i) {
    const message_ptr message(batch_[static_cast<size_t>(i)]);
    if (going && *going) going = take_message(*message, take);
  }
  if (!going) return fail(going.error());
  return {};
}

void consumer::mark_done() {
  if (!is_group_member_ || next_offsets_.empty()) return;
  const partition_list_ptr list(rd_kafka_topic_partition_list_new(static_cast<int>(next_offsets_.size())));
  for (const auto& [partition, next] : next_offsets_) {
    rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition)->offset = next;
  }
  next_offsets_.clear();
  rd_kafka_offsets_store(client_->get(), list.get());
}

result<void> consumer::close() {
  is_closed_ = true;
  if (is_group_member_) {
    const rd_kafka_resp_err_t code = rd_kafka_commit(client_->get(), nullptr, /*async=*/0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && code != RD_KAFKA_RESP_ERR__NO_OFFSET) {
      rd_kafka_consumer_close(client_->get());
      return fail(broker_error(code, "commit the group's offsets"));
    }
  }
  const rd_kafka_resp_err_t code = rd_kafka_consumer_close(client_->get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(broker_error(code, "leave the group"));
  return {};
}

}  // namespace millrace::tools
