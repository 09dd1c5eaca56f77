#include "tools/kafka/topics.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "base/assert.h"
#include "tools/kafka/admin.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"
#include "tools/text/suggest.h"

namespace millrace::tools {

namespace {

topic_info to_topic(const rd_kafka_metadata_topic_t& from) {
  topic_info topic{.name = from.topic, .partitions = {}};
  for (int i = 0; i < from.partition_cnt; ++i) {
    const rd_kafka_metadata_partition_t& p = from.partitions[i];
    topic.partitions.push_back({.id = p.id,
                                .leader = p.leader,
                                .replicas = {p.replicas, p.replicas + p.replica_cnt},
                                .in_sync = {p.isrs, p.isrs + p.isr_cnt}});
  }
  std::ranges::sort(topic.partitions, {}, &partition_info::id);
  return topic;
}

result<metadata_ptr> read_metadata(handle& client, const std::string* only_topic) {
  MR_TRY(client.reach());
  topic_ptr topic(only_topic ? rd_kafka_topic_new(client.get(), only_topic->c_str(), nullptr) : nullptr);
  if (only_topic && !topic) return fail(errc::invalid_topic_exception, "'{}' is no topic name", *only_topic);
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t code =
      rd_kafka_metadata(client.get(), only_topic == nullptr, topic.get(), &raw, client.timeout_ms());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(broker_error(code, "read the cluster's metadata"));
  return metadata_ptr(raw);
}

error unknown_topic(handle& client, const std::string& name) {
  std::vector<std::string> names;
  if (const auto all = list_topics(client)) {
    for (const topic_info& topic : *all) names.push_back(topic.name);
  }
  return error{errc::unknown_topic_or_partition,
               fmt::format("there is no topic '{}'{}", name, did_you_mean(name, names))};
}

// A leader that has just come or gone does not know of it yet, or its clients do not: worth asking again.
bool is_passing(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION ||
         code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH || code == RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH;
}

// One question to every leader; the first error that it or one of its partitions ended with.
rd_kafka_resp_err_t ask_leaders(handle& client, rd_kafka_topic_partition_list_t* list, int32_t& partition) {
  partition = -1;
  const rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client.get(), list, client.timeout_ms());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return code;
  for (int i = 0; i < list->cnt; ++i) {
    partition = list->elems[i].partition;
    if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR) return list->elems[i].err;
  }
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}

// Asks every leader for one point in each partition's log: a timestamp, or Kafka's -1 (end) and -2 (start).
result<std::vector<int64_t>> ask_offsets(handle& client, const std::string& topic,
                                         const std::vector<int32_t>& partitions, int64_t timestamp) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(client.timeout_ms());
  for (;;) {
    const partition_list_ptr list(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const int32_t partition : partitions) {
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = timestamp;
    }
    int32_t guilty = -1;
    const rd_kafka_resp_err_t code = ask_leaders(client, list.get(), guilty);
    if (is_passing(code) && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      continue;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) {
      const std::string which = guilty < 0 ? "" : fmt::format(" [{}]", guilty);
      return fail(broker_error(code, fmt::format("ask for offsets of {}{}", topic, which)));
    }
    std::vector<int64_t> offsets;
    for (const int32_t partition : partitions) {
      const rd_kafka_topic_partition_t* found =
          rd_kafka_topic_partition_list_find(list.get(), topic.c_str(), partition);
      MR_ASSERT(found != nullptr);
      offsets.push_back(found->offset);
    }
    return offsets;
  }
}

std::string_view source_name(rd_kafka_ConfigSource_t source) {
  switch (source) {
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG:
      return "topic";
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_BROKER_CONFIG:
    case RD_KAFKA_CONFIG_SOURCE_DYNAMIC_DEFAULT_BROKER_CONFIG:
    case RD_KAFKA_CONFIG_SOURCE_STATIC_BROKER_CONFIG:
      return "broker";
    case RD_KAFKA_CONFIG_SOURCE_DEFAULT_CONFIG:
      return "default";
    default:
      return "unknown";
  }
}

std::vector<result<void>> topic_results(const rd_kafka_topic_result_t** from, size_t count,
                                        std::string_view verb) {
  std::vector<result<void>> results;
  for (size_t i = 0; i < count; ++i) {
    const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(from[i]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      results.emplace_back();
      continue;
    }
    const char* detail = rd_kafka_topic_result_error_string(from[i]);
    results.push_back(
        fail(broker_error(code, fmt::format("{} topic '{}'", verb, rd_kafka_topic_result_name(from[i])),
                          detail ? detail : "")));
  }
  return results;
}

