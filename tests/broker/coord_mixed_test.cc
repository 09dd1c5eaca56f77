// Groups that have members of both protocols, and the way from one kind to the other and back.
#include <gtest/gtest.h>

#include "tests/broker/coord_consumer_client.h"

namespace millrace::broker::coord::testing {
namespace {

class CoordMixed : public ::testing::Test {
 protected:
  explicit CoordMixed(const group_config& config = {}) : world(config) { world.topics.put("t", 4); }

  // A classic group of one that has everything.
  void stable_classic() {
    const auto joined = join(world, {.protocols = protocols({}), .version = 3});
    world.pass(0);
    classic = joined->member_id;
    generation = joined->generation_id;
    EXPECT_EQ(code_of(sync(world, "g", classic, generation,
                           {{classic, assignment_bytes(world, {{"t", {0, 1, 2, 3}}})}})
                          ->error_code),
              errc::none);
  }
  std::vector<std::pair<std::string, std::string>> protocols(const owned_list& owned) {
    return {{"range", subscription_bytes({"t"}, owned)}};
  }
  mailbox<protocol::join_group_response> rejoin(const owned_list& owned) {
    return join(world, {.member_id = classic, .protocols = protocols(owned)});
  }
  std::string synced(int32_t generation) {
    const auto answer = sync(world, "g", classic, generation);
    if (answer->error_code != 0) return "error " + std::to_string(answer->error_code);
    std::string out;
    const auto set = parse_assignment(answer->assignment, world.topics);
    for (const auto& [topic, partitions] : *set) {
      for (const int32_t p : partitions) out += std::to_string(p);
    }
    return out;
  }
  errc beat_of_classic(int32_t generation) {
    return code_of(heartbeat(world, "g", classic, generation)->error_code);
  }
  const consumer_group* consumers() { return world.machine().consumer_group_named("g"); }
  const classic_group* classics() { return world.machine().group_named("g"); }

