// 1 Fetch, v4-18.
//
// v4 magic 2, isolation; v5 log start; v7 sessions (KIP-227); v9 leader epochs; v11 racks (ignored); v12
// flexible, divergence; v13 topic ids; v15 replica state, v17, v18 for followers only, and there are none.
//
//     request ─► targets (session or list) ─► read on each owner ─► enough? ─yes─► answer
//                                                  ▲                  │ no, and time left
//                                                  └── something ◄────┴─► park on each owner
//                                                      moved
//
// What the first batch rule asks for: the first batch of an answer is given whole however large, the rest
// while there is room. Only whole batches are given. Partitions of a session that were served go to the end
// of its queue.
#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "broker/api/all.h"
#include "broker/fetch/fetch_plan.h"
#include "broker/fetch/sessions.h"
#include "broker/shard_context.h"
#include "protocol/generated/fetch_request.h"
#include "protocol/generated/fetch_response.h"
#include "runtime/reactor.h"

namespace millrace::broker {
namespace {

using protocol::fetch_request;
using protocol::fetch_response;

// Requests of the session protocol, by session epoch.
constexpr int32_t epoch_close = -1;  // with session id 0: no session wanted
constexpr int32_t epoch_open = 0;

// Whose targets a fetch serves: a session's, or those of this request alone.
struct fetch_source {
  session_use session;
  std::list<fetch_target> own;
  bool is_incremental = false;

  std::list<fetch_target>& targets() { return session ? session->targets() : own; }
  int32_t session_id() const { return session ? session->id() : 0; }
};

topic_ref ref_of(const uuid& id, std::string_view name, int16_t version) {
  return version >= 13 ? topic_ref{.id = id, .name = {}} : topic_ref{.id = {}, .name = std::string(name)};
}

template <class Put>
void for_each_target(const fetch_request& request, int16_t version, Put put) {
  for (const auto& t : request.topics) {
    for (const auto& p : t.partitions) {
      put(fetch_target{.topic = ref_of(t.topic_id, t.topic, version),
                       .partition = p.partition,
                       .offset = p.fetch_offset,
                       .bytes_max = p.partition_max_bytes,
                       .leader_epoch = p.current_leader_epoch,
                       .last_fetched_epoch = p.last_fetched_epoch});
    }
  }
}

result<fetch_source> resume(shard_context& shard, const fetch_request& request, int16_t version) {
  auto use = shard.sessions.resume(request.session_id, request.session_epoch, version >= 13,
                                   runtime::reactor::current().now());
  if (!use) return fail(use.error());
  fetch_source source{.session = *std::move(use), .own = {}, .is_incremental = true};
  for (const auto& t : request.forgotten_topics_data) {
    for (const int32_t p : t.partitions) source.session->forget(ref_of(t.topic_id, t.topic, version), p);
  }
  for_each_target(request, version, [&](fetch_target target) { source.session->put(std::move(target)); });
  return source;
}

result<fetch_source> source_of(shard_context& shard, const fetch_request& request, int16_t version) {
  if (version >= 7 && request.session_epoch != epoch_close && request.session_epoch != epoch_open) {
    return resume(shard, request, version);
  }
  if (request.session_id != 0) shard.sessions.close(request.session_id);
  fetch_source source;
  const bool wants_session = version >= 7 && request.session_epoch == epoch_open;
  if (wants_session && !request.topics.empty()) {
    runtime::reactor& here = runtime::reactor::current();
    source.session = shard.sessions.open(version >= 13, here.now(), here.random());
  }
  for_each_target(request, version, [&](fetch_target target) {
    if (source.session) {
      source.session->put(std::move(target));
    } else {
      source.own.push_back(std::move(target));
    }
  });
  return source;
}

// What of a partition goes into the answer; nothing if a session's client knows it all.
class answer_builder {
 public:
  answer_builder(fetch_response& response, const fetch_request& request)
      : response_(response), request_(request) {}

  void add(const fetch_target& target, partition_data data) {
    fetch_response::fetchable_topic_response& t = topic_of(target.topic);
    fetch_response::partition_data& p = t.partitions.emplace_back();
    p.partition_index = target.partition;
    p.error_code = kafka_code(data.error);
    p.high_watermark = data.high_watermark;
    p.last_stable_offset = data.last_stable;
    p.log_start_offset = data.log_start;
    if (data.diverging) {
      p.diverging_epoch.epoch = data.diverging->epoch.value();
      p.diverging_epoch.end_offset = data.diverging->end.value();
    }
    // Null says read_uncommitted; without transactions nothing was ever aborted.
    if (request_.isolation_level == 1) p.aborted_transactions.emplace();
    p.records = std::move(data.records);
  }

 private:
  // Targets of one topic most often stand together.
  fetch_response::fetchable_topic_response& topic_of(const topic_ref& ref) {
    if (response_.responses.empty() || response_.responses.back().topic != ref.name ||
        response_.responses.back().topic_id != ref.id) {
      auto& added = response_.responses.emplace_back();
      added.topic = ref.name;
      added.topic_id = ref.id;
    }
    return response_.responses.back();
  }

  fetch_response& response_;
  const fetch_request& request_;
};

void fill(fetch_response& response, const fetch_request& request, fetch_source& source, fetch_plan& plan) {
  answer_builder answers(response, request);
  std::vector<std::list<fetch_target>::iterator> served;
  size_t i = 0;
  for (auto at = source.targets().begin(); at != source.targets().end(); ++at, ++i) {
    partition_data data = plan.take(i);
    const bool has_news = data.error != errc::none || !data.records.empty() || data.diverging ||
                          data.high_watermark != at->told_high_watermark ||
                          data.log_start != at->told_log_start;
    if (source.is_incremental && !has_news) continue;
    at->told_high_watermark = data.high_watermark;
    at->told_log_start = data.log_start;
    if (!data.records.empty()) served.push_back(at);
    answers.add(*at, std::move(data));
  }
  if (!source.session) return;
  for (const auto at : served) source.session->move_to_end(at);
}

task<result<reply>> run(request_context& context) {
  protocol::reader in(context.body);
  const auto request = fetch_request::decode(in, context.version());
  if (!request) co_return fail(request.error());
  shard_context& shard = context.shard;

  fetch_response response;
  auto source = source_of(shard, *request, context.version());
  if (!source) {
    response.error_code = kafka_code(source.error().code);
    co_return reply{
        .bytes = protocol::encode_response(response, context.version(), context.header.correlation_id)};
  }
  response.session_id = source->session_id();

  const int64_t bytes_max = std::clamp(request->max_bytes, 0, shard.config().fetch_bytes_max);
  const int64_t granted = shard.responses.take(bytes_max);
  fetch_plan plan(shard, source->targets(),
                  {.bound = request->isolation_level == 1 ? storage::read_bound::last_stable
                                                          : storage::read_bound::high_watermark,
                   .bytes_max = granted,
                   .bytes_min = std::min<int64_t>(request->min_bytes, granted),
                   .patience = std::chrono::milliseconds(std::max(0, request->max_wait_ms))});
  co_await plan.run();

  fill(response, *request, *source, plan);
  const int64_t used = std::min(granted, plan.bytes());
  shard.responses.give_back(granted - used);
  co_return reply{
      .bytes = protocol::encode_response(response, context.version(), context.header.correlation_id),
      .budget_bytes = used};
}

}  // namespace

const api fetch_api = {.key = protocol::api_key::fetch,
                       .version_min = 4,
                       .version_max = 18,
                       .advertised_min = 4,
                       .is_pipelined = false,
                       .run = run};

}  // namespace millrace::broker