// A broker may answer before every partition has a leader; a script's next line wants to produce.
void await_leaders(handle& client, const std::string& name) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(client.timeout_ms());
  while (std::chrono::steady_clock::now() < deadline) {
    const auto metadata = read_metadata(client, &name);
    if (metadata && (*metadata)->topic_cnt == 1 && (*metadata)->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const topic_info topic = to_topic((*metadata)->topics[0]);
      if (!topic.partitions.empty() &&
          std::ranges::all_of(topic.partitions, [](const partition_info& p) { return p.leader >= 0; })) {
        return;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace

result<std::vector<topic_info>> list_topics(handle& client) {
  const auto metadata = read_metadata(client, nullptr);
  if (!metadata) return fail(metadata.error());
  std::vector<topic_info> topics;
  for (int i = 0; i < (*metadata)->topic_cnt; ++i) topics.push_back(to_topic((*metadata)->topics[i]));
  std::ranges::sort(topics, {}, &topic_info::name);
  return topics;
}

result<topic_info> find_topic(handle& client, const std::string& name) {
  const auto metadata = read_metadata(client, &name);
  if (!metadata) return fail(metadata.error());
  if ((*metadata)->topic_cnt != 1) return fail(unknown_topic(client, name));
  const rd_kafka_metadata_topic_t& found = (*metadata)->topics[0];
  if (found.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) return fail(unknown_topic(client, name));
  if (found.err != RD_KAFKA_RESP_ERR_NO_ERROR && found.partition_cnt == 0) {
    return fail(broker_error(found.err, fmt::format("look up topic '{}'", name)));
  }
  return to_topic(found);
}

result<std::vector<offset_range>> offsets_of(handle& client, const topic_info& topic) {
  std::vector<int32_t> ids;
  for (const partition_info& partition : topic.partitions) ids.push_back(partition.id);
  const auto first = ask_offsets(client, topic.name, ids, RD_KAFKA_OFFSET_BEGINNING);
  if (!first) return fail(first.error());
  const auto next = ask_offsets(client, topic.name, ids, RD_KAFKA_OFFSET_END);
  if (!next) return fail(next.error());
  std::vector<offset_range> ranges;
  for (size_t i = 0; i < ids.size(); ++i) ranges.push_back({.first = (*first)[i], .next = (*next)[i]});
  return ranges;
}

result<std::vector<std::vector<std::optional<int64_t>>>> ends_of(handle& client,
                                                                 const std::vector<topic_info>& topics) {
  std::vector<std::vector<std::optional<int64_t>>> ends(topics.size());
  const partition_list_ptr list(rd_kafka_topic_partition_list_new(0));
  for (const topic_info& topic : topics) {
    for (const partition_info& partition : topic.partitions)
      rd_kafka_topic_partition_list_add(list.get(), topic.name.c_str(), partition.id)->offset =
          RD_KAFKA_OFFSET_END;
  }
  if (list->cnt == 0) return ends;
  const rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client.get(), list.get(), client.timeout_ms());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(broker_error(code, "ask for the ends of partitions"));
  // librdkafka answers in an order of its own.
  std::map<std::pair<std::string_view, int32_t>, int64_t> found;
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& one = list->elems[i];
    if (one.err == RD_KAFKA_RESP_ERR_NO_ERROR && one.offset >= 0)
      found[{one.topic, one.partition}] = one.offset;
  }
  for (size_t t = 0; t < topics.size(); ++t) {
    for (const partition_info& partition : topics[t].partitions) {
      const auto end = found.find({topics[t].name, partition.id});
      ends[t].push_back(end == found.end() ? std::nullopt : std::optional(end->second));
    }
  }
  return ends;
}

result<std::vector<int64_t>> offsets_at(handle& client, const std::string& topic,
                                        const std::vector<int32_t>& partitions, int64_t timestamp_ms) {
  auto offsets = ask_offsets(client, topic, partitions, timestamp_ms);
  if (!offsets) return offsets;
  const auto end = ask_offsets(client, topic, partitions, RD_KAFKA_OFFSET_END);
  if (!end) return end;
  for (size_t i = 0; i < partitions.size(); ++i) {
    if ((*offsets)[i] < 0) (*offsets)[i] = (*end)[i];
  }
  return offsets;
}

result<std::vector<config_entry>> configs_of(handle& client, const std::string& topic) {
  MR_TRY(client.reach());
  const config_resource_ptr resource(rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str()));
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  rd_kafka_ConfigResource_t* asked[] = {resource.get()};
  rd_kafka_DescribeConfigs(client.get(), asked, 1, options.get(), answers.get());
  const std::string what = fmt::format("read the configuration of '{}'", topic);
  const auto event = await_answer(client, answers.get(), what);
  if (!event) return fail(event.error());

  size_t count = 0;
  const rd_kafka_ConfigResource_t** found =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event->get()), &count);
  if (count != 1) return fail(errc::unknown_server_error, "cannot {}: the answer is empty", what);
  if (const rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(found[0]);
      code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return fail(broker_error(code, what));
  }
  std::vector<config_entry> configs;
  const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(found[0], &count);
  for (size_t i = 0; i < count; ++i) {
    const char* value = rd_kafka_ConfigEntry_value(entries[i]);
    configs.push_back({.name = rd_kafka_ConfigEntry_name(entries[i]),
                       .value = value ? std::optional<std::string>(value) : std::nullopt,
                       .source = std::string(source_name(rd_kafka_ConfigEntry_source(entries[i])))});
  }
  std::ranges::sort(configs, {}, &config_entry::name);
  return configs;
}

