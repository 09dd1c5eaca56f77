// 0 Produce, v3-13.
//
// v3 transactional id, magic 2; v5 log start in the answer; v7 zstd; v8 record errors; v9 flexible; v10
// leader hints (a single node has none to give); v11, v12 transactions; v13 topic ids instead of names.
// Advertised from 0: librdkafka up to 2.2 sends uncompressed where 0 is not offered (KAFKA-18659). Requests
// of v0-2 close the connection, as with Kafka 4.
//
// Two stages. Checked, ordered and appended: then the connection may go on with its next request. Durable:
// then it is answered. The check (crc, every record, decompression) runs on the connection's shard and leaves
// the owner of the partition nothing but the append. A Produce never creates a topic.
#include <algorithm>
#include <vector>

#include "broker/api/all.h"
#include "broker/metadata/image.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "protocol/batch_check.h"
#include "protocol/generated/produce_request.h"
#include "protocol/generated/produce_response.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"
#include "runtime/when_all.h"

namespace millrace::broker {
namespace {

using protocol::produce_request;
using protocol::produce_response;
using partition_answer = produce_response::partition_produce_response;

// One batch on its way into its partition.
struct pending_append {
  partition_answer* answer = nullptr;
  storage::topic_partition_id id;
  protocol::checked_batch batch;
};

// What one owner shard has to do for this request.
struct shard_part {
  shard_id owner{0};
  std::vector<pending_append> appends;
  storage::commit_mark durable_at;
  bool has_appended = false;
};

// `base_offset` is -1 in every answer until there is one.
partition_answer make_answer(int32_t index) {
  partition_answer answer;
  answer.index = index;
  answer.base_offset = -1;
  return answer;
}

void refuse(partition_answer& answer, const error& why) {
  answer.error_code = kafka_code(why.code);
  answer.base_offset = -1;
  answer.log_append_time_ms = -1;
  if (!why.message.empty()) answer.error_message = why.message;
}

void refuse(partition_answer& answer, protocol::batch_error why) {
  refuse(answer, error{why.code, std::move(why.message)});
  for (protocol::record_error& record : why.records) {
    answer.record_errors.push_back({record.batch_index, std::move(record.message)});
  }
}

protocol::batch_rules rules_of(const topic& t, int16_t version) {
  const topic_settings& s = t.settings;
  return {.produce_version = version,
          .batch_bytes_max = static_cast<size_t>(s.message_bytes_max),
          .segment_bytes = static_cast<size_t>(s.segment_bytes),
          .plain_bytes_max =
              std::min<size_t>(static_cast<size_t>(s.decompressed_bytes_max), 8 * limits::batch_bytes_max),
          .is_compacted = s.is_compacted,
          .uses_append_time = s.is_log_append_time,
          .now_ms = runtime::reactor::current().wall_clock_ms(),
          .timestamp_before_max_ms = s.timestamp_before_max_ms,
          .timestamp_after_max_ms = s.timestamp_after_max_ms,
          .stored_codec = s.stored_codec,
          .stored_level = s.stored_level};
}

class produce {
 public:
  produce(request_context& context, const produce_request& request)
      : context_(context), request_(request), image_(context.shard.image()) {}

  // Fills in the answers of what is refused at once, and parts_ with the rest.
  void check() {
    response_.responses.resize(request_.topic_data.size());
    for (size_t i = 0; i < request_.topic_data.size(); ++i) {
      const auto& asked = request_.topic_data[i];
      auto& answered = response_.responses[i];
      answered.name = asked.name;
      answered.topic_id = asked.topic_id;
      answered.partition_responses.reserve(asked.partition_data.size());
      const topic* t = context_.version() >= 13 ? image_->find(asked.topic_id) : image_->find(asked.name);
      for (const auto& partition : asked.partition_data) {
        partition_answer& answer = answered.partition_responses.emplace_back(make_answer(partition.index));
        check_partition(t, partition, answer);
      }
    }
  }

  task<void> append() {
    std::vector<task<void>> tasks;
    for (shard_part& part : parts_) tasks.push_back(append_part(part));
    co_await run_all(std::move(tasks));
  }

  task<void> wait_durable() {
    std::vector<task<void>> tasks;
    for (shard_part& part : parts_) {
      if (part.has_appended) tasks.push_back(wait_part(part));
    }
    co_await run_all(std::move(tasks));
  }

  produce_response& response() { return response_; }
  bool has_error() const {
    return std::ranges::any_of(response_.responses, [](const auto& t) {
      return std::ranges::any_of(t.partition_responses, [](const auto& p) { return p.error_code != 0; });
    });
  }

