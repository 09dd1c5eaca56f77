// Groups of the consumer protocol (KIP-848), clause by clause. Errors and their texts are Kafka 4.4's.
#include <gtest/gtest.h>
#include <set>

#include "broker/coord/group/assignor.h"
#include "broker/coord/group/ids.h"
#include "tests/broker/coord_consumer_client.h"

namespace millrace::broker::coord::testing {
namespace {

class CoordConsumer : public ::testing::Test {
 protected:
  CoordConsumer() { world.topics.put("t", 4); }

  const consumer_group& group() { return *world.machine().consumer_group_named("g"); }
  // The answer to a plain heartbeat.
  beat_mailbox tick(const std::string& member_id, int32_t epoch, std::optional<owned_list> owned = {},
                    std::optional<std::string> instance_id = {}) {
    return beat(world, {.member_id = member_id,
                        .epoch = epoch,
                        .instance_id = std::move(instance_id),
                        .owned = std::move(owned)});
  }
  // Two members, two partitions each, in one epoch.
  int32_t settled_pair() {
    const int32_t first = enter(world, "m1")->member_epoch;
    const int32_t second = enter(world, "m2")->member_epoch;
    EXPECT_EQ(assigned(world, *tick("m1", first)), "t: 0 1");
    EXPECT_EQ(tick("m1", first, owned_list{{"t", {0, 1}}})->member_epoch, second);
    EXPECT_EQ(assigned(world, *tick("m2", second)), "t: 2 3");
    EXPECT_EQ(group().state(), consumer_group_state::stable);
    return second;
  }
  void topics_changed() { world.machine().topics_changed(); }

