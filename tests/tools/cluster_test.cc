#include "tools/kafka/cluster.h"

#include <gtest/gtest.h>

namespace millrace::tools {
namespace {

TEST(cluster, what_has_no_leader_or_lacks_a_copy_is_ailing) {
  const std::vector<topic_info> topics{
      {.name = "good", .partitions = {{.id = 0, .leader = 1, .replicas = {1, 2}, .in_sync = {2, 1}}}},
      {.name = "bad",
       .partitions = {{.id = 0, .leader = 2, .replicas = {1, 2, 3}, .in_sync = {2}},
                      {.id = 1, .leader = 1, .replicas = {1}, .in_sync = {1}},
                      {.id = 2, .leader = -1, .replicas = {3}, .in_sync = {}}}}};
  const auto found = ailing_among(topics);
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(name_of(found[0].what), "under_replicated");
  EXPECT_EQ(found[0].topic, "bad");
  EXPECT_EQ(found[0].partition, 0);
  EXPECT_EQ(found[0].missing, (std::vector<int32_t>{1, 3}));
  EXPECT_EQ(name_of(found[1].what), "no_leader");
  EXPECT_EQ(found[1].partition, 2);
  EXPECT_TRUE(ailing_among({topics[0]}).empty());
}

}  // namespace
}  // namespace millrace::tools
