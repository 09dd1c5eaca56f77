// 60 DescribeCluster, v0-2. v1 endpoint type; v2 fenced brokers, of which there are none.
#include "broker/api/all.h"
#include "broker/api/operations.h"
#include "broker/shard_context.h"
#include "protocol/generated/describe_cluster_request.h"
#include "protocol/generated/describe_cluster_response.h"

namespace millrace::broker {
namespace {

constexpr int8_t endpoint_brokers = 1;
constexpr int8_t endpoint_controllers = 2;

task<result<protocol::describe_cluster_response>> handle(request_context& context,
                                                         protocol::describe_cluster_request request) {
  const node& whole = context.shard.whole();
  protocol::describe_cluster_response response;
  response.endpoint_type = request.endpoint_type;
  if (request.endpoint_type != endpoint_brokers) {
    const bool is_known = request.endpoint_type == endpoint_controllers;
    response.error_code =
        kafka_code(is_known ? errc::mismatched_endpoint_type : errc::unsupported_endpoint_type);
    response.error_message = "this is a broker's endpoint";
    co_return response;
  }
  response.cluster_id = whole.cluster_id;
  response.controller_id = whole.config.node_id;
  response.brokers.push_back({.broker_id = whole.config.node_id,
                              .host = context.advertised.host,
                              .port = context.advertised.port,
                              .rack = whole.config.rack,
                              .is_fenced = false});
  if (request.include_cluster_authorized_operations)
    response.cluster_authorized_operations = cluster_operations;
  co_return response;
}

}  // namespace

const api describe_cluster_api = make_api<handle>(0, 2);

}  // namespace millrace::broker
