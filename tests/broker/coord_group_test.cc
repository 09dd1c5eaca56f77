// Classic groups, clause by clause.
#include <gtest/gtest.h>

#include "tests/broker/coord_client.h"

namespace millrace::broker::coord::testing {
namespace {

// A dynamic member on its way through the handshake; its JoinGroup may still be parked afterwards.
struct joined {
  std::string member_id;
  mailbox<protocol::join_group_response> join;
};

joined join_with_handshake(coord_world& world, join_options o = {}) {
  const auto first = join(world, o);
  EXPECT_EQ(code_of(first->error_code), errc::member_id_required);
  o.member_id = first->member_id;
  return {o.member_id, join(world, o)};
}

// A stable group of one.
std::string stable_member(coord_world& world, join_options o = {}) {
  const auto m = join_with_handshake(world, o);
  world.pass(0);
  EXPECT_EQ(code_of(m.join->error_code), errc::none);
  const auto synced = sync(world, o.group, m.member_id, m.join->generation_id, {{m.member_id, "all"}});
  EXPECT_EQ(code_of(synced->error_code), errc::none);
  return m.member_id;
}

const classic_group& group(coord_world& world) {
  return *world.machine().group_named("g");
}

TEST(CoordGroup, FirstMemberGetsAnIdThenLeadsAGenerationOfOne) {
  coord_world world;
  const auto m = join_with_handshake(world, {.client_id = "app"});
  EXPECT_TRUE(m.member_id.starts_with("app-"));
  EXPECT_FALSE(m.join.has_answer());
  world.pass(0);
  EXPECT_EQ(m.join->generation_id, 1);
  EXPECT_EQ(m.join->leader, m.member_id);
  EXPECT_EQ(m.join->protocol_name, "range");
  ASSERT_EQ(m.join->members.size(), 1u);
  EXPECT_EQ(m.join->members[0].metadata, bytes_from("topics"));

  const auto synced = sync(world, "g", m.member_id, 1, {{m.member_id, "p0 p1"}, {"stranger", "p2"}});
  EXPECT_EQ(synced->assignment, bytes_from("p0 p1"));
  EXPECT_EQ(group(world).state(), group_state::stable);
  EXPECT_EQ(code_of(heartbeat(world, "g", m.member_id, 1)->error_code), errc::none);
  EXPECT_EQ(code_of(heartbeat(world, "g", m.member_id, 2)->error_code), errc::illegal_generation);
  EXPECT_EQ(code_of(heartbeat(world, "g", "stranger", 1)->error_code), errc::unknown_member_id);
}

TEST(CoordGroup, OldClientsJoinWithoutTheHandshake) {
  coord_world world;
  const auto m = join(world, {.version = 2});
  world.pass(0);
  EXPECT_EQ(code_of(m->error_code), errc::none);
  EXPECT_EQ(m->generation_id, 1);
}

TEST(CoordGroup, ASecondMemberMakesTheFirstComeBack) {
  coord_world world;
  const std::string first = stable_member(world);
  const auto second = join_with_handshake(world);
  EXPECT_FALSE(second.join.has_answer());
  EXPECT_EQ(code_of(heartbeat(world, "g", first, 1)->error_code), errc::rebalance_in_progress);
  EXPECT_EQ(code_of(sync(world, "g", first, 1)->error_code), errc::rebalance_in_progress);

  const auto again = join(world, {.member_id = first});
  EXPECT_EQ(again->generation_id, 2);
  EXPECT_EQ(again->members.size(), 2u);
  EXPECT_EQ(second.join->leader, first);
  EXPECT_TRUE(second.join->members.empty());

  const auto follower = sync(world, "g", second.member_id, 2);
  EXPECT_FALSE(follower.has_answer());
  EXPECT_EQ(commit(world, "g", first, 2, 0, 7)->at(0), errc::rebalance_in_progress);
  const auto leader = sync(world, "g", first, 2, {{first, "p0"}, {second.member_id, "p1"}});
  EXPECT_EQ(leader->assignment, bytes_from("p0"));
  EXPECT_EQ(follower->assignment, bytes_from("p1"));
}

TEST(CoordGroup, WhoDoesNotComeBackInTimeIsDropped) {
  coord_world world;
  const std::string first =
      stable_member(world, {.session_timeout_ms = 60'000, .rebalance_timeout_ms = 5'000});
  const auto second = join_with_handshake(world, {.rebalance_timeout_ms = 5'000});
  world.pass(4'999);
  EXPECT_FALSE(second.join.has_answer());
  world.pass(1);
  EXPECT_EQ(second.join->generation_id, 2);
  EXPECT_EQ(second.join->leader, second.member_id);
  EXPECT_EQ(code_of(heartbeat(world, "g", first, 1)->error_code), errc::unknown_member_id);
}

TEST(CoordGroup, ASilentMemberIsDroppedWhenItsSessionEnds) {
  coord_world world;
  const std::string member = stable_member(world, {.session_timeout_ms = 6'000});
  world.pass(5'000);
  EXPECT_EQ(code_of(heartbeat(world, "g", member, 1)->error_code), errc::none);
  world.pass(5'999);
  EXPECT_EQ(group(world).state(), group_state::stable);
  world.pass(1);
  EXPECT_EQ(group(world).state(), group_state::empty);
  EXPECT_EQ(group(world).generation(), 2);
  EXPECT_TRUE(group(world).committed().members.empty());
}

TEST(CoordGroup, ACommitCountsAsASignOfLife) {
  coord_world world;
  const std::string member = stable_member(world, {.session_timeout_ms = 6'000});
  world.pass(5'000);
  EXPECT_EQ(commit(world, "g", member, 1, 0, 1)->at(0), errc::none);
  world.pass(5'000);
  EXPECT_EQ(group(world).state(), group_state::stable);
}

TEST(CoordGroup, AMemberThatWaitsDoesNotExpire) {
  coord_world world;
  const std::string first =
      stable_member(world, {.session_timeout_ms = 60'000, .rebalance_timeout_ms = 40'000});
  const std::string second = [&] {
    const auto m = join_with_handshake(world, {.session_timeout_ms = 6'000, .rebalance_timeout_ms = 40'000});
    const auto leader =
        join(world, {.member_id = first, .session_timeout_ms = 60'000, .rebalance_timeout_ms = 40'000});
    sync(world, "g", first, 2);
    sync(world, "g", m.member_id, 2);
    return m.member_id;
  }();
  // A third comes; the second is back at once and waits 30 s for the first.
  const auto third = join_with_handshake(world, {.rebalance_timeout_ms = 40'000});
  const auto waiting =
      join(world, {.member_id = second, .session_timeout_ms = 6'000, .rebalance_timeout_ms = 40'000});
  world.pass(30'000);
  EXPECT_FALSE(waiting.has_answer());
  join(world, {.member_id = first, .session_timeout_ms = 60'000, .rebalance_timeout_ms = 40'000});
  EXPECT_EQ(code_of(waiting->error_code), errc::none);
  EXPECT_EQ(waiting->generation_id, 3);
}

TEST(CoordGroup, AnIdGivenOutAndNeverUsedHoldsTheRebalanceOnlyForItsSession) {
  coord_world world;
  const std::string first = stable_member(world, {.session_timeout_ms = 60'000});
  join(world, {.session_timeout_ms = 6'000});  // asks for an id and is never seen again
  const auto again = join(world, {.member_id = first, .session_timeout_ms = 60'000});
  EXPECT_FALSE(again.has_answer());
  world.pass(6'000);
  EXPECT_EQ(again->generation_id, 2);
}

TEST(CoordGroup, MembersThatNeverSyncAreRemoved) {
  coord_world world;
  const auto m = join_with_handshake(world, {.session_timeout_ms = 60'000, .rebalance_timeout_ms = 5'000});
  world.pass(0);
  EXPECT_EQ(group(world).state(), group_state::completing_rebalance);
  world.pass(5'000);
  EXPECT_EQ(group(world).state(), group_state::empty);
}

TEST(CoordGroup, LeavingStartsARebalanceAtOnce) {
  coord_world world;
  const std::string first = stable_member(world);
  const auto second = join_with_handshake(world);
  join(world, {.member_id = first});
  sync(world, "g", first, 2);
  sync(world, "g", second.member_id, 2);
  const auto left = leave(world, "g", first);
  EXPECT_EQ(code_of(left->members[0].error_code), errc::none);
  EXPECT_EQ(left->members[0].group_instance_id, std::nullopt);
  EXPECT_EQ(code_of(leave(world, "nobody", first)->members[0].error_code), errc::unknown_member_id);
  EXPECT_EQ(code_of(leave(world, "g", first)->members[0].error_code), errc::unknown_member_id);
  EXPECT_EQ(code_of(heartbeat(world, "g", second.member_id, 2)->error_code), errc::rebalance_in_progress);
  const auto again = join(world, {.member_id = second.member_id});
  EXPECT_EQ(again->leader, second.member_id);
  EXPECT_EQ(again->generation_id, 3);
}

TEST(CoordGroup, ProtocolsMustAgreeAndTheMostWantedWins) {
  coord_world world;
  join_options both{.protocols = {{"range", "a"}, {"sticky", "b"}}};
  const std::string first = stable_member(world, both);
  EXPECT_EQ(code_of(join(world, {.protocols = {{"roundrobin", "x"}}})->error_code),
            errc::inconsistent_group_protocol);
  EXPECT_EQ(code_of(join(world, {.protocol_type = "connect"})->error_code),
            errc::inconsistent_group_protocol);
  EXPECT_EQ(code_of(join(world, {.protocols = {}})->error_code), errc::inconsistent_group_protocol);
  const auto second = join_with_handshake(world, {.protocols = {{"sticky", "c"}}});
  both.member_id = first;
  const auto again = join(world, both);
  EXPECT_EQ(again->protocol_name, "sticky");
  EXPECT_EQ(again->members[0].metadata, bytes_from("b"));
}

TEST(CoordGroup, AFollowerThatComesBackUnchangedIsToldWhatItKnew) {
  coord_world world;
  const std::string first = stable_member(world);
  const auto second = join_with_handshake(world);
  join(world, {.member_id = first});
  sync(world, "g", first, 2);
  sync(world, "g", second.member_id, 2);

  const auto same = join(world, {.member_id = second.member_id});
  EXPECT_EQ(same->generation_id, 2);
  EXPECT_EQ(group(world).state(), group_state::stable);
  const auto changed = join(world, {.member_id = second.member_id, .protocols = {{"range", "more topics"}}});
  EXPECT_FALSE(changed.has_answer());
  EXPECT_EQ(group(world).state(), group_state::preparing_rebalance);
}

TEST(CoordGroup, ARestartedStaticMemberTakesItsPlaceWithoutARebalance) {
  coord_world world;
  const auto was = join(world, {.instance_id = "i1"});
  world.pass(0);
  sync(world, "g", was->member_id, 1, {{was->member_id, "p0"}}, "i1");

  const auto now = join(world, {.instance_id = "i1", .version = 9});
  EXPECT_EQ(now->generation_id, 1);
  EXPECT_NE(now->member_id, was->member_id);
  EXPECT_TRUE(now->skip_assignment);
  EXPECT_EQ(now->leader, now->member_id);
  EXPECT_EQ(sync(world, "g", now->member_id, 1, {}, "i1")->assignment, bytes_from("p0"));
  EXPECT_EQ(code_of(heartbeat(world, "g", was->member_id, 1, "i1")->error_code), errc::fenced_instance_id);
  EXPECT_EQ(code_of(sync(world, "g", was->member_id, 1, {}, "i1")->error_code), errc::fenced_instance_id);
  EXPECT_EQ(code_of(join(world, {.member_id = was->member_id, .instance_id = "i1"})->error_code),
            errc::fenced_instance_id);

  // Before version 9 it must not believe that it leads.
  const auto older = join(world, {.instance_id = "i1", .version = 7});
  EXPECT_EQ(older->leader, now->member_id);
  EXPECT_NE(older->member_id, older->leader);
}

TEST(CoordGroup, AStaticMemberIsRemovedByItsInstanceId) {
  coord_world world;
  const auto m = join(world, {.instance_id = "i1"});
  world.pass(0);
  sync(world, "g", m->member_id, 1, {}, "i1");
  EXPECT_EQ(code_of(leave(world, "g", "", "nobody")->members[0].error_code), errc::unknown_member_id);
  EXPECT_EQ(code_of(leave(world, "g", "", "i1")->members[0].error_code), errc::none);
  EXPECT_EQ(group(world).state(), group_state::empty);
}

TEST(CoordGroup, TheFirstRebalanceWaitsForMoreWithAnInitialDelay) {
  coord_world world({.initial_rebalance_delay_ms = 3'000});
  const auto first = join_with_handshake(world);
  world.pass(2'000);
  const auto second = join_with_handshake(world);
  world.pass(1'000);
  EXPECT_FALSE(first.join.has_answer());  // a newcomer prolongs it
  world.pass(3'000);
  EXPECT_EQ(first.join->generation_id, 1);
  EXPECT_EQ(first.join->members.size(), 2u);
  EXPECT_EQ(second.join->generation_id, 1);
}

TEST(CoordGroup, LimitsAreKept) {
  coord_world world({.members_max = 1});
  stable_member(world);
  EXPECT_EQ(code_of(join(world, {})->error_code), errc::group_max_size_reached);
  EXPECT_EQ(code_of(join(world, {.group = ""})->error_code), errc::invalid_group_id);
  EXPECT_EQ(code_of(join(world, {.session_timeout_ms = 5'999})->error_code), errc::invalid_session_timeout);
  EXPECT_EQ(code_of(join(world, {.session_timeout_ms = 1'800'001})->error_code),
            errc::invalid_session_timeout);
  EXPECT_EQ(code_of(join(world, {.group = "h", .member_id = "x"})->error_code), errc::unknown_member_id);
  EXPECT_EQ(code_of(join(world, {.group = std::string(40'000, 'g')})->error_code), errc::invalid_group_id);
  const std::string huge(world.log.batch_bytes, 'm');
  EXPECT_EQ(code_of(join(world, {.group = "h", .protocols = {{"range", huge}}})->error_code),
            errc::group_max_size_reached);
}

TEST(CoordGroup, AnAssignmentThatFitsNoRecordIsRefused) {
  coord_world world;
  const auto m = join_with_handshake(world);
  world.pass(0);
  const std::string huge(world.log.batch_bytes, 'a');
  EXPECT_EQ(code_of(sync(world, "g", m.member_id, 1, {{m.member_id, huge}})->error_code),
            errc::unknown_server_error);
  EXPECT_EQ(group(world).state(), group_state::preparing_rebalance);
}

TEST(CoordGroup, OffsetsAreFencedByMemberAndGeneration) {
  coord_world world;
  EXPECT_EQ(commit(world, "g", "", -1, 0, 5)->at(0), errc::none);  // a program without a group
  EXPECT_EQ(commit(world, "g2", "", 3, 0, 5)->at(0), errc::illegal_generation);
  const std::string member = stable_member(world);
  EXPECT_EQ(commit(world, "g", "", -1, 0, 6)->at(0), errc::unknown_member_id);
  EXPECT_EQ(commit(world, "g", member, 0, 0, 6)->at(0), errc::illegal_generation);
  EXPECT_EQ(commit(world, "g", "stranger", 1, 0, 6)->at(0), errc::unknown_member_id);
  EXPECT_EQ(position(world, "g", 0), 5);
  EXPECT_EQ(commit(world, "g", member, 1, 0, 6)->at(0), errc::none);
  EXPECT_EQ(position(world, "g", 0), 6);
  EXPECT_EQ(position(world, "g", 1), -1);
  EXPECT_EQ(position(world, "nobody", 0), -1);

  commit_request wordy{.group = "g",
                       .member_id = member,
                       .generation = 1,
                       .items = {{.topic = "t", .metadata = std::string(4'097, 'm')},
                                 {.topic = "t", .partition = 1, .offset = 9}}};
  EXPECT_EQ(*commit(world, wordy), (commit_result{errc::offset_metadata_too_large, errc::none}));
  EXPECT_EQ(fetch(world, {.group = "g"})->at(0).partitions.size(), 2u);
}

TEST(CoordGroup, APositionInATopicThatWasMadeAnewIsNone) {
  coord_world world;
  uuid then;
  then.bytes[0] = std::byte{1};
  uuid now;
  now.bytes[0] = std::byte{2};
  commit(world, {.group = "g", .items = {{.topic = "t", .topic_id = then, .offset = 5}}});
  const auto ask = [&](uuid id) {
    return fetch(world, {.group = "g", .topics = {{{.topic = "t", .topic_id = id, .partitions = {0}}}}})
        ->at(0)
        .partitions.at(0)
        .offset;
  };
  EXPECT_EQ(ask(then), 5);
  EXPECT_EQ(ask(now), -1);
  world.crash_and_restart();
  EXPECT_EQ(ask(then), 5);
}

TEST(CoordGroup, ARestartFindsGroupsAsTheyWereCommitted) {
  coord_world world;
  const std::string member = stable_member(world);
  commit(world, "g", member, 1, 0, 6);
  world.crash_and_restart();
  EXPECT_EQ(group(world).state(), group_state::stable);
  EXPECT_EQ(code_of(heartbeat(world, "g", member, 1)->error_code), errc::none);
  EXPECT_EQ(sync(world, "g", member, 1)->assignment, bytes_from("all"));
  EXPECT_EQ(position(world, "g", 0), 6);
  world.pass(10'000);  // and its session is watched
  EXPECT_EQ(group(world).state(), group_state::empty);
}

TEST(CoordGroup, ACrashInTheMiddleOfARebalanceFallsBackToTheGenerationBefore) {
  coord_world world;
  const std::string first = stable_member(world);
  const auto second = join_with_handshake(world);
  join(world, {.member_id = first});
  EXPECT_EQ(group(world).generation(), 2);
  world.crash_and_restart();
  EXPECT_EQ(group(world).generation(), 1);
  EXPECT_EQ(code_of(heartbeat(world, "g", second.member_id, 2)->error_code), errc::unknown_member_id);
  EXPECT_EQ(code_of(sync(world, "g", first, 2, {{first, "x"}})->error_code), errc::illegal_generation);
  EXPECT_EQ(code_of(heartbeat(world, "g", first, 1)->error_code), errc::none);
}

TEST(CoordGroup, NoAnswerLeavesBeforeItsRecordsAreDurable) {
  coord_world world;
  const auto m = join_with_handshake(world);
  world.pass(0);
  world.is_durable_at_once = false;
  const auto synced = sync(world, "g", m.member_id, 1, {{m.member_id, "p0"}});
  EXPECT_FALSE(synced.has_answer());
  const auto beat = heartbeat(world, "g", m.member_id, 1);
  EXPECT_FALSE(beat.has_answer());
  world.make_all_durable();
  EXPECT_EQ(synced->assignment, bytes_from("p0"));
  EXPECT_EQ(code_of(beat->error_code), errc::none);
}

TEST(CoordGroup, GroupsAreDescribedListedAndDeleted) {
  coord_world world;
  const std::string member = stable_member(world);
  commit(world, "simple", "", -1, 0, 1);
  const auto describe = [&](const std::string& name) {
    return world.ask<describe_result>([&](group_machine& m, step& s, reply_to<describe_result> reply) {
      m.describe(name, s, std::move(reply));
    });
  };
  EXPECT_EQ(describe("g")->group_state, "Stable");
  EXPECT_EQ(describe("g")->members.at(0).member_assignment, bytes_from("all"));
  EXPECT_EQ(describe("g")->members.at(0).client_host, "/127.0.0.1");
  EXPECT_EQ(describe("simple")->group_state, "Empty");
  EXPECT_EQ(code_of(describe("nobody")->error_code), errc::group_id_not_found);
  EXPECT_EQ(world
                .ask<list_result>([&](group_machine& m, step& s, reply_to<list_result> reply) {
                  m.list(s, std::move(reply));
                })
                ->size(),
            2u);

  const auto remove = [&](const std::string& name) {
    return *world.ask<errc>(
        [&](group_machine& m, step& s, reply_to<errc> reply) { m.remove_group(name, s, std::move(reply)); });
  };
  EXPECT_EQ(remove("g"), errc::non_empty_group);
  EXPECT_EQ(remove("nobody"), errc::group_id_not_found);
  EXPECT_EQ(remove("simple"), errc::none);
  leave(world, "g", member);
  EXPECT_EQ(remove("g"), errc::none);
  EXPECT_EQ(world.machine().group_count(), 0u);
  world.crash_and_restart();
  EXPECT_EQ(world.machine().group_count(), 0u);
}

TEST(CoordGroup, OffsetsOfTopicsThatMembersReadAreNotDeleted) {
  coord_world world;
  // ConsumerProtocolSubscription version 0: one topic "t", no user data.
  const std::string subscription("\0\0\0\0\0\1\0\1t\xff\xff\xff\xff", 13);
  const std::string member = stable_member(world, {.protocols = {{"range", subscription}}});
  commit(world, {.group = "g",
                 .member_id = member,
                 .generation = 1,
                 .items = {{.topic = "t", .offset = 5}, {.topic = "u", .offset = 6}}});
  const std::vector<offset_delete_item> items{{"t", 0}, {"u", 0}};
  const auto deleted =
      world.ask<offset_delete_result>([&](group_machine& m, step& s, reply_to<offset_delete_result> reply) {
        m.delete_offsets("g", items, s, std::move(reply));
      });
  EXPECT_EQ(*deleted, (offset_delete_result{errc::group_subscribed_to_topic, errc::none}));
  EXPECT_EQ(fetch(world, {.group = "g"})->size(), 1u);
}

TEST(CoordGroup, OffsetsExpireWhenNobodyNeedsThem) {
  coord_world world({.offsets_retention_ms = 1'000'000, .retention_check_interval_ms = 100'000});
  const std::string member = stable_member(world);
  commit(world, "g", member, 1, 0, 5);
  commit(world, "simple", "", -1, 0, 1);
  for (int i = 0; i < 300; ++i) {
    world.pass(5'000);
    heartbeat(world, "g", member, 1);
  }
  EXPECT_EQ(position(world, "simple", 0), -1);
  EXPECT_EQ(world.machine().group_named("simple"), nullptr);
  EXPECT_EQ(position(world, "g", 0), 5);
  leave(world, "g", member);
  world.pass(950'000);
  EXPECT_EQ(position(world, "g", 0), 5);
  world.pass(200'000);
  EXPECT_EQ(position(world, "g", 0), -1);
  world.pass(200'000);
  EXPECT_EQ(world.machine().group_count(), 0u);
}

TEST(CoordGroup, AForeignOrDamagedLogIsToldApart) {
  coord_world world;
  group_machine& m = world.machine();
  EXPECT_TRUE(m.replay(as_bytes(std::string_view("\0\3\0\2ab", 6)), std::nullopt).has_value());  // KIP-848's
  EXPECT_FALSE(m.replay(as_bytes(std::string_view("\0\2\0\5ab", 6)), std::nullopt).has_value());
  EXPECT_FALSE(m.replay(as_bytes(std::string_view("\0", 1)), std::nullopt).has_value());
  EXPECT_FALSE(m.replay(as_bytes(std::string_view("\0\2\0\2ab", 6)), as_bytes(std::string_view("\0\x9", 2)))
                   .has_value());
}

}  // namespace
}  // namespace millrace::broker::coord::testing
