// 47 OffsetDelete, v0.
//
// Positions of topics that a member of the group reads stay (GROUP_SUBSCRIBED_TO_TOPIC).
#include <vector>

#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/offset_delete_request.h"
#include "protocol/generated/offset_delete_response.h"

namespace millrace::broker {
namespace {

using protocol::offset_delete_request;
using protocol::offset_delete_response;

task<result<offset_delete_response>> handle(request_context& context, offset_delete_request request) {
  const image_ptr image = context.shard.image();
  offset_delete_response response;
  std::vector<coord::offset_delete_item> items;
  std::vector<int16_t*> codes;  // where the answer to each item goes
  response.topics.resize(request.topics.size());
  for (size_t i = 0; i < request.topics.size(); ++i) {
    const auto& asked = request.topics[i];
    auto& answered = response.topics[i];
    answered.name = asked.name;
    answered.partitions.resize(asked.partitions.size());
    const topic* t = image->find(asked.name);
    for (size_t j = 0; j < asked.partitions.size(); ++j) {
      auto& answer = answered.partitions[j];
      answer.partition_index = asked.partitions[j].partition_index;
      if (t == nullptr || !t->has_partition(answer.partition_index)) {
        answer.error_code = kafka_code(errc::unknown_topic_or_partition);
        continue;
      }
      items.push_back({std::string(asked.name), answer.partition_index});
      codes.push_back(&answer.error_code);
    }
  }
  const std::string_view group = request.group_id;
  const auto run = [group, &items](coord::group_machine& m, coord::step& s,
                                   coord::reply_to<coord::offset_delete_result> reply) {
    m.delete_offsets(group, items, s, std::move(reply));
  };
  auto call = coord::ask_group<coord::offset_delete_result>(context, group, run);
  const result<coord::offset_delete_result> done = co_await call;
  if (!done) {
    response.topics.clear();
    response.error_code = kafka_code(done.error().code);
    co_return response;
  }
  for (size_t i = 0; i < codes.size(); ++i) *codes[i] = kafka_code((*done)[i]);
  co_return response;
}

}  // namespace

const api offset_delete_api = make_api<handle>(0, 0);

}  // namespace millrace::broker
