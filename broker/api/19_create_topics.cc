// 19 CreateTopics, v0-7.
//
// v1 validate only, error messages; v2 throttle time; v4 -1 for the default counts; v5 flexible, what was
// created comes back; v7 topic ids. Replicas: one; what asks for more is refused as Kafka refuses what
// exceeds its brokers. An explicit assignment has to name this broker alone, for partitions 0, 1, ...
#include <algorithm>
#include <map>
#include <vector>

#include "broker/api/all.h"
#include "broker/api/assignment.h"
#include "broker/api/config_entries.h"
#include "broker/metadata/topic_registry.h"
#include "broker/shard_context.h"
#include "protocol/generated/create_topics_request.h"
#include "protocol/generated/create_topics_response.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::create_topics_request;
using protocol::create_topics_response;
using asked_topic = create_topics_request::creatable_topic;
using answered_topic = create_topics_response::creatable_topic_result;

result<int32_t> check_assignments(const asked_topic& asked, int32_t node_id) {
  if (asked.num_partitions != -1 || asked.replication_factor != -1) {
    return fail(
        errc::invalid_request,
        "A manual partition assignment was specified, but partitions or replication factor was not -1.");
  }
  const auto count = static_cast<int32_t>(asked.assignments.size());
  std::vector<bool> is_named(asked.assignments.size());
  for (const auto& a : asked.assignments) {
    if (a.partition_index < 0 || a.partition_index >= count ||
        is_named[static_cast<size_t>(a.partition_index)]) {
      return fail(errc::invalid_replica_assignment,
                  "partitions should be a consecutive 0-based integer sequence");
    }
    is_named[static_cast<size_t>(a.partition_index)] = true;
    MR_TRY(check_assignment(a.broker_ids, node_id));
  }
  return count;
}

result<int32_t> check_counts(const asked_topic& asked, const settings& config) {
  if (!asked.assignments.empty()) return check_assignments(asked, config.node_id);
  if (asked.num_partitions == 0 || asked.num_partitions < -1) {
    return fail(errc::invalid_partitions, "Number of partitions was set to an invalid non-positive value.");
  }
  if (asked.replication_factor == 0 || asked.replication_factor < -1) {
    return fail(errc::invalid_replication_factor,
                "Replication factor must be larger than 0, or -1 to use the default value.");
  }
  if (asked.replication_factor > 1) {
    return fail(errc::invalid_replication_factor,
                "Unable to replicate the partition {} time(s): The target replication factor of {} cannot be "
                "reached because only 1 broker(s) are registered.",
                asked.replication_factor, asked.replication_factor);
  }
  return asked.num_partitions == -1 ? config.default_partitions : asked.num_partitions;
}

result<new_topic> check(const asked_topic& asked, const settings& config) {
  const result<int32_t> partitions = check_counts(asked, config);
  if (!partitions) return fail(partitions.error());
  new_topic wanted{
      .name = std::string(asked.name), .partitions = *partitions, .overrides = {}, .placement_seed = {}};
  for (const auto& c : asked.configs) {
    if (!c.value) return fail(errc::invalid_config, "Null value not supported for topic configs: {}", c.name);
    wanted.overrides.insert_or_assign(std::string(c.name), std::string(*c.value));
  }
  MR_TRY(check_topic_overrides(wanted.overrides));
  return wanted;
}

void refuse(answered_topic& answer, const error& why) {
  answer.error_code = kafka_code(why.code);
  answer.error_message = why.message;
  answer.configs = std::nullopt;
}

void confirm(answered_topic& answer, const topic& t, const config& given) {
  answer.topic_id = t.id;
  answer.num_partitions = t.partitions;
  answer.replication_factor = 1;
  answer.configs.emplace();
  for (const config_entry& entry : describe_topic_config(t.overrides, given)) {
    answer.configs->push_back({.name = std::string(entry.key->name),
                               .value = entry.value,
                               .read_only = entry.is_read_only,
                               .config_source = static_cast<int8_t>(entry.source),
                               .is_sensitive = entry.is_sensitive});
  }
}

task<result<create_topics_response>> handle(request_context& context, create_topics_request request) {
  const settings& config = context.shard.config();
  create_topics_response response;
  response.topics.reserve(request.topics.size());
  std::map<std::string_view, int> count_by_name;
  for (const asked_topic& asked : request.topics) ++count_by_name[asked.name];

  std::vector<new_topic> wanted;
  std::vector<size_t> places;
  for (const asked_topic& asked : request.topics) {
    answered_topic answer;
    answer.name = asked.name;
    answer.error_message = std::nullopt;
    int& count = count_by_name[asked.name];
    // A name that comes more than once is refused, and answered once.
    if (count == 0) continue;
    if (std::exchange(count, 0) > 1) {
      refuse(answer, {errc::invalid_request, "Duplicate topic name."});
    } else if (result<new_topic> checked = check(asked, config); !checked) {
      refuse(answer, checked.error());
    } else {
      wanted.push_back(*std::move(checked));
      places.push_back(response.topics.size());
    }
    response.topics.push_back(std::move(answer));
  }
  if (wanted.empty()) co_return response;

  topic_registry& topics = *context.shard.whole().topics;
  const auto create_there = [&topics, &wanted, validate_only = request.validate_only] {
    return topics.create(std::move(wanted), validate_only);
  };
  const std::vector<result<topic_ptr>> created = co_await runtime::call_on(shard_id(0), create_there);
  for (size_t i = 0; i < created.size(); ++i) {
    answered_topic& answer = response.topics[places[i]];
    if (!created[i]) {
      refuse(answer, created[i].error());
      continue;
    }
    confirm(answer, **created[i], context.shard.given());
    if (request.validate_only) answer.topic_id = uuid{};
  }
  co_return response;
}

}  // namespace

const api create_topics_api = make_api<handle>(0, 7);

}  // namespace millrace::broker
