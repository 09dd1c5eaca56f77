// 34 AlterReplicaLogDirs, v0-2. v2 flexible. There is one directory, and everything is in it already.
#include "broker/api/all.h"
#include "broker/api/log_directory.h"
#include "broker/shard_context.h"
#include "protocol/generated/alter_replica_log_dirs_request.h"
#include "protocol/generated/alter_replica_log_dirs_response.h"

namespace millrace::broker {
namespace {

using protocol::alter_replica_log_dirs_request;
using protocol::alter_replica_log_dirs_response;

task<result<alter_replica_log_dirs_response>> handle(request_context& context,
                                                     alter_replica_log_dirs_request request) {
  const image_ptr image = context.shard.image();
  const std::string here = log_directory(context.shard.config());
  alter_replica_log_dirs_response response;
  for (const auto& directory : request.dirs) {
    for (const auto& asked : directory.topics) {
      auto& answered = response.results.emplace_back();
      answered.topic_name = asked.name;
      const topic* t = image->find(asked.name);
      for (const int32_t partition : asked.partitions) {
        const bool is_there = t != nullptr && t->has_partition(partition);
        const errc code = directory.path != here ? errc::log_dir_not_found
                          : !is_there            ? errc::unknown_topic_or_partition
                                                 : errc::none;
        answered.partitions.push_back({.partition_index = partition, .error_code = kafka_code(code)});
      }
    }
  }
  co_return response;
}

}  // namespace

const api alter_replica_log_dirs_api = make_api<handle>(0, 2);

}  // namespace millrace::broker
