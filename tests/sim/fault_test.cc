// fault_test: proves that crash_test can fail.
//
//   fault_test [--only NAME] [--seed S] [--points N]
//
// Switches on one seeded fault at a time (storage/fault.h) and runs the stories of crash_test; each fault
// must be noticed within three times the crashes of one CI run of crash_test; most are within a hundred, the
// rarest want some thousands, and which thousands is up to the seed. A fault that makes storage abort on one
// of its own assertions counts as noticed, so each runs in a process of its own.
#include "storage/fault.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/lives.h"

namespace {

struct seeded_fault {
  const char* name;
  const char* meaning;
};

constexpr seeded_fault faults[] = {
    {"ack_before_durable", "an append is acknowledged when it is in memory"},
    {"skip_wal_sync", "frames are written without waiting for the disk"},
    {"missing_wal_name_sync", "a new WAL file's name is not made durable"},
    {"recovered_not_synced", "frames read back after a kill are served before they are synced"},
    {"checksum_ignored", "a torn frame is believed"},
    {"generation_ignored", "old frames behind the end of a recycled file are believed"},
    {"wrong_truncation", "recovery takes a seal for the end of the log"},
    {"skip_segment_sync", "a checkpoint names segments that were not synced"},
    {"checkpoint_before_segment_sync", "segments are never synced before a checkpoint"},
    {"checkpoint_in_place", "a checkpoint is written over the old one"},
    {"recycle_before_checkpoint", "WAL files are reused before the checkpoint that frees them is durable"},
    {"trim_too_far", "the trim point ignores batches that are only in the WAL"},
    {"tail_forgotten", "a checkpoint does not carry the last partial block"},
    {"roll_without_tail", "a full segment is closed without its last partial block"},
    {"not_trimmed", "a segment that ends keeps what its file has behind the last batch"},
    {"missing_segment_name_sync", "a new segment's name is not made durable"},
    {"relog_forgets", "copies of small remains are written under no partition"},
    {"relog_without_redo_point", "replay does not know that older frames were superseded"},
    {"producers_forgotten", "a checkpoint does not carry producer state"},
    {"duplicate_early", "a duplicate is acknowledged before its original is durable"},
    {"duplicate_written", "a duplicate is appended again"},
    {"watermark_at_seal", "the high watermark moves when a frame is sealed"},
    {"watermark_of_last_append", "the high watermark moves to the log's end, not the frame's"},
    {"read_above_watermark", "reads give what is not durable"},
    {"evict_unspilled", "the cache drops a batch that no segment holds"},
    {"output_in_later_frame", "what a processor derives follows in the next frame"},
    {"cursor_not_logged", "a processor's position is kept in memory only"},
    {"unsynced_lane_never_synced", "a checkpoint goes ahead of the frames of os and memory that it reflects"},
    {"gap_believed", "recovery reads on behind a hole in the unsynced log"},
    {"lanes_not_settled", "frames stay in the log of a durability that the topic no longer has"},
    {"sync_in_wrong_lane", "partitions of durability sync are written to the unsynced log"},
    {"retention_passes_cursor", "retention does not ask what a processor still needs"},
    {"log_start_not_logged", "the log start moves in memory only, before what depends on it"},
    {"deleted_before_checkpoint", "segments leave the disk while a durable checkpoint still names them"},
    {"sums_not_compared", "blocks are served without a look at their checksums"},
    {"sums_not_saved", "a checkpoint counts on checksums that were not written"},
    {"sums_not_synced", "a checkpoint counts on checksums that were not synced"},
    {"compaction_keeps_the_older", "of each key an older record is kept"},
    {"compaction_passes_cursor", "compaction does not ask what a processor still needs"},
    {"tombstones_go_at_once", "tombstones are not kept for their time"},
    {"compacted_not_synced", "a checkpoint names compacted segments that were not synced"},
    {"swap_names_not_synced", "a checkpoint names compacted segments whose names are not durable"},
    {"compacted_before_in_place", "segments leave the disk before those made of them have taken their place"},
    {"swapped_before_checkpoint", "compacted segments take their place before a checkpoint names them"},
    {"swap_not_finished", "recovery leaves compacted segments beside those that they replace"},
    {"swap_mark_stays", "a checkpoint still says that segments are swapping when the next ones are written"},
    {"metadata_not_synced", "a topic's creation is acknowledged before it is durable"},
};

enum class verdict { noticed, missed };

verdict try_fault(const seeded_fault& fault, uint64_t seed, uint64_t points) {
  const pid_t child = ::fork();
  if (child == 0) {
    if (!std::freopen("/dev/null", "w", stderr)) ::_exit(3);
    millrace::storage::active_fault() = fault.name;
    for (uint64_t lives = 0; lives < points; ++seed) {
      const auto r = millrace::sim_test::run_lives(seed, {});
      lives += r.lives;
      if (r.failure) {
        fmt::print("noticed  {:<32} after {:>4} crashes: {}\n", fault.name, lives, *r.failure);
        std::fflush(stdout);
        ::_exit(1);
      }
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) fmt::print("noticed  {:<32} by an assertion\n", fault.name);
  std::fflush(stdout);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? verdict::missed : verdict::noticed;
}

uint64_t number_or(const char* text, uint64_t otherwise) {
  if (!text) return otherwise;
  uint64_t value = otherwise;
  std::from_chars(text, text + std::strlen(text), value);
  return value;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t seed = number_or(std::getenv("MILLRACE_SEED"), 1);
  uint64_t points = 30'000;
  std::string_view only;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view flag = argv[i];
    if (flag == "--only") only = argv[i + 1];
    if (flag == "--seed") seed = number_or(argv[i + 1], seed);
    if (flag == "--points") points = number_or(argv[i + 1], points);
  }
  fmt::print("first seed {}\n", seed);
  std::fflush(stdout);
  int missed = 0;
  for (const seeded_fault& fault : faults) {
    if (!only.empty() && only != fault.name) continue;
    if (try_fault(fault, seed, points) == verdict::noticed) continue;
    ++missed;
    fmt::print("MISSED   {:<32} in {} crashes: {}\n", fault.name, points, fault.meaning);
  }
  fmt::print("{} of {} faults were noticed\n", std::size(faults) - static_cast<size_t>(missed),
             std::size(faults));
  return missed == 0 ? 0 : 1;
}
