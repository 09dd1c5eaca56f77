// 23 OffsetForLeaderEpoch, v2-4.
//
// v2 the client's idea of the current epoch; v3 replica id; v4 flexible. Asked after a change of the leader's
// epoch, here after a restart: where did that epoch end, so that a consumer can tell whether its position
// still exists.
#include <vector>

#include "broker/api/all.h"
#include "broker/api/on_owners.h"
#include "broker/fetch/partition_reader.h"
#include "broker/shard_context.h"
#include "protocol/generated/offset_for_leader_epoch_request.h"
#include "protocol/generated/offset_for_leader_epoch_response.h"

namespace millrace::broker {
namespace {

using protocol::offset_for_leader_epoch_request;
using protocol::offset_for_leader_epoch_response;
using answered_partition = offset_for_leader_epoch_response::epoch_end_offset;

struct lookup {
  storage::topic_partition_id id;
  int32_t current_epoch;
  int32_t asked_epoch;
  answered_partition* answer;
};

void look_up(storage::shard_store& store, const lookup& l) {
  const storage::partition_log* log = store.find(l.id);
  const errc code =
      log == nullptr ? errc::unknown_topic_or_partition : check_leader_epoch(*log, l.current_epoch);
  if (code != errc::none) {
    l.answer->error_code = kafka_code(code);
    return;
  }
  const storage::epoch_end found = log->end_of_epoch(leader_epoch(l.asked_epoch));
  l.answer->leader_epoch = found.epoch.value();
  l.answer->end_offset = found.end.value();
}

void look_up_all(storage::shard_store& store, std::vector<lookup>& lookups) {
  for (const lookup& l : lookups) look_up(store, l);
}

task<result<offset_for_leader_epoch_response>> handle(request_context& context,
                                                      offset_for_leader_epoch_request request) {
  const image_ptr image = context.shard.image();
  offset_for_leader_epoch_response response;
  response.topics.resize(request.topics.size());
  by_owner<lookup> lookups;
  for (size_t i = 0; i < request.topics.size(); ++i) {
    const auto& asked = request.topics[i];
    auto& answered = response.topics[i];
    answered.topic = asked.topic;
    const topic* t = image->find(asked.topic);
    answered.partitions.reserve(asked.partitions.size());
    for (const auto& p : asked.partitions) {
      answered_partition& answer = answered.partitions.emplace_back();
      answer.partition = p.partition;
      if (t == nullptr || !t->has_partition(p.partition)) {
        answer.error_code = kafka_code(errc::unknown_topic_or_partition);
        continue;
      }
      lookups[context.shard.owner(*t, p.partition)].push_back(
          {t->partition(p.partition), p.current_leader_epoch, p.leader_epoch, &answer});
    }
  }
  co_await on_owners(context.shard, lookups, look_up_all);
  co_return response;
}

}  // namespace

const api offset_for_leader_epoch_api = make_api<handle>(2, 4);

}  // namespace millrace::broker
