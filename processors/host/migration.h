// migration: brings the state of one partition from an earlier version to that of its library.
//
// The library gets each entry of its stores once, and changes what has to be changed. All changes pile up in
// the partition_state, uncommitted; whoever runs the migration commits them together, in one frame, or takes
// all of them back. Runs on: the partition's owner shard, in steps, so that others get their turns; for a
// flow apart, on the processor's thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "processors/host/instance.h"

namespace millrace::processors {

class migration {
 public:
  // Both outlive it. `state` is restored, and nothing in it is uncommitted.
  migration(instance& code, partition_state& state, uint32_t from_version);

  // Goes on with up to so many entries; false when all are done. The error says which entry failed, and why:
  // then the changes so far are to be dropped.
  result<bool> step(size_t entries_max);

 private:
  void take_keys();

  instance& code_;
  partition_state& state_;
  const uint32_t from_version_;
  uint32_t store_ = 0;
  std::vector<std::string> keys_;  // of that store, when its turn came
  size_t next_ = 0;
};

}  // namespace millrace::processors