  coord_world world;
};

// Everything durable that a machine knows, as records.
std::set<std::string> picture(group_machine& machine) {
  step s(machine, {}, 100 << 20);
  EXPECT_FALSE(machine.rewrite("", s));
  std::set<std::string> out;
  for (const record& r : s.emitted()) {
    out.insert(std::string(as_text(r.key)) + "=" + (r.value ? std::string(as_text(*r.value)) : "gone"));
  }
  return out;
}

errc code(const beat_mailbox& box) {
  return code_of(box->error_code);
}

TEST_F(CoordConsumer, AFirstMemberGetsEverythingAtOnce) {
  const auto joined = enter(world, "m1");
  EXPECT_EQ(code(joined), errc::none);
  EXPECT_EQ(joined->member_id, "m1");
  EXPECT_EQ(joined->heartbeat_interval_ms, 5'000);
  EXPECT_EQ(assigned(world, *joined), "t: 0 1 2 3");
  EXPECT_EQ(assigned(world, *tick("m1", joined->member_epoch)), "none");
  EXPECT_EQ(group().state(), consumer_group_state::stable);
}

TEST_F(CoordConsumer, APartitionMovesOnlyAfterItsOwnerGaveItUp) {
  const int32_t first = enter(world, "m1")->member_epoch;
  const auto second = enter(world, "m2");
  EXPECT_EQ(assigned(world, *second), "");
  EXPECT_EQ(assigned(world, *tick("m2", second->member_epoch)), "none");

  const auto told = tick("m1", first);
  EXPECT_EQ(told->member_epoch, first) << "it has not given anything up yet";
  EXPECT_EQ(assigned(world, *told), "t: 0 1");
  EXPECT_EQ(assigned(world, *tick("m2", second->member_epoch)), "none");
  EXPECT_EQ(tick("m1", first, owned_list{{"t", {0, 1, 2, 3}}})->member_epoch, first);
  EXPECT_EQ(group().state(), consumer_group_state::reconciling);

  EXPECT_EQ(tick("m1", first, owned_list{{"t", {0, 1}}})->member_epoch, second->member_epoch);
  EXPECT_EQ(assigned(world, *tick("m2", second->member_epoch)), "t: 2 3");
  EXPECT_EQ(group().state(), consumer_group_state::stable);
}

TEST_F(CoordConsumer, WhoDoesNotGiveUpInTimeIsFenced) {
  const int32_t first = enter(world, "m1")->member_epoch;
  const int32_t second = enter(world, "m2")->member_epoch;
  tick("m1", first);
  for (int i = 0; i < 5; ++i) {
    world.pass(5'900);
    tick("m1", first);
    tick("m2", second);
  }
  world.pass(600);
  EXPECT_EQ(code(tick("m1", first)), errc::unknown_member_id);
  EXPECT_EQ(assigned(world, *tick("m2", second)), "t: 0 1 2 3");
}

TEST_F(CoordConsumer, ASilentMemberIsFencedAndItsPartitionsAreGivenOn) {
  const int32_t epoch = settled_pair();
  world.pass(44'000);
  EXPECT_EQ(code(tick("m2", epoch)), errc::none);
  world.pass(1'000);
  EXPECT_EQ(code(tick("m1", epoch)), errc::unknown_member_id);
  const auto next = tick("m2", epoch);
  EXPECT_EQ(assigned(world, *next), "t: 0 1 2 3");
  EXPECT_GT(next->member_epoch, epoch);
}

TEST_F(CoordConsumer, EpochsFence) {
  const int32_t epoch = settled_pair();
  EXPECT_EQ(code(tick("m1", epoch + 1)), errc::fenced_member_epoch);
  EXPECT_EQ(code(tick("stranger", epoch)), errc::unknown_member_id);
  // One behind is a lost answer, but only from a member that holds nothing beyond what is its own.
  EXPECT_EQ(code(tick("m1", epoch - 1)), errc::fenced_member_epoch);
  EXPECT_EQ(code(tick("m1", epoch - 1, owned_list{{"t", {0, 3}}})), errc::fenced_member_epoch);
  EXPECT_EQ(code(tick("m1", epoch - 1, owned_list{{"t", {0}}})), errc::none);
  const auto again = enter(world, "m1");
  EXPECT_EQ(again->member_epoch, epoch) << "a member may begin again";
  EXPECT_EQ(assigned(world, *again), "t: 0 1");
}

TEST_F(CoordConsumer, MalformedHeartbeatsAreRefused) {
  const beat_options full{.rebalance_timeout_ms = 1'000, .topics = {{"t"}}, .owned = owned_list{}};
  const auto refusal = [&](auto change, const char* text) {
    beat_options o = full;
    change(o);
    const auto box = beat(world, o);
    EXPECT_EQ(code(box), errc::invalid_request) << text;
    EXPECT_EQ(box->error_message.value_or(""), text);
  };
  refusal([](beat_options& o) { o.member_id = ""; }, "MemberId can't be empty.");
  refusal([](beat_options& o) { o.group = " "; }, "GroupId can't be empty.");
  refusal([](beat_options& o) { o.instance_id = ""; }, "InstanceId can't be empty.");
  refusal([](beat_options& o) { o.rack_id = ""; }, "RackId can't be empty.");
  refusal([](beat_options& o) { o.rebalance_timeout_ms = -1; },
          "RebalanceTimeoutMs must be provided in first request.");
  refusal([](beat_options& o) { o.owned.reset(); }, "TopicPartitions must be empty when (re-)joining.");
  refusal([](beat_options& o) { o.owned = owned_list{{"t", {0}}}; },
          "TopicPartitions must be empty when (re-)joining.");
  refusal([](beat_options& o) { o.topics.reset(); },
          "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
  refusal([](beat_options& o) { o.epoch = -3; }, "MemberEpoch is invalid.");
  refusal([](beat_options& o) { o.epoch = -2; }, "InstanceId can't be null.");
  refusal([](beat_options& o) { o.member_id = std::string(40'000, 'x'); }, "An id is too long.");
  refusal([](beat_options& o) { o.topics = {{std::string(600'000, 'x')}}; },
          "The subscription is too large.");

  beat_options o = full;
  o.assignor = "foo";
  const auto box = beat(world, o);
  EXPECT_EQ(code(box), errc::unsupported_assignor);
  EXPECT_EQ(box->error_message, "ServerAssignor foo is not supported. Supported assignors: uniform, range.");
  EXPECT_EQ(world.machine().group_count(), 0u) << "none of it made a group";
}

TEST_F(CoordConsumer, UnknownGroupsAreNotFound) {
  EXPECT_EQ(code(tick("m1", 1)), errc::group_id_not_found);
  EXPECT_EQ(code(tick("m1", -1)), errc::group_id_not_found);
  enter(world, "m1");
  EXPECT_EQ(code(tick("m2", -1)), errc::unknown_member_id);
}

TEST_F(CoordConsumer, OldClientsAreGivenTheirId) {
  const auto joined = beat(world, {.member_id = "",
                                   .rebalance_timeout_ms = 1'000,
                                   .topics = {{"t"}},
                                   .owned = owned_list{},
                                   .version = 0});
  ASSERT_EQ(code(joined), errc::none);
  EXPECT_EQ(joined->member_id->size(), 22u);
  EXPECT_EQ(code(tick(*joined->member_id, joined->member_epoch)), errc::none);
}

TEST_F(CoordConsumer, AFullGroupTakesNobody) {
  group_config config;
  config.consumer_members_max = 1;
  coord_world small(config);
  small.topics.put("t", 1);
  EXPECT_EQ(code(enter(small, "m1")), errc::none);
  EXPECT_EQ(code(enter(small, "m2")), errc::group_max_size_reached);
  EXPECT_EQ(code(enter(small, "m1")), errc::none);
}

TEST_F(CoordConsumer, LeavingGivesEverythingBack) {
  const int32_t epoch = settled_pair();
  const auto left = tick("m1", -1);
  EXPECT_EQ(code(left), errc::none);
  EXPECT_EQ(left->member_epoch, -1);
  EXPECT_EQ(assigned(world, *tick("m2", epoch)), "t: 0 1 2 3");
  tick("m2", -1);
  EXPECT_EQ(group().state(), consumer_group_state::empty);
}

TEST_F(CoordConsumer, AStaticMemberLeavesForAWhileAndComesBackToItsPartitions) {
  const int32_t first = enter(world, "s1", {"t"}, "i1")->member_epoch;
  const int32_t epoch = enter(world, "m2")->member_epoch;
  tick("s1", first, owned_list{{"t", {0, 1, 2, 3}}}, "i1");
  EXPECT_EQ(tick("s1", first, owned_list{{"t", {0, 1}}}, "i1")->member_epoch, epoch);
  tick("m2", epoch);

  EXPECT_EQ(code(enter(world, "s2", {"t"}, "i1")), errc::unreleased_instance_id);
  EXPECT_EQ(code(tick("s2", epoch, {}, "i1")), errc::fenced_instance_id);
  EXPECT_EQ(code(tick("s1", epoch, {}, "i9")), errc::unknown_member_id);
  EXPECT_EQ(tick("s1", -2, {}, "i1")->member_epoch, -2);
  EXPECT_EQ(code(tick("s1", epoch, {}, "i1")), errc::fenced_member_epoch);
  EXPECT_EQ(assigned(world, *tick("m2", epoch)), "none") << "its place is kept";

  const auto back = enter(world, "s2", {"t"}, "i1");
  EXPECT_EQ(back->member_epoch, epoch) << "nothing was divided anew";
  EXPECT_EQ(assigned(world, *back), "t: 0 1");
  EXPECT_EQ(code(tick("s1", epoch, {}, "i1")), errc::fenced_instance_id);

  tick("s2", -2, {}, "i1");
  world.pass(44'000);
  tick("m2", epoch);
  world.pass(2'000);
  EXPECT_EQ(assigned(world, *tick("m2", epoch)), "t: 0 1 2 3") << "it stayed away too long";
}

TEST_F(CoordConsumer, SubscriptionsChangeWhatIsAssigned) {
  world.topics.put("u", 2);
  const int32_t epoch = settled_pair();
  const auto other = beat(world, {.member_id = "m2", .epoch = epoch, .topics = {{"u"}}});
  EXPECT_EQ(assigned(world, *other), "") << "it has to give up t first";
  EXPECT_EQ(other->member_epoch, epoch);
  EXPECT_EQ(assigned(world, *tick("m2", epoch, owned_list{})), "u: 0 1");
  EXPECT_EQ(assigned(world, *tick("m1", epoch)), "t: 0 1 2 3");
}

TEST_F(CoordConsumer, TopicsThatGrowComeAndGoAreDividedAnew) {
  const auto joined = enter(world, "m1", {"t", "later"});
  EXPECT_EQ(assigned(world, *joined), "t: 0 1 2 3");
  world.topics.put("t", 5);
  topics_changed();
  const auto grown = tick("m1", joined->member_epoch);
  EXPECT_EQ(assigned(world, *grown), "t: 0 1 2 3 4");
  world.topics.put("later", 1);
  topics_changed();
  const auto more = tick("m1", grown->member_epoch);
  EXPECT_EQ(assigned(world, *more), "later: 0, t: 0 1 2 3 4");
  topics_changed();
  EXPECT_EQ(assigned(world, *tick("m1", more->member_epoch)), "none") << "other topics changed";
  world.topics.remove("later");
  topics_changed();
  EXPECT_EQ(assigned(world, *tick("m1", more->member_epoch)), "t: 0 1 2 3 4");
}

TEST_F(CoordConsumer, PatternsFollowTheTopics) {
  world.topics.put("tea", 1);
  const auto joined = beat(world, {.rebalance_timeout_ms = 1'000, .regex = "t.*", .owned = owned_list{}});
  EXPECT_EQ(assigned(world, *joined), "t: 0 1 2 3, tea: 0");
  world.topics.put("two", 1);
  world.topics.put("other t", 1);
  topics_changed();
  const auto more = tick("m1", joined->member_epoch);
  EXPECT_EQ(assigned(world, *more), "t: 0 1 2 3, tea: 0, two: 0") << "the whole name has to fit";
  const auto both = beat(world, {.epoch = more->member_epoch, .topics = {{"other t"}}, .regex = "two"});
  EXPECT_EQ(assigned(world, *both), "two: 0");
  EXPECT_EQ(assigned(world, *tick("m1", both->member_epoch, owned_list{{"two", {0}}})), "other t: 0, two: 0");
  EXPECT_EQ(group().patterns().count("t.*"), 0u);
}

TEST_F(CoordConsumer, BadPatternsAreRefused) {
  for (const std::string regex : {"(", "a(?=b)", "(a)\\1", "x{1001}"}) {
    const auto box = beat(world, {.rebalance_timeout_ms = 1'000, .regex = regex, .owned = owned_list{}});
    EXPECT_EQ(code(box), errc::invalid_regular_expression) << regex;
  }
  // Costs an exponential matcher for ever.
  world.topics.put(std::string(240, 'a'), 1);
  const auto box =
      beat(world, {.rebalance_timeout_ms = 1'000, .regex = "(a*)*(a*)*(a|a)*b", .owned = owned_list{}});
  EXPECT_EQ(code(box), errc::none);
  EXPECT_EQ(assigned(world, *box), "");
}

TEST_F(CoordConsumer, PatternsAreBoundedAndGoWithTheirSubscribers) {
  const auto enter_with = [&](size_t i) {
    return beat(world, {.member_id = "m" + std::to_string(i),
                        .rebalance_timeout_ms = 1'000,
                        .regex = "t|x" + std::to_string(i),
                        .owned = owned_list{}});
  };
  for (size_t i = 0; i < patterns_max; ++i) ASSERT_EQ(code(enter_with(i)), errc::none);
  EXPECT_EQ(code(enter_with(patterns_max)), errc::invalid_request);
  // Topics change: no heartbeat evaluates them all, but all are evaluated.
  world.topics.put("x7", 1);
  topics_changed();
  for (size_t i = 0; i < patterns_max / 8 + 1; ++i) tick("m0", group().find("m0")->current.epoch);
  EXPECT_EQ(group().patterns().at("t|x7").topics, (std::vector<std::string>{"t", "x7"}));

  for (size_t i = 0; i + 1 < patterns_max; ++i) tick("m" + std::to_string(i), -1);
  EXPECT_EQ(group().patterns().size(), 1u);
  tick("m" + std::to_string(patterns_max - 1), -1);
  EXPECT_EQ(group().patterns().size(), 0u);
}

TEST_F(CoordConsumer, OnlyTheRightEpochCommits) {
  const int32_t epoch = settled_pair();
  const auto committed = [&](const std::string& member_id, int32_t at, int16_t version = 9) {
    return commit(world, {.group = "g",
                          .member_id = member_id,
                          .generation = at,
                          .items = {{.topic = "t", .partition = 0, .offset = 7}},
                          .version = version})
        ->at(0);
  };
  EXPECT_EQ(committed("m1", epoch), errc::none);
  EXPECT_EQ(committed("m1", epoch - 1), errc::stale_member_epoch);
  EXPECT_EQ(committed("m1", epoch + 1), errc::stale_member_epoch);
  EXPECT_EQ(committed("stranger", epoch), errc::unknown_member_id);
  EXPECT_EQ(committed("", -1), errc::unknown_member_id);
  EXPECT_EQ(committed("m1", epoch, 8), errc::unsupported_version);

  const auto fetched = [&](std::optional<std::string> member_id, int32_t at) {
    const auto box = fetch(world, {.group = "g",
                                   .topics = {{{.topic = "t", .partitions = {0}}}},
                                   .member_id = std::move(member_id),
                                   .member_epoch = at});
    return box.answer() ? errc::none : box.answer().error().code;
  };
  EXPECT_EQ(fetched("m1", epoch), errc::none);
  EXPECT_EQ(fetched({}, -1), errc::none);
  EXPECT_EQ(fetched("m1", epoch - 1), errc::stale_member_epoch);
  EXPECT_EQ(fetched("stranger", epoch), errc::unknown_member_id);

  tick("m1", -1);
  EXPECT_EQ(committed("m1", epoch), errc::unknown_member_id);
  tick("m2", -1);
  EXPECT_EQ(committed("", -1), errc::none) << "an administrator resets an empty group";
  const auto none = commit(
      world, {.group = "none", .member_id = "m", .generation = 1, .items = {{.topic = "t"}}, .version = 9});
  EXPECT_EQ(none->at(0), errc::group_id_not_found);
}

TEST_F(CoordConsumer, AdministratorsSeeAndRemoveIt) {
  const int32_t epoch = settled_pair();
  const auto described = world.ask<consumer_describe_result>(
      [](group_machine& m, step& s, reply_to<consumer_describe_result> reply) {
        m.consumer_describe("g", s, std::move(reply));
      });
  EXPECT_EQ(described->group_state, "Stable");
  EXPECT_EQ(described->assignor_name, "uniform");
  EXPECT_EQ(described->group_epoch, epoch);
  ASSERT_EQ(described->members.size(), 2u);
  EXPECT_EQ(described->members[0].member_type, 1);
  EXPECT_EQ(described->members[0].assignment.topic_partitions.at(0).topic_name, "t");
  const auto listed = world.ask<list_result>(
      [](group_machine& m, step& s, reply_to<list_result> reply) { m.list(s, std::move(reply)); });
  EXPECT_EQ(listed->at(0).group_type, "consumer");
  const auto as_classic =
      world.ask<describe_result>([](group_machine& m, step& s, reply_to<describe_result> reply) {
        m.describe("g", s, std::move(reply));
      });
  EXPECT_EQ(code_of(as_classic->error_code), errc::group_id_not_found);

  const auto removed = [&] {
    return *world.ask<errc>(
        [](group_machine& m, step& s, reply_to<errc> reply) { m.remove_group("g", s, std::move(reply)); });
  };
  EXPECT_EQ(removed(), errc::non_empty_group);
  tick("m1", -1);
  tick("m2", -1);
  EXPECT_EQ(removed(), errc::none);
  EXPECT_EQ(world.machine().group_count(), 0u);
  EXPECT_EQ(world.replayed()->group_count(), 0u);
}

TEST_F(CoordConsumer, ItSurvivesARestartAsItWas) {
  const int32_t epoch = settled_pair();
  commit(world, {.group = "g",
                 .member_id = "m1",
                 .generation = epoch,
                 .items = {{.topic = "t", .offset = 9}},
                 .version = 9});
  enter(world, "m3");
  EXPECT_EQ(assigned(world, *tick("m2", epoch)), "t: 2") << "it must give something up";
  world.crash_and_restart();
  EXPECT_EQ(position(world, "g", 0), 9);
  EXPECT_EQ(code(tick("m1", epoch)), errc::none);
  EXPECT_EQ(code(tick("m2", epoch)), errc::none);
  world.pass(30'000);
  EXPECT_EQ(code(tick("m2", epoch)), errc::unknown_member_id) << "the time to give up runs on";
}

TEST_F(CoordConsumer, PositionsExpireOnceNobodyReadsThem) {
  const int32_t epoch = settled_pair();
  commit(world, {.group = "g",
                 .member_id = "m1",
                 .generation = epoch,
                 .items = {{.topic = "t", .offset = 9}},
                 .version = 9});
  tick("m1", -1);
  tick("m2", -1);
  world.pass(group_config().offsets_retention_ms - 1'000'000);
  EXPECT_EQ(position(world, "g", 0), 9);
  world.pass(2'000'000);
  EXPECT_EQ(world.machine().group_count(), 0u);
  EXPECT_EQ(world.replayed()->group_count(), 0u);
}

TEST_F(CoordConsumer, TheLogRewrittenTellsTheSame) {
  const int32_t epoch = settled_pair();
  for (int i = 0; i < 40; ++i) {
    const std::string group = "simple" + std::to_string(i % 20);
    commit(world,
           {.group = group,
            .items = {{.topic = "t", .partition = i % 3, .offset = i, .metadata = std::string(100, 'x')}}});
  }
  join(world, {.group = "classic", .version = 3});
  world.pass(0);
  beat(world, {.member_id = "m2", .epoch = epoch, .regex = "t.*"});
  const std::set<std::string> before = picture(*world.replayed());

  const size_t old_batches = world.log.batches.size();
  world.log.batch_bytes = 1'000;  // many small steps, with changes in between
  std::optional<std::string> place = "";
  size_t calls = 0;
  while (place) {
    const auto next = world.ask<std::optional<std::string>>(
        [&](group_machine& m, step& s, reply_to<std::optional<std::string>> reply) {
          s.answer(std::move(reply), m.rewrite(*place, s));
        });
    ASSERT_NE(*next, place);
    place = *next;
    if (++calls == 3) commit(world, {.group = "simple7", .items = {{.topic = "t", .offset = 77}}});
    if (calls == 4) tick("m1", -1);
  }
  EXPECT_GT(calls, 5u);
  const std::set<std::string> live = picture(*world.replayed());
  EXPECT_NE(live, before);
  world.log.batches.erase(world.log.batches.begin(),
                          world.log.batches.begin() + static_cast<ptrdiff_t>(old_batches));
  EXPECT_EQ(picture(*world.replayed()), live);
  EXPECT_EQ(world.replayed()->offsets_of("simple7").at("t").at(0).offset, 77);
}

TEST_F(CoordConsumer, PartitionsAreNotDividedMoreOftenThanAllowed) {
  world.machine().set_config({.consumer_assignment_interval_ms = 1'000});
  const auto first = enter(world, "m1");
  EXPECT_EQ(assigned(world, *first), "t: 0 1 2 3") << "the first time, at once";
  world.pass(400);
  const auto second = enter(world, "m2");
  EXPECT_EQ(second->member_epoch, first->member_epoch);
  EXPECT_EQ(second->heartbeat_interval_ms, 600) << "it is to come back when it can be served";
  EXPECT_EQ(assigned(world, *second), "");
  EXPECT_EQ(group().state(), consumer_group_state::assigning);
  world.pass(599);
  EXPECT_EQ(tick("m2", second->member_epoch)->heartbeat_interval_ms, 1);
  world.pass(1);
  const auto divided = tick("m2", second->member_epoch);
  EXPECT_GT(divided->member_epoch, second->member_epoch);
  EXPECT_EQ(divided->heartbeat_interval_ms, 5'000);
}

TEST_F(CoordConsumer, AClockSetBackHoldsNobodyUp) {
  world.machine().set_config({.consumer_assignment_interval_ms = 1'000});
  const auto first = enter(world, "m1");
  world.clock.wall_base_ms -= 86'400'000;
  EXPECT_GT(enter(world, "m2")->member_epoch, first->member_epoch);
}

TEST_F(CoordConsumer, AGroupMayHaveTimesOfItsOwn) {
  auto own = std::make_shared<own_times_by_group>();
  own->emplace("g", own_times{.session_timeout_ms = 8'000, .heartbeat_interval_ms = 2'000});
  world.machine().set_config({.own = std::move(own)});
  const auto joined = enter(world, "m1");
  EXPECT_EQ(joined->heartbeat_interval_ms, 2'000);
  world.pass(7'999);
  EXPECT_EQ(code(tick("m1", joined->member_epoch)), errc::none);
  world.pass(8'000);
  EXPECT_EQ(code(tick("m1", joined->member_epoch)), errc::unknown_member_id);
}

TEST(CoordAssignor, UniformIsEvenAndMovesNoMoreThanItMust) {
  const uuid id;
  topic_partitions a{{id, {0, 1, 2, 3, 4, 5}}};
  const assignor_input two{
      .topics = {{id, 6}},
      .members = {{.id = "a", .topics = {0}, .current = &a}, {.id = "b", .topics = {0}}}};
  const auto first = assign_uniform(two);
  EXPECT_EQ(count_of(first[0]), 3u);
  EXPECT_TRUE(is_within(first[0], a));
  const assignor_input three{.topics = {{id, 7}},
                             .members = {{.id = "a", .topics = {0}, .current = &first[0]},
                                         {.id = "b", .topics = {0}, .current = &first[1]},
                                         {.id = "c", .topics = {0}}}};
  const auto second = assign_uniform(three);
  for (size_t i = 0; i < 3; ++i) EXPECT_GE(count_of(second[i]), 2u);
  EXPECT_GE(count_of(common(second[0], first[0])), 2u);
  EXPECT_GE(count_of(common(second[1], first[1])), 2u);
}

TEST(CoordAssignor, UnlikeSubscriptionsAreEvenedOut) {
  uuid t1, t2;
  t1.bytes[0] = std::byte{1};
  t2.bytes[0] = std::byte{2};
  topic_partitions all{{t1, {0, 1, 2, 3}}, {t2, {0, 1}}};
  const assignor_input in{
      .topics = {{t1, 4}, {t2, 2}},
      .members = {{.id = "a", .topics = {0, 1}, .current = &all}, {.id = "b", .topics = {0}}}};
  const auto out = assign_uniform(in);
  EXPECT_EQ(count_of(out[0]), 3u);
  EXPECT_EQ(count_of(out[1]), 3u);
  EXPECT_EQ(out[0].at(t2).size(), 2u) << "only it reads that topic";
}

TEST(CoordAssignor, RangeGivesNeighboursInTheOrderOfInstances) {
  const uuid id;
  const assignor_input in{.topics = {{id, 5}},
                          .members = {{.id = "a", .instance_id = "z", .topics = {0}},
                                      {.id = "b", .instance_id = "y", .topics = {0}}}};
  const auto out = assign_range(in);
  EXPECT_EQ(out[1].at(id), (std::vector<int32_t>{0, 1, 2}));
  EXPECT_EQ(out[0].at(id), (std::vector<int32_t>{3, 4}));
}

}  // namespace
}  // namespace millrace::broker::coord::testing
