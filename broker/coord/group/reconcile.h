// reconcile: how far one member can go towards its target now.
//
//                 target has changed,                                    it reports that it
//                 it must give something up                              gave them up
//     stable ─────────────────────────────► unrevoked ──────────────────────────────┐
//       ▲  │                                                                        │
//       │  └── nothing to give up ──►  the target's epoch, with what is free ◄──────┘
//       │                                │               │
//       └────── it has all of it ◄───────┘               └──► unreleased: others still hold
//       └──────────────────────────── they let go ◄────────── some of it
//
// While a member has not given up what it must, it stays in its old epoch with what it may keep. So a
// partition is never assigned to a member before the one that had it is known to have stopped.
#pragma once

#include <functional>

#include "broker/coord/group/consumer_records.h"

namespace millrace::broker::coord {

struct reconcile_input {
  int32_t target_epoch = 0;
  const topic_partitions& target;
  // What the member says it has; null: it did not say, so as far as we know all that it had.
  const topic_partitions* owned = nullptr;
  // Whether nobody else has a partition.
  std::function<bool(const uuid& topic, int32_t partition)> is_free;
};

consumer_assignment reconcile(const consumer_assignment& now, const reconcile_input& in);

}  // namespace millrace::broker::coord
