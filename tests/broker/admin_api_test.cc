// Administration over the sockets: what is changed at run time holds at once, on every shard, and after a
// restart.
#include <gtest/gtest.h>

#include "broker/config/dynamic.h"
#include "protocol/generated/alter_configs_request.h"
#include "protocol/generated/alter_configs_response.h"
#include "protocol/generated/delete_records_request.h"
#include "protocol/generated/delete_records_response.h"
#include "protocol/generated/describe_configs_request.h"
#include "protocol/generated/describe_configs_response.h"
#include "protocol/generated/describe_log_dirs_request.h"
#include "protocol/generated/describe_log_dirs_response.h"
#include "protocol/generated/incremental_alter_configs_request.h"
#include "protocol/generated/incremental_alter_configs_response.h"
#include "protocol/generated/list_config_resources_request.h"
#include "protocol/generated/list_config_resources_response.h"
#include "protocol/generated/list_offsets_request.h"
#include "protocol/generated/list_offsets_response.h"
#include "tests/broker/test_broker.h"
#include "tests/broker/wire_client.h"

namespace millrace::broker {
namespace {

using namespace protocol;

constexpr int partitions = 4;  // more than shards

struct change {
  resource_type type;
  std::string name;
  std::string key;
  alter_op op;
  std::optional<std::string> value;
};

class admin_api : public testing::TestWithParam<uint32_t> {
 protected:
  test_broker start(const std::vector<std::string>& assignments = {}) {
    return test_broker({GetParam(), runtime::backend_choice::epoll}, directory_.path(), assignments);
  }
  temporary_directory directory_;
};

int16_t alter(wire_client& client, const change& c, bool validate_only = false) {
  incremental_alter_configs_request request;
  request.validate_only = validate_only;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = static_cast<int8_t>(c.type);
  resource.resource_name = c.name;
  auto& config = resource.configs.emplace_back();
  config.name = c.key;
  config.config_operation = static_cast<int8_t>(c.op);
  config.value = c.value ? std::optional<std::string_view>(*c.value) : std::nullopt;
  const auto answer = client.ask<incremental_alter_configs_response>(request, 1);
  return answer && answer->responses.size() == 1 ? answer->responses[0].error_code : int16_t{-99};
}

int16_t set_topic(wire_client& client, const std::string& key, const std::string& value) {
  return alter(client, {resource_type::topic, "t", key, alter_op::set, value});
}

// "VALUE SOURCE", and the sources of all its synonyms.
std::string described(wire_client& client, resource_type type, const std::string& name,
                      const std::string& key) {
  describe_configs_request request;
  request.include_synonyms = true;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = static_cast<int8_t>(type);
  resource.resource_name = name;
  resource.configuration_keys.emplace().push_back(key);
  const auto answer = client.ask<describe_configs_response>(request, 4);
  if (!answer || answer->results.size() != 1 || answer->results[0].configs.size() != 1) return "nothing";
  const auto& config = answer->results[0].configs[0];
  std::string text = fmt::format("{} {} of", config.value.value_or("null"), config.config_source);
  for (const auto& s : config.synonyms) text += fmt::format(" {}", s.source);
  return text;
}

int16_t error_of_produce(wire_client& client, int32_t partition, const slice& batch) {
  const auto answer = client.ask<produce_response>(produce_to("t", partition, batch), 9);
  return answer ? answer->responses.at(0).partition_responses.at(0).error_code : int16_t{-99};
}

int64_t earliest(wire_client& client, int32_t partition) {
  list_offsets_request request;
  auto& t = request.topics.emplace_back();
  t.name = "t";
  auto& p = t.partitions.emplace_back();
  p.partition_index = partition;
  p.current_leader_epoch = -1;
  p.timestamp = -2;
  const auto answer = client.ask<list_offsets_response>(request, 6);
  return answer ? answer->topics.at(0).partitions.at(0).offset : -99;
}

TEST_P(admin_api, a_topics_configuration_holds_at_once_and_after_a_restart) {
  {
    test_broker running = start();
    wire_client client(running.port());
    create_topic(client, "t", partitions);
    const slice batch = make_batch(1, std::string(2000, 'x'));
    for (int32_t p = 0; p < partitions; ++p) EXPECT_EQ(error_of_produce(client, p, batch), 0);
    EXPECT_EQ(set_topic(client, "max.message.bytes", "1000"), 0);
    for (int32_t p = 0; p < partitions; ++p) EXPECT_EQ(error_of_produce(client, p, batch), 10) << p;
    EXPECT_EQ(described(client, resource_type::topic, "t", "max.message.bytes"), "1000 1 of 1 5");
  }
  test_broker running = start();
  wire_client client(running.port());
  EXPECT_EQ(described(client, resource_type::topic, "t", "max.message.bytes"), "1000 1 of 1 5");
  EXPECT_EQ(error_of_produce(client, 1, make_batch(1, std::string(2000, 'x'))), 10);
  EXPECT_EQ(alter(client, {resource_type::topic, "t", "max.message.bytes", alter_op::remove, {}}), 0);
  EXPECT_EQ(error_of_produce(client, 1, make_batch(1, std::string(2000, 'x'))), 0);
  EXPECT_EQ(described(client, resource_type::topic, "t", "max.message.bytes"), "1048588 5 of 5");
}

TEST_P(admin_api, what_is_only_validated_or_refused_changes_nothing) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 1);
  EXPECT_EQ(alter(client, {resource_type::topic, "t", "retention.ms", alter_op::set, "5"}, true), 0);
  EXPECT_EQ(set_topic(client, "retention.ms", "soon"), kafka_code(errc::invalid_config));
  EXPECT_EQ(set_topic(client, "nonsense", "1"), kafka_code(errc::invalid_config));
  EXPECT_EQ(set_topic(client, "durability", "os"), kafka_code(errc::invalid_config));
  EXPECT_EQ(alter(client, {resource_type::topic, "t", "retention.ms", alter_op::append, "1"}),
            kafka_code(errc::invalid_config));
  EXPECT_EQ(alter(client, {resource_type::topic, "t", "retention.ms", alter_op::set, {}}),
            kafka_code(errc::invalid_request));
  EXPECT_EQ(alter(client, {resource_type::topic, "u", "retention.ms", alter_op::set, "1"}),
            kafka_code(errc::unknown_topic_or_partition));
  EXPECT_EQ(described(client, resource_type::topic, "t", "retention.ms"), "604800000 5 of");
}

