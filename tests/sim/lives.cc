#include "tests/sim/lives.h"

#include <algorithm>
#include <fmt/format.h>
#include <memory>

#include "storage/checkpoint.h"
#include "storage/layout.h"
#include "tests/sim/life.h"

namespace millrace::sim_test {

namespace {

// Bits flip in what the last life has left, one at a time.
void read_with_flipped_bits(story& s, const sim_disk& left) {
  std::vector<std::string> paths;
  for (const std::string& path : left.files())
    if (path.ends_with(".log") && path.starts_with("/data/topic") && left.content(path)->size() > 0)
      paths.push_back(path);
  for (int flips = 0; flips < 4 && !paths.empty() && !s.known.failure; ++flips) {
    auto disk = left.after_kill(s.random.next());
    const std::string& path = paths[s.random.below(paths.size())];
    const uint64_t at = s.random.below(left.content(path)->size());
    disk->flip(path, at, static_cast<std::byte>(1u << s.random.below(8)));
    sim_world world(s.random.next(), {.shards = 3, .disk = disk});
    life l(s, 3);
    l.disk_ = disk.get();
    l.world_ = &world;
    world.run(l.run_on_damaged_disk());
  }
}

// After an orderly stop the file of each segment is whole batches and nothing else, as Kafka's own tools want
// it. (A crash may leave files of segments that never became part of a log; those hold anything.)
void check_files(story& s, const sim_disk& disk, uint32_t shards) {
  for (uint32_t shard = 0; shard < shards; ++shard) {
    const std::string from = layout::checkpoint_file("/data", shard);
    const auto written = disk.content(from);
    if (!written) return s.known.fail("{} is not there after a stop", from);
    const auto known = decode_checkpoint(*written, from);
    if (!known) return s.known.fail("{}", to_string(known.error()));
    for (const checkpoint_partition& p : known->partitions)
      for (const segment& one : p.segments) {
        const std::string path =
            layout::log_file(layout::partition_directory("/data", p.topic_name, p.id.partition), one.base);
        const auto bytes = disk.content(path);
        if (!bytes) return s.known.fail("{} is not there", path);
        for (size_t at = 0; at < bytes->size();) {
          const auto header = protocol::parse_batch(bytes_view(*bytes).subspan(at));
          if (!header || header->size_bytes() > bytes->size() - at)
            return s.known.fail("{} of {} bytes has no batch at {}", path, bytes->size(), at);
          at += header->size_bytes();
        }
      }
  }
}

}  // namespace

run_result run_lives(uint64_t seed, run_options options) {
  story s(seed, options);
  for (int i = 0; i < 6; ++i) {
    producer p;
    p.id = 100 + i;
    p.target = {id_of(i < 2 ? 0 : 4 + i), static_cast<int32_t>(s.random.below(partitions_per_topic))};
    s.producers.push_back(p);
  }
  auto disk = std::make_shared<sim_disk>(s.random.next());
  uint64_t changes_of_a_life = 400;
  s.second_flow = static_cast<durability>(s.random.below(3));
  s.has_scrub = s.random.one_in(2);
  s.has_retention = !s.random.one_in(4);
  if (s.random.one_in(5)) s.durability_step = 1 + s.random.below(2);
  // Every third story is about moving between numbers of shards, with little work in between.
  const bool is_restless = seed % 3 == 0;
  for (s.life = 0; s.life < options.lives && !s.known.failure; ++s.life) {
    const uint32_t shards = s.life == 0 || !(is_restless || s.random.one_in(3))
                                ? 3
                                : static_cast<uint32_t>(1 + s.random.below(shards_max));
    if (s.life > 0 && s.random.one_in(2)) s.durability_shift += s.durability_step;
    const uint64_t world_seed = s.random.next();
    sim_world world(world_seed, {.shards = shards, .disk = disk});
    life l(s, shards);
    l.disk_ = disk.get();
    l.world_ = &world;
    l.steps = static_cast<int>(is_restless ? 1 + s.random.below(3) : 5 + s.random.below(25));
    l.stops_cleanly = s.random.one_in(6);
    const uint64_t before = disk->change_count();
    if (!l.stops_cleanly) {
      // Early ones meet recovery and the placing of partitions, late ones the work.
      const uint64_t range = s.random.one_in(4) ? 60 : changes_of_a_life;
      disk->crash_at(before + 1 + s.random.below(range));
    }
    world.run(l.run());
    if (options.verbose)
      fmt::print("life {}: shards {}, {}, {} changes\n", s.life, shards,
                 disk->has_crashed() ? "crashed" : "stopped", disk->change_count() - before);
    if (!disk->has_crashed()) check_files(s, *disk, shards);
    const uint64_t changes = disk->change_count() - before;
    changes_of_a_life =
        std::max<uint64_t>(50, std::min<uint64_t>(2000, (changes_of_a_life + changes) * 5 / 8));
    s.outcome.changes += changes;
    if (disk->has_crashed()) {
      ++s.outcome.lives;
      const bool is_kill = s.random.one_in(4);
      disk = is_kill ? disk->after_kill(s.random.next()) : disk->after_power_cut(s.random.next());
      s.known.ended(is_kill ? ending::kill : ending::power_cut);
    }
  }
  if (!s.known.failure) read_with_flipped_bits(s, *disk);
  s.outcome.suffixes_lost = s.known.suffixes_lost;
  s.outcome.failure = s.known.failure;
  if (s.outcome.failure) *s.outcome.failure = fmt::format("life {}: {}", s.life - 1, *s.outcome.failure);
  return s.outcome;
}

}  // namespace millrace::sim_test
