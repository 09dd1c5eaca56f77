// 9 OffsetFetch, v0-10.
//
// v2 null topics mean all the group has; v3 throttle time; v5 leader epochs; v6 flexible; v7 require_stable
// (there are no transactions whose offsets could be pending); v8 several groups at once; v9 member epochs
// of the consumer protocol; v10 topic ids. A position that does not exist is -1 and no error.
#include <vector>

#include "broker/api/all.h"
#include "broker/coord/host/group_call.h"
#include "protocol/generated/offset_fetch_request.h"
#include "protocol/generated/offset_fetch_response.h"

namespace millrace::broker {
namespace {

using protocol::offset_fetch_request;
using protocol::offset_fetch_response;
using fetch_answer = result<coord::fetch_result>;

task<fetch_answer> fetch(request_context& context, coord::fetch_request asked) {
  const auto run = [&asked](coord::group_machine& m, coord::step& s,
                            coord::reply_to<coord::fetch_result> reply) {
    m.fetch(asked, s, std::move(reply));
  };
  auto call = coord::ask_group<coord::fetch_result>(context, asked.group, run);
  co_return co_await call;
}

template <class Partitions>
void put_partitions(Partitions& out, const coord::fetched_topic& t, errc code = errc::none) {
  for (const coord::fetched_partition& found : t.partitions) {
    auto& p = out.emplace_back();
    p.partition_index = found.partition;
    p.committed_offset = found.offset;
    p.committed_leader_epoch = found.leader_epoch;
    p.metadata = found.metadata;
    p.error_code = kafka_code(code);
  }
}

// v0-7
task<result<offset_fetch_response>> fetch_one(request_context& context, const offset_fetch_request& request) {
  const image_ptr image = context.shard.image();
  coord::fetch_request asked{.group = std::string(request.group_id)};
  if (request.topics) {
    asked.topics.emplace();
    for (const auto& t : *request.topics) {
      const topic* known = image->find(t.name);
      asked.topics->push_back(
          {std::string(t.name), known != nullptr ? known->id : uuid(), t.partition_indexes});
    }
  }
  auto call = fetch(context, asked);
  const fetch_answer found = co_await call;
  offset_fetch_response response;
  if (!found) {
    response.error_code = kafka_code(found.error().code);
    // v0 and v1 have no place for it but the partitions.
    for (const auto& t : asked.topics.value_or(std::vector<coord::fetch_topic>{})) {
      coord::fetched_topic refused{.topic = t.topic};
      for (const int32_t p : t.partitions) refused.partitions.push_back({.partition = p});
      auto& out = response.topics.emplace_back();
      out.name = t.topic;
      put_partitions(out.partitions, refused, found.error().code);
    }
    co_return response;
  }
  for (const coord::fetched_topic& t : *found) {
    auto& out = response.topics.emplace_back();
    out.name = t.topic;
    put_partitions(out.partitions, t);
  }
  co_return response;
}

// v8-10, one of several groups.
task<offset_fetch_response::offset_fetch_response_group> fetch_group(
    request_context& context, const offset_fetch_request::offset_fetch_request_group& request) {
  const bool by_id = context.version() >= 10;
  const image_ptr image = context.shard.image();
  offset_fetch_response::offset_fetch_response_group response;
  response.group_id = request.group_id;
  coord::fetch_request asked{.group = std::string(request.group_id), .member_epoch = request.member_epoch};
  if (request.member_id) asked.member_id = std::string(*request.member_id);
  if (request.topics) {
    asked.topics.emplace();
    for (const auto& t : *request.topics) {
      const topic* known = by_id ? image->find(t.topic_id) : image->find(t.name);
      if (by_id && known == nullptr) {
        auto& out = response.topics.emplace_back();
        out.topic_id = t.topic_id;
        coord::fetched_topic refused;
        for (const int32_t p : t.partition_indexes) refused.partitions.push_back({.partition = p});
        put_partitions(out.partitions, refused, errc::unknown_topic_id);
        continue;
      }
      asked.topics->push_back({known != nullptr ? known->name : std::string(t.name),
                               known != nullptr ? known->id : uuid(), t.partition_indexes});
    }
  }
  auto call = fetch(context, asked);
  const fetch_answer found = co_await call;
  if (!found) {
    response.topics.clear();
    response.error_code = kafka_code(found.error().code);
    co_return response;
  }
  for (const coord::fetched_topic& t : *found) {
    const topic* known = image->find(t.topic);
    if (by_id && known == nullptr) continue;  // deleted; there is no id to call it by
    auto& out = response.topics.emplace_back();
    out.name = t.topic;
    if (known != nullptr) out.topic_id = known->id;
    put_partitions(out.partitions, t);
  }
  co_return response;
}

task<result<offset_fetch_response>> handle(request_context& context, offset_fetch_request request) {
  if (context.version() < 8) {
    auto one = fetch_one(context, request);
    co_return co_await one;
  }
  offset_fetch_response response;
  for (const auto& group : request.groups) {
    auto call = fetch_group(context, group);
    response.groups.push_back(co_await call);
  }
  co_return response;
}

}  // namespace

const api offset_fetch_api = make_api<handle>(0, 10);

}  // namespace millrace::broker
