// 8 OffsetCommit, v0-10.
//
// v0 without member and generation; v1 a time per offset; v2-4 a retention of its own; v5 none any more; v6
// leader epochs; v7 static members; v8 flexible; v9 member epochs of KIP-848 in the generation's place; v10
// topic ids. v0 kept its offsets in ZooKeeper once; here as in Kafka 3 they are kept like all others.
#include <vector>

#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/offset_commit_request.h"
#include "protocol/generated/offset_commit_response.h"

namespace millrace::broker {
namespace {

using protocol::offset_commit_request;
using protocol::offset_commit_response;

coord::commit_item item_of(const topic& t,
                           const offset_commit_request::offset_commit_request_partition& asked) {
  coord::commit_item item{.topic = t.name,
                          .topic_id = t.id,
                          .partition = asked.partition_index,
                          .offset = asked.committed_offset,
                          .leader_epoch = asked.committed_leader_epoch,
                          .metadata = std::string(asked.committed_metadata.value_or(""))};
  if (asked.commit_timestamp >= 0) item.committed_at_ms = asked.commit_timestamp;
  return item;
}

task<result<offset_commit_response>> handle(request_context& context, offset_commit_request request) {
  const int16_t version = context.version();
  const image_ptr image = context.shard.image();
  coord::commit_request commit{.group = std::string(request.group_id),
                               .member_id = std::string(request.member_id),
                               .generation = request.generation_id_or_member_epoch,
                               .version = version};
  if (request.group_instance_id) commit.instance_id = std::string(*request.group_instance_id);
  if (request.retention_time_ms >= 0) commit.retention_ms = request.retention_time_ms;

  offset_commit_response response;
  std::vector<int16_t*> codes;  // where the answer to each item goes
  response.topics.resize(request.topics.size());
  for (size_t i = 0; i < request.topics.size(); ++i) {
    const auto& asked = request.topics[i];
    auto& answered = response.topics[i];
    answered.name = asked.name;
    answered.topic_id = asked.topic_id;
    answered.partitions.resize(asked.partitions.size());
    const topic* t = version >= 10 ? image->find(asked.topic_id) : image->find(asked.name);
    for (size_t j = 0; j < asked.partitions.size(); ++j) {
      auto& answer = answered.partitions[j];
      answer.partition_index = asked.partitions[j].partition_index;
      if (t == nullptr) {
        answer.error_code =
            kafka_code(version >= 10 ? errc::unknown_topic_id : errc::unknown_topic_or_partition);
      } else if (!t->has_partition(answer.partition_index)) {
        answer.error_code = kafka_code(errc::unknown_topic_or_partition);
      } else {
        commit.items.push_back(item_of(*t, asked.partitions[j]));
        codes.push_back(&answer.error_code);
      }
    }
  }
  if (commit.items.empty()) co_return response;

  const auto run = [&commit](coord::group_machine& m, coord::step& s,
                             coord::reply_to<coord::commit_result> reply) {
    m.commit(commit, s, std::move(reply));
  };
  auto call = coord::ask_group<coord::commit_result>(context, request.group_id, run);
  const result<coord::commit_result> done = co_await call;
  for (size_t i = 0; i < codes.size(); ++i) *codes[i] = kafka_code(done ? (*done)[i] : done.error().code);
  co_return response;
}

}  // namespace

const api offset_commit_api = make_api<handle>(0, 10);

}  // namespace millrace::broker