TEST_P(admin_api, the_old_call_replaces_everything_but_the_durability) {
  test_broker running = start();
  wire_client client(running.port());
  create_topics_request creation;
  auto& t = creation.topics.emplace_back();
  t.name = "t";
  t.num_partitions = 1;
  t.replication_factor = 1;
  t.configs.push_back({.name = "durability", .value = "os"});
  t.configs.push_back({.name = "retention.ms", .value = "5000"});
  ASSERT_EQ(client.ask<create_topics_response>(creation, 7)->topics.at(0).error_code, 0);
  alter_configs_request request;
  auto& resource = request.resources.emplace_back();
  resource.resource_type = 2;
  resource.resource_name = "t";
  resource.configs.push_back({.name = "segment.ms", .value = "7000"});
  const auto answer = client.ask<alter_configs_response>(request, 2);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->responses.at(0).error_code, 0) << answer->responses[0].error_message.value_or("");
  EXPECT_EQ(described(client, resource_type::topic, "t", "segment.ms"), "7000 1 of 1");
  EXPECT_EQ(described(client, resource_type::topic, "t", "retention.ms"), "604800000 5 of");
  EXPECT_EQ(described(client, resource_type::topic, "t", "durability"), "os 1 of 1 5");
}

TEST_P(admin_api, the_brokers_configuration_reaches_its_topics_and_survives) {
  {
    test_broker running = start();
    wire_client client(running.port());
    create_topic(client, "t", partitions);
    EXPECT_EQ(alter(client, {resource_type::broker, "", "message.max.bytes", alter_op::set, "1500"}), 0);
    EXPECT_EQ(alter(client, {resource_type::broker, "1", "message.max.bytes", alter_op::set, "1000"}), 0);
    for (int32_t p = 0; p < partitions; ++p)
      EXPECT_EQ(error_of_produce(client, p, make_batch(1, std::string(1200, 'x'))), 10) << p;
    EXPECT_EQ(described(client, resource_type::broker, "1", "message.max.bytes"), "1000 2 of 2 3 5");
    EXPECT_EQ(described(client, resource_type::broker, "", "message.max.bytes"), "1500 3 of 3");
    EXPECT_EQ(described(client, resource_type::topic, "t", "max.message.bytes"), "1000 2 of 2 3 5");
    EXPECT_EQ(alter(client, {resource_type::broker, "1", "node.id", alter_op::set, "7"}),
              kafka_code(errc::invalid_request));
    EXPECT_EQ(alter(client, {resource_type::broker, "1", "no.such.key", alter_op::set, "7"}),
              kafka_code(errc::invalid_config));
    EXPECT_EQ(alter(client, {resource_type::broker, "7", "message.max.bytes", alter_op::set, "1"}),
              kafka_code(errc::invalid_request));
  }
  test_broker running = start({"message.max.bytes=3000"});
  wire_client client(running.port());
  EXPECT_EQ(described(client, resource_type::broker, "1", "message.max.bytes"), "1000 2 of 2 3 4 5");
  EXPECT_EQ(error_of_produce(client, 0, make_batch(1, std::string(1200, 'x'))), 10);
  EXPECT_EQ(alter(client, {resource_type::broker, "1", "message.max.bytes", alter_op::remove, {}}), 0);
  EXPECT_EQ(error_of_produce(client, 0, make_batch(1, std::string(1200, 'x'))), 0);
  EXPECT_EQ(described(client, resource_type::topic, "t", "max.message.bytes"), "1500 3 of 3 4 5");
}