  coord_world world;
  std::string classic;
  int32_t generation = 0;
};

TEST_F(CoordMixed, AConsumerMemberUpgradesTheGroupWhileItWorks) {
  stable_classic();
  commit(world, "g", classic, 1, 0, 5);
  EXPECT_EQ(code_of(beat(world, {.member_id = "k", .epoch = 2})->error_code), errc::group_id_not_found);

  const auto joined = enter(world, "k");
  ASSERT_EQ(code_of(joined->error_code), errc::none);
  EXPECT_EQ(assigned(world, *joined), "");
  ASSERT_NE(consumers(), nullptr);
  EXPECT_EQ(position(world, "g", 0), 5);

  // The classic member gives up half, by way of its own protocol.
  EXPECT_EQ(beat_of_classic(1), errc::rebalance_in_progress);
  const auto first = rejoin({{"t", {0, 1, 2, 3}}});
  EXPECT_EQ(first->generation_id, 1);
  EXPECT_EQ(first->leader, "");
  EXPECT_EQ(synced(1), "01");
  EXPECT_EQ(beat_of_classic(1), errc::rebalance_in_progress);
  EXPECT_EQ(assigned(world, *beat(world, {.member_id = "k", .epoch = joined->member_epoch})), "none");
  const auto second = rejoin({{"t", {0, 1}}});
  EXPECT_EQ(second->generation_id, joined->member_epoch);
  EXPECT_EQ(synced(second->generation_id), "01");
  EXPECT_EQ(beat_of_classic(second->generation_id), errc::none);
  EXPECT_EQ(assigned(world, *beat(world, {.member_id = "k", .epoch = joined->member_epoch})), "t: 2 3");
  EXPECT_EQ(consumers()->state(), consumer_group_state::stable);

  EXPECT_EQ(commit(world, "g", classic, second->generation_id, 0, 6)->at(0), errc::none);
  EXPECT_EQ(commit(world, "g", classic, second->generation_id + 1, 0, 7)->at(0), errc::illegal_generation);
  EXPECT_EQ(synced(second->generation_id + 1), "error 22");
}

TEST_F(CoordMixed, TheLastConsumerMemberTakesTheProtocolWithIt) {
  stable_classic();
  const int32_t epoch = enter(world, "k")->member_epoch;
  rejoin({});
  synced(epoch);
  commit(world, "g", classic, epoch, 0, 5);
  beat(world, {.member_id = "k", .epoch = -1});
  ASSERT_NE(classics(), nullptr);
  EXPECT_EQ(consumers(), nullptr);
  EXPECT_EQ(classics()->state(), group_state::preparing_rebalance);
  EXPECT_EQ(beat_of_classic(epoch), errc::rebalance_in_progress);
  const auto again = rejoin({});
  EXPECT_EQ(again->leader, classic);
  EXPECT_GT(again->generation_id, epoch);
  EXPECT_EQ(position(world, "g", 0), 5);
  const auto copy = world.replayed();
  EXPECT_EQ(copy->consumer_group_named("g"), nullptr);
  EXPECT_EQ(copy->group_named("g")->committed().members.size(), 1u);
}

TEST_F(CoordMixed, AClassicMemberJoinsAConsumerGroup) {
  const int32_t epoch = enter(world, "k")->member_epoch;
  const auto first = join(world, {.protocols = protocols({})});
  EXPECT_EQ(code_of(first->error_code), errc::member_id_required);
  classic = first->member_id;
  const auto second = rejoin({});
  ASSERT_EQ(code_of(second->error_code), errc::none);
  EXPECT_EQ(synced(second->generation_id), "");
  EXPECT_EQ(beat_of_classic(second->generation_id), errc::none) << "what it is to have is not free yet";
  beat(world, {.member_id = "k", .epoch = epoch});
  beat(world, {.member_id = "k", .epoch = epoch, .owned = owned_list{{"t", {0, 1}}}});
  EXPECT_EQ(beat_of_classic(second->generation_id), errc::rebalance_in_progress);
  const auto third = rejoin({});
  EXPECT_EQ(synced(third->generation_id), "23");
  EXPECT_EQ(code_of(leave(world, "g", classic)->members.at(0).error_code), errc::none);
  EXPECT_EQ(consumers()->members().size(), 1u);
}

TEST_F(CoordMixed, WhatAConsumerGroupCannotUseIsRefused) {
  enter(world, "k");
  EXPECT_EQ(code_of(join(world, {.protocol_type = "connect", .version = 3})->error_code),
            errc::inconsistent_group_protocol);
  EXPECT_EQ(code_of(join(world, {.protocols = {{"range", "?"}}, .version = 3})->error_code),
            errc::inconsistent_group_protocol);
  EXPECT_EQ(code_of(join(world, {.protocols = {}, .version = 3})->error_code),
            errc::inconsistent_group_protocol);
  EXPECT_EQ(code_of(join(world, {.protocols = protocols({}), .version = 3})->error_code), errc::none);
  EXPECT_EQ(
      code_of(join(world, {.protocols = {{"sticky", subscription_bytes({"t"})}}, .version = 3})->error_code),
      errc::inconsistent_group_protocol);
  EXPECT_EQ(code_of(heartbeat(world, "g", "k", 1)->error_code), errc::unknown_member_id)
      << "it speaks the other protocol";
}

TEST_F(CoordMixed, GroupsThatAreNotOfConsumersStayClassic) {
  const auto upgraded = [&] { return code_of(enter(world, "k")->error_code); };
  join(world, {.protocols = {{"range", "foreign bytes"}}, .version = 3});
  world.pass(0);
  EXPECT_EQ(upgraded(), errc::group_id_not_found);
  EXPECT_EQ(classics()->members().size(), 1u);
}

TEST_F(CoordMixed, WhoDoesNotJoinAgainOrSyncInTimeIsOut) {
  const int32_t epoch = enter(world, "k")->member_epoch;
  classic = join(world, {.protocols = protocols({}), .rebalance_timeout_ms = 5'000, .version = 3})->member_id;
  const auto tick = [&] { beat(world, {.member_id = "k", .epoch = epoch}); };
  world.pass(4'900);
  tick();
  EXPECT_EQ(consumers()->members().size(), 2u);
  world.pass(200);
  EXPECT_EQ(consumers()->members().size(), 1u) << "it never asked for its assignment";
}

TEST_F(CoordMixed, RebalancesThatAreUnderWayEndWithTheUpgrade) {
  stable_classic();
  const auto waiting = join(world, {.protocols = protocols({}), .version = 3});
  EXPECT_FALSE(waiting.has_answer());
  enter(world, "k");
  ASSERT_TRUE(waiting.has_answer());
  EXPECT_EQ(code_of(waiting->error_code), errc::rebalance_in_progress);
  EXPECT_EQ(consumers()->members().size(), 3u);
}

class CoordNoUpgrade : public CoordMixed {
 protected:
  static group_config fixed() {
    group_config config;
    config.migration = {.may_upgrade = false, .may_downgrade = false};
    return config;
  }
  CoordNoUpgrade() : CoordMixed(fixed()) {}
};

TEST_F(CoordNoUpgrade, ThePolicyForbidsMigration) {
  stable_classic();
  EXPECT_EQ(code_of(enter(world, "k")->error_code), errc::group_id_not_found);
  leave(world, "g", classic);
  const int32_t epoch = enter(world, "k")->member_epoch;
  EXPECT_GT(epoch, 0) << "an empty group changes its kind under any policy";
  join(world, {.protocols = protocols({}), .version = 3});
  beat(world, {.member_id = "k", .epoch = -1});
  EXPECT_NE(consumers(), nullptr);
}

TEST_F(CoordMixed, AnEmptyConsumerGroupBecomesClassicForAClassicMember) {
  enter(world, "k");
  commit(world, {.group = "g",
                 .member_id = "k",
                 .generation = 1,
                 .items = {{.topic = "t", .offset = 3}},
                 .version = 9});
  beat(world, {.member_id = "k", .epoch = -1});
  stable_classic();
  EXPECT_EQ(consumers(), nullptr);
  EXPECT_EQ(position(world, "g", 0), 3);
}

}  // namespace
}  // namespace millrace::broker::coord::testing
