// 22 InitProducerId, v0-5.
//
// v2 flexible; v3 the id held so far (a producer without transactions gets a new one all the same, as from
// Kafka); v4, v5 error codes of transactions. With a transactional id: refused, there are no transactions
// yet.
#include "broker/api/all.h"
#include "broker/metadata/producer_ids.h"
#include "broker/shard_context.h"
#include "protocol/generated/init_producer_id_request.h"
#include "protocol/generated/init_producer_id_response.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::init_producer_id_request;
using protocol::init_producer_id_response;

task<result<init_producer_id_response>> handle(request_context& context, init_producer_id_request request) {
  init_producer_id_response response;
  response.producer_epoch = -1;
  if (request.transactional_id) {
    response.error_code =
        kafka_code(request.transactional_id->empty() ? errc::invalid_request : errc::unsupported_version);
    co_return response;
  }
  producer_ids& ids = *context.shard.whole().producers;
  const auto next_there = [&ids] { return ids.next(); };
  const result<producer_id> id = co_await runtime::call_on(shard_id(0), next_there);
  if (!id) {
    response.error_code = kafka_code(id.error().code);
    co_return response;
  }
  response.producer_id = id->value();
  response.producer_epoch = 0;
  co_return response;
}

}  // namespace

const api init_producer_id_api = make_api<handle>(0, 5);

}  // namespace millrace::broker