TEST_P(admin_api, the_number_of_connections_is_bounded_anew) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 1);
  EXPECT_EQ(alter(client, {resource_type::broker, "1", "max.connections", alter_op::set, "1"}), 0);
  wire_client one_more(running.port());
  EXPECT_TRUE(one_more.is_closed());
  EXPECT_EQ(alter(client, {resource_type::broker, "1", "max.connections", alter_op::set, "2"}), 0);
  wire_client another(running.port());
  create_topic(another, "u", 1);
}

TEST_P(admin_api, groups_and_subscriptions_to_metrics_are_listed_and_survive) {
  const std::string session = "consumer.session.timeout.ms";
  {
    test_broker running = start();
    wire_client client(running.port());
    EXPECT_EQ(alter(client, {resource_type::group, "g", session, alter_op::set, "50000"}), 0);
    EXPECT_EQ(alter(client, {resource_type::group, "g", session, alter_op::set, "1000"}),
              kafka_code(errc::invalid_config));
    EXPECT_EQ(alter(client, {resource_type::client_metrics, "m", "match", alter_op::set, "client_id=a.*"}),
              0);
    EXPECT_EQ(alter(client, {resource_type::client_metrics, "m", "match", alter_op::set, "colour=a.*"}),
              kafka_code(errc::invalid_config));
  }
  test_broker running = start();
  wire_client client(running.port());
  EXPECT_EQ(described(client, resource_type::group, "g", session), "50000 8 of 8 5");
  EXPECT_EQ(described(client, resource_type::group, "other", session), "45000 5 of 5");
  EXPECT_EQ(described(client, resource_type::client_metrics, "m", "match"), "client_id=a.* 7 of 7");
  const auto listed = client.ask<list_config_resources_response>(
      list_config_resources_request{.resource_types = {16, 32}}, 1);
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->config_resources.size(), 2u);
  EXPECT_EQ(listed->config_resources[0].resource_name, "m");
  EXPECT_EQ(listed->config_resources[1].resource_name, "g");
  EXPECT_EQ(alter(client, {resource_type::group, "g", session, alter_op::remove, {}}), 0);
  EXPECT_EQ(described(client, resource_type::group, "g", session), "45000 5 of 5");
}