 private:
  void check_partition(const topic* t, const produce_request::partition_produce_data& asked,
                       partition_answer& answer) {
    if (request_.acks < -1 || request_.acks > 1)
      return refuse(answer, error{errc::invalid_required_acks, {}});
    if (t == nullptr) {
      return refuse(
          answer,
          error{context_.version() >= 13 ? errc::unknown_topic_id : errc::unknown_topic_or_partition, {}});
    }
    if (!t->has_partition(asked.index)) return refuse(answer, error{errc::unknown_topic_or_partition, {}});
    if (t->is_internal && context_.client_id() != "__admin_client") {
      return refuse(answer, error{errc::invalid_topic_exception, "the topic is the broker's own"});
    }
    if (context_.shard.whole().processors != nullptr) {
      if (auto why = context_.shard.whole().processors->refusal_of_writes(context_.shard.id(), t->name))
        return refuse(answer, error{errc::policy_violation, *std::move(why)});
    }
    const slice records = asked.records ? asked.records->flatten() : slice();
    auto checked = protocol::check_produced_batch(records, rules_of(*t, context_.version()));
    if (!checked) return refuse(answer, std::move(checked).error());
    if (checked->header.is_transactional()) {
      return refuse(answer, error{errc::invalid_txn_state, "this broker has no transactions"});
    }
    const shard_id owner = context_.shard.owner(*t, asked.index);
    auto part = std::ranges::find(parts_, owner, &shard_part::owner);
    if (part == parts_.end()) part = parts_.insert(part, shard_part{.owner = owner});
    part->appends.push_back({&answer, t->partition(asked.index), *std::move(checked)});
  }

  // Work for one shard needs no company; that is the ordinary case.
  static task<void> run_all(std::vector<task<void>> tasks) {
    if (tasks.empty()) co_return;
    if (tasks.size() == 1) {
      co_await tasks.front();
      co_return;
    }
    co_await runtime::when_all(std::move(tasks));
  }

  task<void> append_part(shard_part& part) {
    shard_context& owner = *context_.shard.whole().shards[part.owner.value()];
    const auto append_there = [&owner, &part] { return append_on_owner(owner, part); };
    co_await runtime::call_on(part.owner, append_there);
  }

  task<void> wait_part(shard_part& part) {
    shard_context& owner = *context_.shard.whole().shards[part.owner.value()];
    const auto wait_there = [&owner, &part] { return owner.store().wait_durable(part.durable_at); };
    const result<void> durable = co_await runtime::call_on(part.owner, wait_there);
    if (durable) co_return;
    for (pending_append& a : part.appends) {
      if (a.answer->error_code == 0)
        refuse(*a.answer, error{errc::kafka_storage_error, durable.error().message});
    }
  }

  // On the owner's shard; the connection's waits, so what `part` refers to is this call's alone.
  static task<void> append_on_owner(shard_context& owner, shard_part& part) {
    storage::shard_store& store = owner.store();
    processing* processors = owner.whole().processors;
    uint64_t bytes = 0;
    for (const pending_append& a : part.appends) bytes += a.batch.size_bytes();
    const result<void> admitted = co_await store.admit(bytes);
    // From here on no await: all batches of the request land in one commit.
    for (pending_append& a : part.appends) {
      if (!admitted) {
        refuse(*a.answer, admitted.error());
        continue;
      }
      storage::partition_log* log = store.find(a.id);
      if (log == nullptr) {
        refuse(*a.answer, error{errc::unknown_topic_or_partition, {}});
        continue;
      }
      if (auto invalid = processors ? processors->validate(owner.id(), *log, a.batch) : std::nullopt) {
        refuse(*a.answer, *std::move(invalid));
        continue;
      }
      const result<storage::appended> done = store.append(*log, a.batch, storage::append_origin::client);
      a.answer->log_start_offset = log->log_start().value();
      // The log has its copy now; the request's memory need not wait for the disk.
      a.batch = {};
      if (!done) {
        refuse(*a.answer, done.error());
        continue;
      }
      a.answer->base_offset = done->base_offset.value();
      a.answer->log_append_time_ms = done->log_append_time_ms;
      part.durable_at.include(done->durable_at);
      part.has_appended = true;
    }
  }

  request_context& context_;
  const produce_request& request_;
  image_ptr image_;
  produce_response response_;
  std::vector<shard_part> parts_;
};

task<result<reply>> run(request_context& context) {
  protocol::reader in(context.body);
  const auto request = produce_request::decode(in, context.version());
  if (!request) co_return fail(request.error());

  produce work(context, *request);
  work.check();
  co_await work.append();
  context.ordered.set();

  if (request->acks == 0) {
    // No answer is due, so closing the connection is the only way to tell of an error.
    if (work.has_error()) co_return fail(errc::invalid_request, "a batch sent with acks=0 was refused");
    co_return reply{};
  }
  co_await work.wait_durable();
  co_return reply{
      .bytes = protocol::encode_response(work.response(), context.version(), context.header.correlation_id)};
}

}  // namespace

const api produce_api = {.key = protocol::api_key::produce,
                         .version_min = 3,
                         .version_max = 13,
                         .advertised_min = 0,
                         .is_pipelined = true,
                         .run = run};

}  // namespace millrace::broker
