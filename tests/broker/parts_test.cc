// The parts of the broker that need no shard: fetch sessions, the image of topics, the order of answers.
#include <gtest/gtest.h>

#include "broker/fetch/sessions.h"
#include "broker/metadata/image.h"
#include "broker/server/connection_quota.h"
#include "broker/server/response_budget.h"
#include "broker/server/response_queue.h"

namespace millrace::broker {
namespace {

using runtime::time_point;

time_point at_seconds(int64_t s) {
  return time_point(std::chrono::seconds(s));
}

fetch_target target(std::string name, int32_t partition, int64_t offset = 0) {
  return {
      .topic = {.id = {}, .name = std::move(name)}, .partition = partition, .offset = offset, .bytes_max = 1};
}

TEST(fetch_sessions, epochs_run_from_one_and_wrap_to_one) {
  prng random(1);
  fetch_sessions sessions(2);
  int32_t id = 0;
  {
    session_use opened = sessions.open(false, at_seconds(0), random);
    ASSERT_TRUE(opened);
    id = opened->id();
    EXPECT_GT(id, 0);
  }
  EXPECT_EQ(sessions.resume(id, 2, false, at_seconds(0)).error().code, errc::invalid_fetch_session_epoch);
  EXPECT_TRUE(sessions.resume(id, 1, false, at_seconds(0)));
  EXPECT_TRUE(sessions.resume(id, 2, false, at_seconds(0)));
  EXPECT_EQ(sessions.resume(id, 3, true, at_seconds(0)).error().code, errc::fetch_session_topic_id_error);
  EXPECT_EQ(sessions.resume(id + 1, 1, false, at_seconds(0)).error().code, errc::fetch_session_id_not_found);
  sessions.close(id);
  EXPECT_EQ(sessions.resume(id, 3, false, at_seconds(0)).error().code, errc::fetch_session_id_not_found);
}

TEST(fetch_sessions, two_fetches_cannot_work_on_one_session) {
  prng random(1);
  fetch_sessions sessions(2);
  session_use opened = sessions.open(false, at_seconds(0), random);
  const int32_t id = opened->id();
  EXPECT_EQ(sessions.resume(id, 1, false, at_seconds(0)).error().code, errc::invalid_fetch_session_epoch);
  opened = session_use();
  EXPECT_TRUE(sessions.resume(id, 1, false, at_seconds(0)));
}

TEST(fetch_sessions, only_a_long_idle_session_gives_way) {
  prng random(1);
  fetch_sessions sessions(1);
  EXPECT_TRUE(sessions.open(false, at_seconds(0), random));
  EXPECT_FALSE(sessions.open(false, at_seconds(60), random));
  EXPECT_TRUE(sessions.open(false, at_seconds(121), random));
  EXPECT_EQ(sessions.size(), 1u);
}

TEST(fetch_session, served_partitions_go_behind_the_others) {
  fetch_session session(1, false);
  for (int32_t p = 0; p < 3; ++p) session.put(target("t", p));
  session.put(target("t", 1, 7));
  EXPECT_EQ(session.size(), 3u);
  session.move_to_end(session.targets().begin());
  std::vector<int32_t> order;
  for (const fetch_target& t : session.targets()) order.push_back(t.partition);
  EXPECT_EQ(order, (std::vector<int32_t>{1, 2, 0}));
  EXPECT_EQ(session.targets().front().offset, 7);
  session.forget({.id = {}, .name = "t"}, 1);
  session.forget({.id = {}, .name = "t"}, 9);
  EXPECT_EQ(session.size(), 2u);
}

topic_ptr make(const std::string& name, uint8_t id) {
  auto t = std::make_shared<topic>();
  t->name = name;
  t->id.bytes[0] = std::byte(id);
  t->partitions = 1;
  return t;
}

TEST(metadata_image, topics_are_found_by_name_and_id_and_kept_sorted) {
  const image_ptr empty = metadata_image::make({}, leader_epoch(3));
  const image_ptr two = empty->with({make("b", 1), make("a", 2)}, {});
  ASSERT_EQ(two->topics().size(), 2u);
  EXPECT_EQ(two->topics()[0]->name, "a");
  EXPECT_EQ(two->find("b")->id, make("b", 1)->id);
  EXPECT_EQ(two->find(make("", 2)->id)->name, "a");
  EXPECT_EQ(two->find("c"), nullptr);
  const image_ptr one = two->with({}, {make("", 1)->id});
  EXPECT_EQ(one->find("b"), nullptr);
  EXPECT_EQ(two->find("b")->name, "b");  // the older image is as it was
  EXPECT_EQ(one->epoch(), leader_epoch(3));
}

TEST(metadata_image, names_that_differ_in_dots_and_underscores_collide) {
  const image_ptr image = metadata_image::make({make("a.b_c", 1), make("abc", 2)}, leader_epoch(0));
  EXPECT_NE(image->find_colliding("a_b.c"), nullptr);
  EXPECT_NE(image->find_colliding("a.b.c"), nullptr);
  EXPECT_NE(image->find_colliding("abc"), nullptr);
  EXPECT_EQ(image->find_colliding("a.bc"), nullptr);
  EXPECT_EQ(image->find_colliding("a.b_d"), nullptr);
}

TEST(topic_names, kafkas_rules) {
  EXPECT_EQ(topic_name_fault("Good.name_1-x"), "");
  EXPECT_EQ(topic_name_fault(std::string(249, 'a')), "");
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."), std::string(250, 'a'),
                                 std::string("a b"), std::string("a/b"), std::string("ä")}) {
    EXPECT_NE(topic_name_fault(bad), "") << bad;
  }
}

TEST(response_queue, answers_leave_in_the_order_of_slots) {
  response_queue queue;
  const uint64_t first = queue.open();
  const uint64_t second = queue.open();
  queue.complete(second, {});
  EXPECT_FALSE(queue.has_ready());
  EXPECT_FALSE(queue.all_complete());
  EXPECT_TRUE(queue.take_ready(100).empty());
  queue.complete(first, {.bytes = iobuf(slice::copy_of(as_bytes("one"))), .budget_bytes = 5});
  const auto ready = queue.take_ready(100);
  ASSERT_EQ(ready.size(), 2u);
  EXPECT_EQ(ready[0].budget_bytes, 5);
  EXPECT_TRUE(queue.empty());
}

TEST(response_budget, a_spent_budget_makes_answers_small_and_nobody_wait) {
  response_budget budget(1'000'000);
  EXPECT_EQ(budget.take(900'000), 900'000);
  EXPECT_EQ(budget.take(900'000), response_budget::small_answer_bytes);
  budget.give_back(900'000 + response_budget::small_answer_bytes);
  EXPECT_EQ(budget.take(1'000'000), 1'000'000);
}

TEST(connection_quota, in_all_and_from_one_address) {
  connection_quota quota(3, 2);
  EXPECT_TRUE(quota.enter("1.1.1.1:5"));
  EXPECT_TRUE(quota.enter("1.1.1.1:6"));
  EXPECT_FALSE(quota.enter("1.1.1.1:7"));
  EXPECT_TRUE(quota.enter("[::1]:7"));
  EXPECT_FALSE(quota.enter("2.2.2.2:7"));
  quota.leave("1.1.1.1:5");
  EXPECT_TRUE(quota.enter("2.2.2.2:7"));
}

}  // namespace
}  // namespace millrace::broker
