// The server over its sockets: order, pipelining, limits, long polls, sessions, restart. Each test runs with
// one and with three shards, over io_uring (where it is allowed) and epoll.
#include <chrono>
#include <gtest/gtest.h>
#include <random>
#include <thread>

#include "protocol/generated/api_versions_request.h"
#include "protocol/generated/api_versions_response.h"
#include "protocol/generated/delete_topics_request.h"
#include "protocol/generated/delete_topics_response.h"
#include "protocol/generated/init_producer_id_request.h"
#include "protocol/generated/init_producer_id_response.h"
#include "protocol/generated/list_offsets_request.h"
#include "protocol/generated/list_offsets_response.h"
#include "tests/broker/test_broker.h"
#include "tests/broker/wire_client.h"

namespace millrace::broker {
namespace {

using namespace protocol;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

bool has_ipv6() {
  const int fd = ::socket(AF_INET6, SOCK_STREAM, 0);
  const sockaddr_in6 address{.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
  const bool has = fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (fd >= 0) ::close(fd);
  return has;
}

class server : public testing::TestWithParam<machine> {
 protected:
  void SetUp() override {
    if (GetParam().io == runtime::backend_choice::uring && !runtime::why_not_uring().empty()) {
      GTEST_SKIP() << runtime::why_not_uring();
    }
  }
  test_broker start(const std::vector<std::string>& assignments = {}) {
    return test_broker(GetParam(), directory_.path(), assignments);
  }
  temporary_directory directory_;
};

int64_t base_offset_of(const produce_response& r) {
  return r.responses.at(0).partition_responses.at(0).base_offset;
}

int16_t error_of(const produce_response& r) {
  return r.responses.at(0).partition_responses.at(0).error_code;
}

size_t bytes_of(const fetch_response& r) {
  size_t bytes = 0;
  for (const auto& t : r.responses) {
    for (const auto& p : t.partitions) bytes += p.records ? p.records->size() : 0;
  }
  return bytes;
}

TEST_P(server, produces_and_fetches_the_same_bytes) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 1);
  const slice batch = make_batch(3, "value");
  const auto produced = client.ask<produce_response>(produce_to("t", 0, batch), 9);
  ASSERT_TRUE(produced);
  EXPECT_EQ(error_of(*produced), 0);
  const auto fetched = client.ask<fetch_response>(fetch_from("t", 1, 0, 1000), 12);
  ASSERT_TRUE(fetched);
  ASSERT_EQ(bytes_of(*fetched), batch.size());
  const slice stored = fetched->responses[0].partitions[0].records->flatten();
  EXPECT_TRUE(std::ranges::equal(stored.view().subspan(16), batch.view().subspan(16)));
}

TEST_P(server, answers_leave_in_the_order_of_the_requests) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 6);
  metadata_request all;
  all.topics = std::nullopt;
  for (int32_t i = 0; i < 60; ++i) {
    if (i % 3 == 2) {
      client.send(all, 9, i);
    } else {
      client.send(produce_to("t", i % 6, make_batch(1, "x")), 9, i);
    }
  }
  for (int32_t i = 0; i < 60; ++i) {
    if (i % 3 == 2) {
      ASSERT_TRUE(client.receive<metadata_response>(9, i));
    } else {
      const auto answer = client.receive<produce_response>(9, i);
      ASSERT_TRUE(answer);
      EXPECT_EQ(error_of(*answer), 0);
    }
  }
}

TEST_P(server, pipelined_batches_of_an_idempotent_producer_stay_in_sequence) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 3);
  const auto id = client.ask<init_producer_id_response>(init_producer_id_request{}, 4);
  ASSERT_TRUE(id);
  for (int32_t i = 0; i < 200; ++i) {
    const batch_options options{.producer_id = id->producer_id, .producer_epoch = 0, .base_sequence = i * 2};
    client.send(produce_to("t", 1, make_batch(2, "x", options)), 9, i);
  }
  for (int32_t i = 0; i < 200; ++i) {
    const auto answer = client.receive<produce_response>(9, i);
    ASSERT_TRUE(answer);
    ASSERT_EQ(error_of(*answer), 0) << i;
    EXPECT_EQ(base_offset_of(*answer), i * 2);
  }
}

TEST_P(server, acks_0_has_no_answer) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 1);
  client.send(produce_to("t", 0, make_batch(1, "x"), 0), 9, 1);
  const auto answer = client.ask<produce_response>(produce_to("t", 0, make_batch(1, "y")), 9);
  ASSERT_TRUE(answer);
  EXPECT_EQ(base_offset_of(*answer), 1);
  client.send(produce_to("unknown", 0, make_batch(1, "x"), 0), 9, 2);
  EXPECT_TRUE(client.is_closed());
}

