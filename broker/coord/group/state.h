// group_state: the states of a classic group and the moves between them.
//
//                      first member              all rejoined, or time is up
//          empty ───────────────────► preparing ─────────────────────────► completing
//            ▲ ▲                       ▲  ▲   │                                │  │
//            │ └───────────────────────┼──┼───┘ nobody came back               │  │
//            │                         │  └────────────────────────────────────┘  │ the leader's
//            │                         │      a member came, left or fell silent  │ assignment
//            │                         └──────────────── stable ◄─────────────────┘
//            └─ every state ends in dead when the group is deleted; only an empty one may be
//
// The table below is what is asserted on each move.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace millrace::broker::coord {

enum class group_state : uint8_t { empty, preparing_rebalance, completing_rebalance, stable, dead };

struct group_state_row {
  group_state state;
  std::string_view name;        // as DescribeGroups and ListGroups spell it
  uint8_t from;                 // bit set of the states it may come from
  bool has_members;             // whether a group in this state has members: yes
  bool may_keep_joins_waiting;  // JoinGroup requests may be parked
  bool may_keep_syncs_waiting;  // SyncGroup requests may be parked
};

constexpr uint8_t bit(group_state s) {
  return static_cast<uint8_t>(1u << static_cast<unsigned>(s));
}

inline constexpr std::array<group_state_row, 5> group_states{{
    {group_state::empty, "Empty", bit(group_state::preparing_rebalance), false, false, false},
    {group_state::preparing_rebalance, "PreparingRebalance",
     bit(group_state::empty) | bit(group_state::completing_rebalance) | bit(group_state::stable), true, true,
     false},
    {group_state::completing_rebalance, "CompletingRebalance", bit(group_state::preparing_rebalance), true,
     false, true},
    {group_state::stable, "Stable", bit(group_state::completing_rebalance), true, false, false},
    {group_state::dead, "Dead", bit(group_state::empty), false, false, false},
}};

constexpr const group_state_row& row_of(group_state s) {
  return group_states[static_cast<size_t>(s)];
}
constexpr std::string_view name_of(group_state s) {
  return row_of(s).name;
}
constexpr bool may_move(group_state from, group_state to) {
  return (row_of(to).from & bit(from)) != 0;
}

}  // namespace millrace::broker::coord