result<std::vector<property>> parse_topic_configs(const std::vector<std::string>& texts) {
  std::vector<property> configs;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return fail(errc::invalid_argument, "--config wants key=value, not '{}'", text);
    }
    configs.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return configs;
}

result<std::vector<result<void>>> create_topics(handle& client, const std::vector<new_topic>& topics) {
  MR_TRY(client.reach());
  std::vector<new_topic_ptr> owned;
  std::vector<rd_kafka_NewTopic_t*> asked;
  for (const new_topic& topic : topics) {
    char reason[256];
    owned.emplace_back(
        rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, topic.replicas, reason, sizeof(reason)));
    if (!owned.back())
      return fail(errc::invalid_argument, "cannot create topic '{}': {}", topic.name, reason);
    for (const auto& [key, value] : topic.configs) {
      rd_kafka_NewTopic_set_config(owned.back().get(), key.c_str(), value.c_str());
    }
    asked.push_back(owned.back().get());
  }
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  rd_kafka_CreateTopics(client.get(), asked.data(), asked.size(), options.get(), answers.get());
  const auto event = await_answer(client, answers.get(), "create topics");
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_topic_result_t** made =
      rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
  auto results = topic_results(made, count, "create");
  for (size_t i = 0; i < results.size() && i < topics.size(); ++i) {
    if (results[i]) await_leaders(client, topics[i].name);
  }
  return results;
}

result<std::vector<result<void>>> delete_topics(handle& client, const std::vector<std::string>& names) {
  MR_TRY(client.reach());
  std::vector<delete_topic_ptr> owned;
  std::vector<rd_kafka_DeleteTopic_t*> asked;
  for (const std::string& name : names) {
    owned.emplace_back(rd_kafka_DeleteTopic_new(name.c_str()));
    asked.push_back(owned.back().get());
  }
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  rd_kafka_DeleteTopics(client.get(), asked.data(), asked.size(), options.get(), answers.get());
  const auto event = await_answer(client, answers.get(), "delete topics");
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_topic_result_t** gone =
      rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event->get()), &count);
  return topic_results(gone, count, "delete");
}

result<void> add_partitions(handle& client, const std::string& topic, int32_t total) {
  MR_TRY(client.reach());
  char reason[256];
  const new_partitions_ptr wanted(
      rd_kafka_NewPartitions_new(topic.c_str(), static_cast<size_t>(total), reason, sizeof(reason)));
  if (!wanted) return fail(errc::invalid_argument, "cannot add partitions to '{}': {}", topic, reason);
  rd_kafka_NewPartitions_t* asked[] = {wanted.get()};
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  rd_kafka_CreatePartitions(client.get(), asked, 1, options.get(), answers.get());
  const auto event = await_answer(client, answers.get(), "add partitions");
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_topic_result_t** grown =
      rd_kafka_CreatePartitions_result_topics(rd_kafka_event_CreatePartitions_result(event->get()), &count);
  const auto results = topic_results(grown, count, "add partitions to");
  if (results.size() != 1) return fail(errc::unknown_server_error, "the answer is empty");
  if (results.front()) await_leaders(client, topic);
  return results.front();
}

result<std::vector<result<int64_t>>> delete_records(handle& client, const std::vector<records_below>& what) {
  MR_TRY(client.reach());
  const partition_list_ptr list(rd_kafka_topic_partition_list_new(static_cast<int>(what.size())));
  for (const records_below& w : what) {
    rd_kafka_topic_partition_list_add(list.get(), w.topic.c_str(), w.partition)->offset =
        w.offset < 0 ? RD_KAFKA_OFFSET_END : w.offset;
  }
  const delete_records_ptr wanted(rd_kafka_DeleteRecords_new(list.get()));
  rd_kafka_DeleteRecords_t* asked[] = {wanted.get()};
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  rd_kafka_DeleteRecords(client.get(), asked, 1, options.get(), answers.get());
  const auto event = await_answer(client, answers.get(), "delete records");
  if (!event) return fail(event.error());
  const rd_kafka_topic_partition_list_t* done =
      rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event->get()));
  std::vector<result<int64_t>> results;
  for (const records_below& w : what) {
    const rd_kafka_topic_partition_t* found = rd_kafka_topic_partition_list_find(
        const_cast<rd_kafka_topic_partition_list_t*>(done), w.topic.c_str(), w.partition);
    if (found == nullptr) {
      results.push_back(fail(errc::unknown_server_error, "no answer for {} [{}]", w.topic, w.partition));
    } else if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      results.push_back(
          fail(broker_error(found->err, fmt::format("delete records of {} [{}]", w.topic, w.partition))));
    } else {
      results.push_back(found->offset);
    }
  }
  return results;
}

}  // namespace millrace::tools