TEST_P(server, what_is_not_understood_closes_the_connection) {
  test_broker running = start();
  const auto closes = [&](std::vector<uint8_t> bytes) {
    wire_client client(running.port());
    client.send_raw(std::as_bytes(std::span(bytes)));
    return client.is_closed();
  };
  EXPECT_TRUE(closes({0xff, 0xff, 0xff, 0xff}));                                 // negative length
  EXPECT_TRUE(closes({0x7f, 0xff, 0xff, 0xff}));                                 // too long
  EXPECT_TRUE(closes({0, 0, 0, 2, 0, 3}));                                       // too short
  EXPECT_TRUE(closes({0, 0, 0, 10, 0x7f, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff}));     // unknown key
  EXPECT_TRUE(closes({0, 0, 0, 10, 0, 3, 0x00, 0x63, 0, 0, 0, 1, 0xff, 0xff}));  // Metadata v99
  EXPECT_TRUE(closes({0, 0, 0, 10, 0, 0, 0x00, 0x02, 0, 0, 0, 1, 0xff, 0xff}));  // Produce v2
  EXPECT_TRUE(closes({'G', 'E', 'T', ' ', '/', '\r', '\n'}));
}

TEST_P(server, an_unknown_version_of_api_versions_is_answered_in_v0) {
  test_broker running = start();
  wire_client client(running.port());
  const uint8_t request[] = {0, 0, 0, 14, 0, 18, 0, 99, 0, 0, 0, 7, 0xff, 0xff, 1, 2, 3, 4};
  client.send_raw(std::as_bytes(std::span(request)));
  const auto answer = client.receive<api_versions_response>(0, 7);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->error_code, 35);
  ASSERT_EQ(answer->api_keys.size(), 1u);
  EXPECT_EQ(answer->api_keys[0].api_key, 18);
}

TEST_P(server, garbage_connections_do_not_disturb_a_client) {
  const auto seed = static_cast<uint32_t>(steady::now().time_since_epoch().count());
  std::printf("seed %u\n", seed);
  std::mt19937 random(seed);
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 1);
  for (int i = 0; i < 300; ++i) {
    wire_client garbage(running.port());
    std::vector<uint8_t> bytes(random() % 200);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
    if (bytes.size() > 8 && i % 2 == 0) {
      // A frame that looks right, up to a point.
      bytes[0] = bytes[1] = bytes[2] = 0;
      bytes[3] = static_cast<uint8_t>(bytes.size() - 4);
      bytes[4] = 0;
      bytes[5] = static_cast<uint8_t>(random() % 76);
      bytes[6] = 0;
      bytes[7] = static_cast<uint8_t>(random() % 14);
    }
    garbage.send_raw(std::as_bytes(std::span(bytes)));
    if (i % 10 == 0) {
      const auto answer = client.ask<produce_response>(produce_to("t", 0, make_batch(1, "x")), 9);
      ASSERT_TRUE(answer);
      EXPECT_EQ(error_of(*answer), 0);
    }
  }
}

