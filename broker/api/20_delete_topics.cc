// 20 DeleteTopics, v0-6. v1 throttle time; v4 flexible; v5 error messages; v6 by name or by id.
#include <algorithm>
#include <vector>

#include "broker/api/all.h"
#include "broker/metadata/topic_registry.h"
#include "broker/shard_context.h"
#include "protocol/generated/delete_topics_request.h"
#include "protocol/generated/delete_topics_response.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::delete_topics_request;
using protocol::delete_topics_response;
using answered_topic = delete_topics_response::deletable_topic_result;

void refuse(answered_topic& answer, const error& why) {
  answer.error_code = kafka_code(why.code);
  if (!why.message.empty()) answer.error_message = why.message;
}

// The topic that one entry names, and the answer's head for it.
const topic* find(const metadata_image& image, std::optional<std::string_view> name, const uuid& id,
                  answered_topic& answer) {
  const topic* t = name ? image.find(*name) : image.find(id);
  if (name) {
    answer.name = std::string(*name);
  } else if (t != nullptr) {
    answer.name = t->name;
  } else {
    answer.name = std::nullopt;
  }
  answer.topic_id = t != nullptr ? t->id : id;
  return t;
}

task<result<delete_topics_response>> handle(request_context& context, delete_topics_request request) {
  std::vector<delete_topics_request::delete_topic_state> asked = std::move(request.topics);
  for (const std::string_view name : request.topic_names) asked.push_back({.name = name, .topic_id = {}});

  const image_ptr image = context.shard.image();
  delete_topics_response response;
  std::vector<uuid> doomed;
  std::vector<size_t> places;
  for (const auto& a : asked) {
    answered_topic& answer = response.responses.emplace_back();
    const topic* t = find(*image, a.name, a.topic_id, answer);
    if (!context.shard.config().delete_topics) {
      refuse(answer, {errc::topic_deletion_disabled, {}});
    } else if (a.name && !a.topic_id.is_zero()) {
      refuse(answer, {errc::invalid_request, "You may not specify both topic name and topic id."});
    } else if (t == nullptr) {
      refuse(answer, {a.name ? errc::unknown_topic_or_partition : errc::unknown_topic_id, {}});
    } else if (std::ranges::find(doomed, t->id) != doomed.end()) {
      refuse(answer, {errc::invalid_request, "Duplicate topic name or id."});
    } else {
      places.push_back(response.responses.size() - 1);
      doomed.push_back(t->id);
    }
  }
  if (doomed.empty()) co_return response;

  topic_registry& topics = *context.shard.whole().topics;
  const auto remove_there = [&topics, &doomed] { return topics.remove(doomed); };
  const std::vector<result<void>> removed = co_await runtime::call_on(shard_id(0), remove_there);
  for (size_t i = 0; i < removed.size(); ++i) {
    answered_topic& answer = response.responses[places[i]];
    if (removed[i]) continue;
    // Somebody else was quicker.
    const bool is_gone = removed[i].error().code == errc::unknown_topic_id && asked[places[i]].name;
    refuse(answer, is_gone ? error{errc::unknown_topic_or_partition, {}} : removed[i].error());
  }
  co_return response;
}

}  // namespace

const api delete_topics_api = make_api<handle>(0, 6);

}  // namespace millrace::broker
