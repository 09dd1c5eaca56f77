// 35 DescribeLogDirs, v0-5: the one data directory, and the size of each partition in it.
//
// v2 flexible; v3 an error for the whole; v4 space of the file system; v5 cordoned directories, of which
// there are none. A partition's size is that of all its batches, also of those that are still only in the
// write-ahead log. What is asked for and does not exist is left out, as by Kafka.
#include <algorithm>
#include <map>
#include <vector>

#include "broker/api/all.h"
#include "broker/api/log_directory.h"
#include "broker/shard_context.h"
#include "protocol/generated/describe_log_dirs_request.h"
#include "protocol/generated/describe_log_dirs_response.h"
#include "runtime/fs.h"
#include "runtime/shards.h"

namespace millrace::broker {
namespace {

using protocol::describe_log_dirs_request;
using protocol::describe_log_dirs_response;
using answered_partition = describe_log_dirs_response::describe_log_dirs_partition;

struct measurement {
  storage::topic_partition_id id;
  answered_partition* answer;
};

// The partitions of a topic that exist and are asked for, each once.
std::vector<int32_t> partitions_of(const topic& t, const std::vector<int32_t>* asked) {
  std::vector<int32_t> found;
  if (asked == nullptr) {
    for (int32_t p = 0; p < t.partitions; ++p) found.push_back(p);
    return found;
  }
  for (const int32_t p : *asked) {
    if (t.has_partition(p)) found.push_back(p);
  }
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
  return found;
}

// What is asked for; all partitions of all topics if nothing is.
std::map<const topic*, std::vector<int32_t>> wanted_of(const describe_log_dirs_request& request,
                                                       const metadata_image& image) {
  std::map<const topic*, std::vector<int32_t>> wanted;
  if (!request.topics) {
    for (const topic_ptr& t : image.topics()) wanted[t.get()] = partitions_of(*t, nullptr);
    return wanted;
  }
  for (const auto& asked : *request.topics) {
    const topic* t = image.find(asked.topic);
    if (t == nullptr) continue;
    const std::vector<int32_t> numbers(asked.partitions.begin(), asked.partitions.end());
    wanted[t] = partitions_of(*t, &numbers);
  }
  return wanted;
}

task<result<describe_log_dirs_response>> handle(request_context& context, describe_log_dirs_request request) {
  const image_ptr image = context.shard.image();
  const std::map<const topic*, std::vector<int32_t>> wanted = wanted_of(request, *image);
  describe_log_dirs_response response;
  auto& directory = response.results.emplace_back();
  directory.log_dir = log_directory(context.shard.config());
  directory.topics.reserve(wanted.size());
  std::map<shard_id, std::vector<measurement>> by_owner;
  for (const auto& [t, partitions] : wanted) {
    if (partitions.empty()) continue;
    auto& answered = directory.topics.emplace_back();
    answered.name = t->name;
    answered.partitions.reserve(partitions.size());
    for (const int32_t p : partitions) {
      answered_partition& answer = answered.partitions.emplace_back();
      answer.partition_index = p;
      by_owner[context.shard.owner(*t, p)].push_back({t->partition(p), &answer});
    }
  }
  for (const auto& [owner, measurements] : by_owner) {
    storage::shard_store& store = context.shard.whole().shards[owner.value()]->store();
    const auto measure_there = [&store, &measurements] {
      for (const measurement& m : measurements) {
        if (const storage::partition_log* log = store.find(m.id))
          m.answer->partition_size = static_cast<int64_t>(log->size_bytes());
      }
    };
    co_await runtime::call_on(owner, measure_there);
  }
  const auto space = co_await runtime::fs::disk_free(context.shard.config().data_directory);
  if (space) {
    directory.total_bytes = static_cast<int64_t>(space->total_bytes);
    directory.usable_bytes = static_cast<int64_t>(space->free_bytes);
  }
  co_return response;
}

}  // namespace

const api describe_log_dirs_api = make_api<handle>(0, 5);

}  // namespace millrace::broker
