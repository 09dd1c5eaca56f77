#include <array>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <iterator>
#include <set>

#include "broker/config/alter.h"
#include "broker/config/command_line.h"
#include "broker/config/dynamic.h"
#include "broker/config/key_spec.h"
#include "broker/config/load.h"
#include "broker/config/settings.h"
#include "broker/config/tables.h"
#include "broker/config/topic_settings.h"

namespace millrace::broker {
namespace {

std::string error_of(std::string_view toml) {
  config c;
  const auto loaded = load_toml(c, toml, "x.toml");
  return loaded ? "" : loaded.error().message;
}

TEST(config_tables, every_default_is_valid_and_every_rule_can_be_read) {
  for (const auto table : {broker_keys(), idle_keys(), topic_keys()}) {
    for (const key_spec& key : table) {
      if (key.default_value) {
        EXPECT_TRUE(check_value(key, *key.default_value)) << key.name;
      } else if (key.type == value_type::int32 || key.type == value_type::int64) {
        (void)check_value(key, "7");  // an unreadable rule aborts
      }
    }
  }
}

TEST(config_tables, no_key_is_declared_twice) {
  std::set<std::string_view> seen;
  for (const auto table : {broker_keys(), idle_keys()}) {
    for (const key_spec& key : table) EXPECT_TRUE(seen.insert(key.name).second) << key.name;
  }
}

TEST(config_tables, topic_defaults_name_broker_keys_of_the_same_default) {
  for (const key_spec& key : topic_keys()) {
    if (key.broker_key.empty()) continue;
    const key_spec* broker = find_key(broker_keys(), key.broker_key);
    ASSERT_NE(broker, nullptr) << key.name;
    if (broker->default_value) EXPECT_EQ(*broker->default_value, *key.default_value) << key.name;
  }
}

TEST(config_load, a_file_of_kafka_keys_is_read) {
  config c;
  const auto loaded = load_toml(c, R"(
[broker]
"listeners" = ["PLAINTEXT://127.0.0.1:0", "OUTER://[::1]:9093"]
"listener.security.protocol.map" = "PLAINTEXT:PLAINTEXT,OUTER:PLAINTEXT"
"log.dirs" = "/var/lib/x"
"num.partitions" = 3
"auto.create.topics.enable" = false
[[processor]]
name = "p"
library = "p.so"
input = "in"
outputs = { a = "out-a", b = "out-b" }
config = { depth = 3 }
)",
                                "x.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  const auto s = make_settings(c);
  ASSERT_TRUE(s) << s.error().message;
  ASSERT_EQ(s->listeners.size(), 2u);
  EXPECT_EQ(s->listeners[1].bind.host, "::1");
  EXPECT_EQ(s->data_directory, "/var/lib/x");
  EXPECT_EQ(s->default_partitions, 3);
  EXPECT_FALSE(s->auto_create_topics);
  ASSERT_EQ(c.processors.size(), 1u);
  EXPECT_EQ(c.processors[0].outputs.size(), 2u);
  EXPECT_EQ(c.processors[0].settings[0].second, "3");
}

TEST(config_load, several_inputs_have_names) {
  const std::string head = "[[processor]]\nname = \"p\"\nlibrary = \"p.so\"\n";
  config c;
  const auto loaded = load_toml(c, head + "inputs = { l = \"a\", r = \"b\" }\n", "x.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  using pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(c.processors[0].inputs, (pairs{{"l", "a"}, {"r", "b"}}));
  EXPECT_EQ(error_of(head + "input = \"a\"\ninputs = { l = \"a\" }\n"),
            "x.toml:1: processor \"p\" has input and inputs: one of them is enough");
}

TEST(config_load, an_output_is_a_topic_or_a_table_that_says_more) {
  const std::string head = "[[processor]]\nname = \"p\"\nlibrary = \"p.so\"\ninput = \"in\"\n";
  config c;
  const auto loaded = load_toml(c,
                                head +
                                    "outputs = { a = \"t\", b = { topic = \"u\", partition_by = \"key\" } "
                                    "}\noutbox_bytes_max = 70000\n",
                                "x.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  using pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(c.processors[0].outputs, (pairs{{"a", "t"}, {"b", "u"}}));
  EXPECT_EQ(c.processors[0].partition_by, (pairs{{"b", "key"}}));
  EXPECT_EQ(c.processors[0].outbox_bytes_max, "70000");
  EXPECT_EQ(error_of(head + "outputs = { b = { partition_by = \"key\" } }\n"),
            "x.toml:5: outputs.b has no topic");
  EXPECT_EQ(error_of(head + "outputs = { b = { topic = \"u\", partitions = 3 } }\n"),
            "x.toml:5: outputs.b: unknown key \"partitions\" (there are topic, partition_by)");
  EXPECT_NE(error_of(head + "outputs = { b = 3 }\n").find("outputs.b: a topic"), std::string::npos);
  EXPECT_NE(error_of(head + "outputs = { b = { topic = 3 } }\n").find("outputs.b.topic"), std::string::npos);
}

TEST(config_load, a_processor_s_config_may_hold_tables) {
  const std::string head =
      "[[processor]]\nname = \"p\"\nlibrary = \"p.so\"\ninput = \"in\"\n[processor.config]\n";
  config c;
  const auto loaded = load_toml(c,
                                head +
                                    "z = [\"a\", 1]\n[processor.config.fields]\nb = \"x\"\n"
                                    "[processor.config.fields.\"c.d\"]\nmin = 1.5\n",
                                "x.toml");
  ASSERT_TRUE(loaded) << loaded.error().message;
  using pairs = std::vector<std::pair<std::string, std::string>>;
  EXPECT_EQ(c.processors[0].settings, (pairs{{"fields.b", "x"}, {"fields.c.d.min", "1.5"}, {"z", "a,1"}}));
  EXPECT_EQ(error_of(head + "\"a.b\" = 1\na = { b = 2 }\n"), "x.toml:6: config.a.b is there twice");
  EXPECT_EQ(error_of(head + "a = 2026-01-01\n"),
            "x.toml:6: config.a: a string, number, boolean, list of them or table is expected");
  EXPECT_NE(error_of(head + "a = { b = { c = { d = { e = 1 } } } }\n"), "");
}

TEST(config_load, errors_name_file_line_key_and_the_nearest_key) {
  EXPECT_EQ(error_of("[broker]\n\"num.partition\" = 3\n"),
            "x.toml:2: unknown key \"num.partition\"; did you mean \"num.partitions\"?");
  EXPECT_EQ(error_of("\n[broker]\n\"num.partitions\" = 0\n"),
            "x.toml:3: num.partitions = 0: Value must be at least 1");
  EXPECT_EQ(error_of("[broker]\n\"shards\" = \"many\"\n"),
            "x.toml:2: shards = many: Not a number of type INT");
  EXPECT_EQ(error_of("[broker]\n\"durability\" = \"maybe\"\n"),
            "x.toml:2: durability = maybe: String must be one of: sync, os, memory");
  EXPECT_EQ(error_of("[broker]\n\"completely.unheard.of.thing\" = 1\n"),
            "x.toml:2: unknown key \"completely.unheard.of.thing\"");
  EXPECT_NE(error_of("[broker]\nlog.dirs = \"x\"\n").find("in quotes"), std::string::npos);
  EXPECT_NE(error_of("[broker]\n\"authorizer.class.name\" = \"x.Y\"\n").find("refused"), std::string::npos);
  EXPECT_NE(error_of("[broker]\n\"default.replication.factor\" = 3\n").find("one replica"),
            std::string::npos);
  EXPECT_NE(error_of("[[processor]]\nname = \"p\"\nlibary = \"x\"\n").find("did you mean \"library\""),
            std::string::npos);
  EXPECT_NE(error_of("[broker\n").find("x.toml:1"), std::string::npos);
  EXPECT_NE(error_of("listeners = \"x\"\n").find("[broker]"), std::string::npos);
}

TEST(config_load, hostile_nesting_is_an_error_and_not_a_crash) {
  EXPECT_NE(error_of("a = " + std::string(100'000, '[')), "");
  EXPECT_NE(error_of("a = " + std::string(100'000, '{')), "");
}

// The TOML library's own assertions, and what it does not bound: none of it may end the process.
TEST(config_load, a_file_that_is_no_toml_is_refused_with_its_line) {
  using namespace std::string_literals;
  for (const std::string& bad : {"[\x01"s,
                                 "[ \x7f]"s,
                                 "[a.\x01]"s,
                                 "[\f"s,
                                 "a\0=1"s,
                                 "\0"s,
                                 "[\0]"s,
                                 "a.\x02=1"s,
                                 "a={\x01"s,
                                 "a=[\x01"s,
                                 "a=\x01"s,
                                 "+=1"s,
                                 "a=\"\xff\xfe\""s,
                                 "[\xe2\x80\xa8]"s,
                                 "a=\"\\ud800\""s,
                                 "\"\"\"a\"\"\"=1"s,
                                 "a=1979-"s,
                                 "a=0x"s,
                                 "a=+"s,
                                 "["s,
                                 "[["s,
                                 "[[a]"s}) {
    EXPECT_TRUE(error_of("[broker]\n\n" + bad).starts_with("x.toml:3: ")) << testing::PrintToString(bad);
    EXPECT_TRUE(error_of("[broker]\n\n" + bad + "\n[broker]\n").starts_with("x.toml:3: "))
        << testing::PrintToString(bad);
  }
}

TEST(config_load, a_value_with_a_nul_is_refused) {
  EXPECT_TRUE(error_of("[broker]\n\"log.dirs\" = \"a\\u0000b\"\n").starts_with("x.toml:2: log.dirs: "));
  EXPECT_TRUE(error_of("[[processor]]\nname = \"a\\u0000\"\n").starts_with("x.toml:2: name: "));
}

TEST(config_load, depth_and_number_of_tables_are_bounded) {
  const auto repeated = [](std::string_view what, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) fmt::format_to(std::back_inserter(text), fmt::runtime(what), i);
    return text;
  };
  for (const std::string& bad : {
           repeated("a.", 50'000) + "a = 1",
           "[" + repeated("a.", 50'000) + "a]",
           "[[" + repeated("a.", 50'000) + "a]]",
           "a = " + repeated("[", 50'000),
           "a = " + repeated("{{a=", 50'000),
           "a = {" + repeated("a.", 50'000) + "a=1}",
           "a = [" + repeated("{{}},", 50'000) + "]",
       }) {
    EXPECT_TRUE(error_of("[broker]\n" + bad + "\n").starts_with("x.toml:2: ")) << bad.substr(0, 20);
  }
  EXPECT_EQ(error_of(repeated("[a{}]\n", 5000)),
            "x.toml:4097: more than 4096 tables (each dot in a key is one)");
  EXPECT_EQ(error_of(repeated("[[processor]]\n", 5000)),
            "x.toml:4096: more than 4096 tables (each dot in a key is one)");
  EXPECT_NE(error_of(repeated("a{}.b=1\n", 5000)).find("more than 4096"), std::string::npos);
  EXPECT_NE(error_of(repeated("[a{}.b]\n", 5000)).find("more than 4096"), std::string::npos);
}

TEST(config_load, the_command_line_wins_over_the_environment_which_wins_over_the_file) {
  config c;
  const std::array<const char*, 3> environment = {"MILLRACE_NUM_PARTITIONS=5", "MILLRACE_SHARDS=2",
                                                  "MILLRACE_PORT=tcp://x"};
  ASSERT_TRUE(load_assignment(c, "shards=3"));
  const auto unknown = load_environment(c, environment);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(*unknown, std::vector<std::string>{"MILLRACE_PORT"});
  ASSERT_TRUE(load_toml(c, "[broker]\n\"num.partitions\" = 1\n\"shards\" = 1\n", "x"));
  EXPECT_EQ(c.integer("num.partitions"), 5);
  EXPECT_EQ(c.integer("shards"), 3);
}

TEST(config_load, idle_kafka_keys_are_taken_and_remembered) {
  config c;
  ASSERT_TRUE(load_assignment(c, "num.network.threads=8"));
  EXPECT_EQ(c.idle_keys_given(), std::vector<std::string_view>{"num.network.threads"});
}

TEST(config_settings, a_listener_that_needs_tls_is_refused) {
  config c;
  ASSERT_TRUE(load_assignment(c, "listeners=SSL://:9093"));
  EXPECT_FALSE(make_settings(c));
}

TEST(config_settings, a_wildcard_listener_advertises_a_host_that_can_be_reached) {
  config c;
  ASSERT_TRUE(load_assignment(c, "listeners=PLAINTEXT://:9092"));
  const auto s = make_settings(c);
  ASSERT_TRUE(s);
  EXPECT_FALSE(s->listeners[0].advertised.is_wildcard());
  ASSERT_TRUE(load_assignment(c, "advertised.listeners=PLAINTEXT://0.0.0.0:9092"));
  EXPECT_FALSE(make_settings(c));
}

TEST(config_settings, broker_id_stands_in_for_node_id) {
  config c;
  ASSERT_TRUE(load_assignment(c, "broker.id=7"));
  EXPECT_EQ(make_settings(c)->node_id, 7);
  ASSERT_TRUE(load_assignment(c, "node.id=8"));
  EXPECT_FALSE(make_settings(c));
}

TEST(config_settings, exactly_one_data_directory) {
  config c;
  ASSERT_TRUE(load_assignment(c, "log.dirs=a,b"));
  EXPECT_FALSE(make_settings(c));
}

TEST(topic_settings, overrides_win_over_broker_values_which_win_over_defaults) {
  config c;
  EXPECT_EQ(make_topic_settings(c, {}).retention_ms, 604'800'000);
  ASSERT_TRUE(load_assignment(c, "log.retention.hours=1"));
  EXPECT_EQ(make_topic_settings(c, {}).retention_ms, 3'600'000);
  ASSERT_TRUE(load_assignment(c, "log.retention.minutes=1"));
  EXPECT_EQ(make_topic_settings(c, {}).retention_ms, 60'000);
  ASSERT_TRUE(load_assignment(c, "log.retention.ms=-1"));
  EXPECT_EQ(make_topic_settings(c, {}).retention_ms, -1);
  EXPECT_EQ(make_topic_settings(c, {{"retention.ms", "5"}}).retention_ms, 5);
  EXPECT_EQ(make_topic_settings(c, {{"durability", "os"}}).kept, durability::os);
}

TEST(topic_settings, bad_overrides_get_a_sentence) {
  EXPECT_EQ(check_topic_override("retention.mz", "1").error().code, errc::invalid_config);
  EXPECT_NE(check_topic_override("retention.mz", "1").error().message.find("retention.ms"),
            std::string::npos);
  EXPECT_FALSE(check_topic_override("segment.bytes", "14"));
  EXPECT_FALSE(check_topic_override("min.insync.replicas", "2"));
  EXPECT_FALSE(check_topic_override("cleanup.policy", "shred"));
  EXPECT_EQ(*check_topic_override("cleanup.policy", "compact,delete"), "compact,delete");
}

config_values after(const config_values& now, alter_op op, std::string_view key, std::string_view value) {
  const config_change change{std::string(key), op, std::string(value)};
  return altered(topic_keys(), now, {.changes = {change}}).value_or(config_values{{"refused", ""}});
}

TEST(alter, lists_grow_and_shrink_and_begin_as_their_default) {
  EXPECT_EQ(after({}, alter_op::append, "cleanup.policy", "compact"),
            (config_values{{"cleanup.policy", "delete,compact"}}));
  const config_values both{{"cleanup.policy", "delete,compact"}};
  EXPECT_EQ(after(both, alter_op::append, "cleanup.policy", "compact"), both);
  EXPECT_EQ(after(both, alter_op::subtract, "cleanup.policy", "delete"),
            (config_values{{"cleanup.policy", "compact"}}));
  EXPECT_EQ(after({}, alter_op::append, "retention.ms", "1"), (config_values{{"refused", ""}}));
}

TEST(alter, what_is_not_named_goes_only_if_everything_is_replaced) {
  const config_values now{{"retention.ms", "1"}, {"segment.ms", "2"}};
  const config_change change{"segment.ms", alter_op::set, "3"};
  EXPECT_EQ(*altered(topic_keys(), now, {.changes = {change}}),
            (config_values{{"retention.ms", "1"}, {"segment.ms", "3"}}));
  EXPECT_EQ(*altered(topic_keys(), now, {.changes = {change}, .replaces_all = true}),
            (config_values{{"segment.ms", "3"}}));
}

TEST(alter, the_form_of_a_change_is_checked) {
  const auto code_of = [](const std::vector<config_change>& changes) {
    const auto checked = check_form(changes);
    return checked ? errc::none : checked.error().code;
  };
  EXPECT_EQ(code_of({{"a", alter_op::set, "1"}, {"b", alter_op::remove, {}}}), errc::none);
  EXPECT_EQ(code_of({{"a", alter_op::set, "1"}, {"a", alter_op::remove, {}}}), errc::invalid_request);
  EXPECT_EQ(code_of({{"a", alter_op::append, {}}}), errc::invalid_request);
  EXPECT_EQ(code_of({{"", alter_op::set, "1"}}), errc::invalid_request);
  EXPECT_EQ(code_of({{"a", static_cast<alter_op>(4), "1"}}), errc::invalid_request);
}

TEST(dynamic, only_what_needs_no_restart_changes_at_run_time) {
  for (const std::string_view key :
       {"log.retention.ms", "message.max.bytes", "max.connections", "num.io.threads"})
    EXPECT_TRUE(may_change_at_run_time(key)) << key;
  for (const std::string_view key :
       {"node.id", "listeners", "log.dirs", "durability", "log.retention.hours", ""})
    EXPECT_FALSE(may_change_at_run_time(key)) << key;
}

TEST(dynamic, layers_go_before_what_was_given_at_the_start) {
  config c;
  ASSERT_TRUE(load_assignment(c, "message.max.bytes=1"));
  c.set_at_run_time({{"message.max.bytes", "2"}, {"max.connections", "9"}}, {{"message.max.bytes", "3"}});
  EXPECT_EQ(c.integer("message.max.bytes"), 3);
  EXPECT_EQ(c.integer("max.connections"), 9);
  ASSERT_EQ(c.all_given("message.max.bytes").size(), 3u);
  c.set_at_run_time({}, {});
  EXPECT_EQ(c.integer("message.max.bytes"), 1);
}

TEST(topic_settings, replicas_and_lags_are_checked) {
  EXPECT_TRUE(check_topic_override("leader.replication.throttled.replicas", "*"));
  EXPECT_TRUE(check_topic_override("leader.replication.throttled.replicas", "0:1, 12:3"));
  EXPECT_FALSE(check_topic_override("leader.replication.throttled.replicas", "0:1,x"));
  topic_overrides lags{{"min.compaction.lag.ms", "10"}, {"max.compaction.lag.ms", "5"}};
  EXPECT_FALSE(check_topic_overrides(lags));
}

TEST(command_line, arguments_are_read) {
  const std::array<const char*, 4> good = {"--config", "a.toml", "--set=shards=2", "--set"};
  EXPECT_FALSE(parse_command_line(good));
  const auto line = parse_command_line(std::span(good).first(3));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->config_file, "a.toml");
  EXPECT_EQ(line->assignments, std::vector<std::string>{"shards=2"});
  const std::array<const char*, 1> bad = {"--frobnicate"};
  EXPECT_FALSE(parse_command_line(bad));
}

TEST(nearest_name, far_names_are_not_suggested) {
  const std::array<std::string_view, 2> names = {"log.dirs", "shards"};
  EXPECT_EQ(nearest_name("shrads", names), "shards");
  EXPECT_EQ(nearest_name("zzzzzz", names), "");
  EXPECT_EQ(nearest_name(std::string(100'000, 'x'), names), "");
}

}  // namespace
}  // namespace millrace::broker
