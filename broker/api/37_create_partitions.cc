// 37 CreatePartitions, v0-3. v2 flexible; v3 quota errors. The count given is the new total, and it has to
// grow.
#include <map>
#include <vector>

#include "broker/api/all.h"
#include "broker/api/assignment.h"
#include "broker/metadata/topic_registry.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "protocol/generated/create_partitions_request.h"
#include "protocol/generated/create_partitions_response.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::create_partitions_request;
using protocol::create_partitions_response;

result<void> check(const create_partitions_request::create_partitions_topic& asked, const topic* t,
                   int32_t node_id) {
  if (t == nullptr) return fail(errc::unknown_topic_or_partition);
  if (!asked.assignments) return {};
  if (static_cast<int64_t>(asked.assignments->size()) != int64_t{asked.count} - t->partitions) {
    return fail(errc::invalid_replica_assignment,
                "Attempted to add {} additional partition(s), but only {} assignment(s) were specified.",
                int64_t{asked.count} - t->partitions, asked.assignments->size());
  }
  for (const auto& a : *asked.assignments) {
    MR_TRY(check_assignment(a.broker_ids, node_id));
  }
  return {};
}

task<result<create_partitions_response>> handle(request_context& context, create_partitions_request request) {
  topic_registry& topics = *context.shard.whole().topics;
  std::map<std::string_view, int> count_by_name;
  for (const auto& asked : request.topics) ++count_by_name[asked.name];

  create_partitions_response response;
  for (const auto& asked : request.topics) {
    int& count = count_by_name[asked.name];
    if (count == 0) continue;
    const image_ptr image = context.shard.image();
    const topic* t = image->find(asked.name);
    result<void> done = check(asked, t, context.shard.config().node_id);
    if (std::exchange(count, 0) > 1) {
      done = fail(errc::invalid_request, "Duplicate topic name.");
    } else if (const auto why =
                   context.shard.whole().processors->refusal_of_growth(context.shard.id(), asked.name);
               done && why) {
      done = fail(errc::policy_violation, "{}", *why);
    } else if (done) {
      const auto add_there = [&topics, id = t->id, total = asked.count,
                              validate_only = request.validate_only] {
        return topics.add_partitions(id, total, validate_only);
      };
      done = co_await runtime::call_on(shard_id(0), add_there);
    }
    auto& answer = response.results.emplace_back();
    answer.name = asked.name;
    if (!done) {
      answer.error_code = kafka_code(done.error().code);
      answer.error_message = done.error().message;
    }
  }
  co_return response;
}

}  // namespace

const api create_partitions_api = make_api<handle>(0, 3);

}  // namespace millrace::broker