delete_records_response delete_below(wire_client& client, const std::vector<int64_t>& offsets) {
  delete_records_request request;
  request.timeout_ms = 30'000;
  auto& t = request.topics.emplace_back();
  t.name = "t";
  for (size_t p = 0; p < offsets.size(); ++p)
    t.partitions.push_back({.partition_index = static_cast<int32_t>(p), .offset = offsets[p]});
  return client.ask<delete_records_response>(request, 2).value_or(delete_records_response{});
}

TEST_P(admin_api, deleted_records_stay_deleted) {
  {
    test_broker running = start();
    wire_client client(running.port());
    create_topic(client, "t", partitions);
    for (int32_t p = 0; p < partitions; ++p) EXPECT_EQ(error_of_produce(client, p, make_batch(10, "x")), 0);
    const auto answer = delete_below(client, {4, -1, 11, 0, 0});
    ASSERT_EQ(answer.topics.size(), 1u);
    const auto& p = answer.topics[0].partitions;
    ASSERT_EQ(p.size(), 5u);
    EXPECT_EQ(p[0].low_watermark, 4);
    EXPECT_EQ(p[1].low_watermark, 10);
    EXPECT_EQ(p[2].error_code, kafka_code(errc::offset_out_of_range));
    EXPECT_EQ(p[3].low_watermark, 0);
    EXPECT_EQ(p[4].error_code, kafka_code(errc::unknown_topic_or_partition));
    EXPECT_EQ(earliest(client, 0), 4);
  }
  test_broker running = start();
  wire_client client(running.port());
  EXPECT_EQ(earliest(client, 0), 4);
  EXPECT_EQ(earliest(client, 1), 10);
  EXPECT_EQ(earliest(client, 2), 0);
  EXPECT_EQ(delete_below(client, {2}).topics.at(0).partitions.at(0).low_watermark, 4) << "it never goes back";
}

TEST_P(admin_api, records_of_a_topic_that_deletes_none_are_not_deleted) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 1);
  EXPECT_EQ(error_of_produce(client, 0, make_batch(10, "x")), 0);
  EXPECT_EQ(set_topic(client, "cleanup.policy", "compact"), 0);
  EXPECT_EQ(delete_below(client, {5}).topics.at(0).partitions.at(0).error_code,
            kafka_code(errc::policy_violation));
  EXPECT_EQ(earliest(client, 0), 0);
}

TEST_P(admin_api, the_directory_and_what_is_in_it_is_described) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", partitions);
  EXPECT_EQ(error_of_produce(client, 2, make_batch(10, std::string(1000, 'x'))), 0);
  const auto answer =
      client.ask<describe_log_dirs_response>(describe_log_dirs_request{.topics = std::nullopt}, 4);
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->results.size(), 1u);
  EXPECT_EQ(answer->results[0].log_dir, directory_.path());
  EXPECT_GT(answer->results[0].usable_bytes, 0);
  ASSERT_EQ(answer->results[0].topics.size(), 1u);
  const auto& sizes = answer->results[0].topics[0].partitions;
  ASSERT_EQ(sizes.size(), size_t{partitions});
  for (const auto& p : sizes) EXPECT_EQ(p.partition_size > 10'000, p.partition_index == 2);
}

INSTANTIATE_TEST_SUITE_P(shards, admin_api, testing::Values(1u, 3u));

}  // namespace
}  // namespace millrace::broker
