// lives: one disk, many lives of a broker's storage upon it, each ended by a power cut, a kill or a stop.
//
// In every life the stores of all shards open, what they hold is compared with the model, and then
// clients work: idempotent producers that repeat themselves, plain ones, large batches, readers, topics
// coming and going, a processor-like hook that derives one topic from another, disks that fill up. At
// the chosen change of the disk the power goes. The number of shards changes from life to life. Topics of all
// durabilities are written side by side; in some stories a topic's durability changes from life to life.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace millrace::sim_test {

struct run_result {
  uint64_t lives = 0;  // power cuts and kills that were recovered from
  uint64_t appended = 0;
  uint64_t acknowledged = 0;
  uint64_t derived = 0;
  uint64_t duplicates = 0;
  uint64_t suffixes_lost = 0;  // by partitions of durability os or memory
  uint64_t compactions = 0;    // of one log each
  uint64_t changes = 0;        // of the disk
  uint64_t hidden = 0;         // offsets that were refused because a bit had been flipped
  std::optional<std::string> failure;
};

struct run_options {
  int lives = 10;
  bool verbose = false;
};

// The same seed gives the same run.
run_result run_lives(uint64_t seed, run_options options);

}  // namespace millrace::sim_test