TEST_P(server, a_request_above_the_limit_closes_and_one_below_does_not) {
  test_broker running = start({"socket.request.max.bytes=100000"});
  wire_client client(running.port());
  create_topic(client, "t", 1);
  ASSERT_TRUE(client.ask<produce_response>(produce_to("t", 0, make_batch(1, std::string(90'000, 'x'))), 9));
  client.send(produce_to("t", 0, make_batch(1, std::string(110'000, 'x'))), 9, 1);
  EXPECT_TRUE(client.is_closed());
}

TEST_P(server, a_stalled_request_is_given_up) {
  test_broker running = start({"connections.stall.timeout.ms=200"});
  wire_client client(running.port());
  const uint8_t begun[] = {0, 0, 1, 0, 0, 18};
  client.send_raw(std::as_bytes(std::span(begun)));
  EXPECT_TRUE(client.is_closed());
}

TEST_P(server, more_connections_than_allowed_are_closed) {
  test_broker running = start({"max.connections=2"});
  wire_client first(running.port());
  wire_client second(running.port());
  ASSERT_TRUE(first.ask<api_versions_response>(api_versions_request{}, 0));
  ASSERT_TRUE(second.ask<api_versions_response>(api_versions_request{}, 0));
  wire_client third(running.port());
  EXPECT_TRUE(third.is_closed());
}

TEST_P(server, a_long_poll_is_woken_by_a_produce_on_any_shard) {
  test_broker running = start();
  wire_client consumer(running.port());
  wire_client producer(running.port());
  create_topic(producer, "t", 6);
  for (int32_t p = 0; p < 6; ++p) {
    consumer.send(fetch_from("t", 6, p == 0 ? 0 : 0, 20'000), 12, p);
    EXPECT_FALSE(consumer.has_input(p == 0 ? 100 : 0) && p == 0);
    const auto began = steady::now();
    ASSERT_TRUE(producer.ask<produce_response>(produce_to("t", p, make_batch(1, "x")), 9));
    const auto answer = consumer.receive<fetch_response>(12, p);
    ASSERT_TRUE(answer);
    EXPECT_GT(bytes_of(*answer), 0u);
    EXPECT_LT(steady::now() - began, std::chrono::seconds(5));
  }
}

TEST_P(server, a_long_poll_ends_when_its_time_is_up) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 4);
  const auto began = steady::now();
  const auto answer = client.ask<fetch_response>(fetch_from("t", 4, 0, 300), 12);
  ASSERT_TRUE(answer);
  EXPECT_EQ(bytes_of(*answer), 0u);
  EXPECT_GE(steady::now() - began, milliseconds(290));
  EXPECT_EQ(answer->responses.at(0).partitions.size(), 4u);
}

TEST_P(server, deleting_a_topic_wakes_who_waits_for_it) {
  test_broker running = start();
  wire_client consumer(running.port());
  wire_client admin(running.port());
  create_topic(admin, "t", 3);
  consumer.send(fetch_from("t", 3, 0, 20'000), 12, 1);
  EXPECT_FALSE(consumer.has_input(100));
  delete_topics_request doomed;
  doomed.topic_names = {"t"};
  ASSERT_TRUE(admin.ask<delete_topics_response>(doomed, 4));
  const auto answer = consumer.receive<fetch_response>(12, 1);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->responses.at(0).partitions.at(0).error_code, 3);
}

TEST_P(server, a_fetch_session_tells_only_what_is_new) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 3);
  fetch_request full = fetch_from("t", 3, 0, 0);
  full.session_epoch = 0;
  const auto opened = client.ask<fetch_response>(full, 12);
  ASSERT_TRUE(opened);
  ASSERT_GT(opened->session_id, 0);
  EXPECT_EQ(opened->responses.at(0).partitions.size(), 3u);

  ASSERT_TRUE(client.ask<produce_response>(produce_to("t", 1, make_batch(1, "x")), 9));
  fetch_request next;
  next.max_wait_ms = 1000;
  next.min_bytes = 1;
  next.max_bytes = 1 << 20;
  next.session_id = opened->session_id;
  next.session_epoch = 1;
  const auto news = client.ask<fetch_response>(next, 12);
  ASSERT_TRUE(news);
  ASSERT_EQ(news->responses.size(), 1u);
  ASSERT_EQ(news->responses[0].partitions.size(), 1u);
  EXPECT_EQ(news->responses[0].partitions[0].partition_index, 1);

  const auto repeated = client.ask<fetch_response>(next, 12);  // epoch 1 is spent
  ASSERT_TRUE(repeated);
  EXPECT_EQ(repeated->error_code, 71);
  next.session_id += 1;
  const auto unknown = client.ask<fetch_response>(next, 12);
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->error_code, 70);
}

TEST_P(server, the_first_batch_is_given_whole_and_the_rest_while_there_is_room) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 3);
  const slice batch = make_batch(1, std::string(10'000, 'x'));
  for (int32_t p = 0; p < 3; ++p) {
    ASSERT_TRUE(client.ask<produce_response>(produce_to("t", p, batch), 9));
  }
  fetch_request small = fetch_from("t", 3, 0, 0);
  small.max_bytes = 100;
  const auto one = client.ask<fetch_response>(small, 12);
  ASSERT_TRUE(one);
  EXPECT_EQ(bytes_of(*one), batch.size());
  small.max_bytes = 25'000;
  const auto two = client.ask<fetch_response>(small, 12);
  ASSERT_TRUE(two);
  EXPECT_EQ(bytes_of(*two), 2 * batch.size());
}

TEST_P(server, an_offset_beyond_the_end_is_out_of_range) {
  test_broker running = start();
  wire_client client(running.port());
  create_topic(client, "t", 1);
  const auto answer = client.ask<fetch_response>(fetch_from("t", 1, 5, 1000), 12);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->responses.at(0).partitions.at(0).error_code, 1);
}

TEST_P(server, records_topics_and_ids_survive_a_restart) {
  uuid id;
  {
    test_broker running = start();
    wire_client client(running.port());
    id = create_topic(client, "t", 5);
    for (int32_t p = 0; p < 5; ++p) {
      ASSERT_TRUE(client.ask<produce_response>(produce_to("t", p, make_batch(10, "x")), 9));
    }
  }
  // With another number of shards, too.
  machine other = GetParam();
  other.shards = other.shards == 1 ? 2 : 1;
  test_broker running(other, directory_.path());
  wire_client client(running.port());
  metadata_request request;
  request.topics.emplace();
  request.topics->emplace_back().name = "t";
  const auto metadata = client.ask<metadata_response>(request, 12);
  ASSERT_TRUE(metadata);
  EXPECT_EQ(metadata->topics.at(0).topic_id, id);
  EXPECT_EQ(metadata->topics.at(0).partitions.size(), 5u);
  list_offsets_request ends;
  auto& t = ends.topics.emplace_back();
  t.name = "t";
  for (int32_t p = 0; p < 5; ++p) {
    auto& asked = t.partitions.emplace_back();
    asked.partition_index = p;
    asked.timestamp = -1;
  }
  const auto found = client.ask<list_offsets_response>(ends, 5);
  ASSERT_TRUE(found);
  for (const auto& p : found->topics.at(0).partitions) EXPECT_EQ(p.offset, 10);
}

TEST_P(server, a_thousand_topics_are_made_and_listed) {
  test_broker running = start();
  wire_client client(running.port());
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("topic-" + std::to_string(i));
  create_topics_request request;
  for (const std::string& name : names) {
    auto& t = request.topics.emplace_back();
    t.name = name;
    t.num_partitions = 1;
    t.replication_factor = 1;
  }
  const auto created = client.ask<create_topics_response>(request, 7);
  ASSERT_TRUE(created);
  for (const auto& t : created->topics) ASSERT_EQ(t.error_code, 0);
  metadata_request all;
  all.topics = std::nullopt;
  const auto listed = client.ask<metadata_response>(all, 9);
  ASSERT_TRUE(listed);
  EXPECT_EQ(listed->topics.size(), 1000u);
}

TEST_P(server, metadata_creates_topics_only_when_it_may) {
  test_broker running = start();
  wire_client client(running.port());
  metadata_request request;
  request.topics.emplace();
  for (const char* name : {"made", "bad name", ".."}) request.topics->emplace_back().name = name;
  request.allow_auto_topic_creation = false;
  const auto refused = client.ask<metadata_response>(request, 9);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->topics.at(0).error_code, 3);
  request.allow_auto_topic_creation = true;
  const auto made = client.ask<metadata_response>(request, 9);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->topics.at(0).error_code, 0);
  EXPECT_EQ(made->topics.at(1).error_code, 17);
  EXPECT_EQ(made->topics.at(2).error_code, 17);
}

TEST_P(server, localhost_is_both_loopback_addresses) {
  test_broker running = start({"listeners=PLAINTEXT://localhost:0"});
  wire_client over_ipv4(running.port());
  create_topic(over_ipv4, "t", 1);
  if (!has_ipv6()) return;
  wire_client over_ipv6(running.port(), true);
  EXPECT_TRUE(over_ipv6.ask<produce_response>(produce_to("t", 0, make_batch(1, "v")), 9));
}

TEST_P(server, stopping_ends_long_polls_and_idle_connections) {
  test_broker running = start();
  wire_client waiting(running.port());
  wire_client idle(running.port());
  create_topic(idle, "t", 1);
  waiting.send(fetch_from("t", 1, 0, 60'000), 12, 1);
  EXPECT_FALSE(waiting.has_input(100));
  const auto began = steady::now();
  running.stop();
  EXPECT_LT(steady::now() - began, std::chrono::seconds(8));
  EXPECT_TRUE(waiting.receive<fetch_response>(12, 1));
  EXPECT_TRUE(idle.is_closed());
}

INSTANTIATE_TEST_SUITE_P(
    machines, server,
    testing::Values(machine{1, runtime::backend_choice::uring}, machine{3, runtime::backend_choice::uring},
                    machine{1, runtime::backend_choice::epoll}, machine{3, runtime::backend_choice::epoll}),
    [](const auto& info) {
      return std::string(info.param.io == runtime::backend_choice::uring ? "uring" : "epoll") +
             std::to_string(info.param.shards);
    });

}  // namespace
}  // namespace millrace::broker
