// Kafka's rules for idempotent producers, one by one.
#include "storage/log/producer_state.h"

#include <gtest/gtest.h>

namespace millrace::storage {
namespace {

constexpr producer_id id{7};
constexpr producer_epoch epoch_0{0};
constexpr producer_epoch epoch_1{1};

void accept(producer_state& state, producer_epoch epoch, int32_t first, int32_t records, int64_t base) {
  const auto checked = state.check(id, epoch, first, records);
  ASSERT_TRUE(checked) << to_string(checked.error());
  ASSERT_FALSE(checked->has_value());
  state.update(
      id, epoch,
      {first, sequence_plus(first, records - 1), offset(base), offset(base + records - 1), 0, lsn(1)}, 1'000);
}

TEST(producer_state, the_last_five_batches_are_recognised_and_older_ones_are_out_of_order) {
  producer_state state;
  for (int i = 0; i < 7; ++i) accept(state, epoch_0, i * 2, 2, 100 + i * 2);
  for (int i = 2; i < 7; ++i) {
    const auto checked = state.check(id, epoch_0, i * 2, 2);
    ASSERT_TRUE(checked && checked->has_value());
    EXPECT_EQ((*checked)->base_offset, offset(100 + i * 2));
  }
  EXPECT_EQ(state.check(id, epoch_0, 2, 2).error().code, errc::out_of_order_sequence_number);
  EXPECT_EQ(state.check(id, epoch_0, 12, 1).error().code, errc::out_of_order_sequence_number)
      << "another last sequence";
  EXPECT_EQ(state.check(id, epoch_0, 16, 1).error().code, errc::out_of_order_sequence_number) << "a gap";
}

TEST(producer_state, an_unknown_producer_may_begin_anywhere) {
  producer_state state;
  EXPECT_TRUE(state.check(id, epoch_1, 5, 1));
}

TEST(producer_state, a_new_epoch_begins_at_zero_and_fences_the_old_one) {
  producer_state state;
  accept(state, epoch_0, 0, 3, 0);
  EXPECT_EQ(state.check(id, epoch_1, 3, 1).error().code, errc::out_of_order_sequence_number);
  accept(state, epoch_1, 0, 1, 3);
  EXPECT_EQ(state.check(id, epoch_0, 3, 1).error().code, errc::invalid_producer_epoch);
}

TEST(producer_state, sequences_wrap_inside_a_batch) {
  producer_state state;
  accept(state, epoch_0, INT32_MAX - 1, 4, 0);  // 2^31-2, 2^31-1, 0, 1
  EXPECT_TRUE(state.check(id, epoch_0, INT32_MAX - 1, 4)->has_value());
  accept(state, epoch_0, 2, 1, 4);
}

TEST(producer_state, silent_producers_expire) {
  producer_state state;
  accept(state, epoch_0, 0, 1, 0);
  state.expire(1'000);
  EXPECT_EQ(state.size(), 1u);
  state.expire(1'001);
  EXPECT_EQ(state.size(), 0u);
}

}  // namespace
}  // namespace millrace::storage
