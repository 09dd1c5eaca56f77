// store_core: shard_store as it is: the state of one shard's store and who works on it.
//
// The work is divided by file: append.cc (the append section), read.cc, maintenance.cc (spill, relog,
// checkpoint, eviction; one coroutine), retain.cc (what goes for its age or size; the same coroutine),
// clean.cc (compaction, another coroutine) and swap.cc (its end, in maintenance), recovery.cc (opening). All
// of it runs on the owning shard, so the state needs no lock; what matters is what may change across an
// await:
//   - a partition_log stays at its address until remove(), which waits for maintenance to let go of it
//   - only maintenance spills, rolls and relogs; appends only add behind the end
//   - readers copy what they need (segment_view) before they await; whoever opens files by name holds
//     log/name_lock.h meanwhile
//
// There are two write-ahead logs (lanes): frames of partitions with durability `sync` are synced before they
// count; those of `os` and `memory` are only written. A partition is in one lane for as long as the broker
// runs, with its processors' positions; see recovery.cc for what happens when its durability was changed.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/abort.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/timer.h"
#include "storage/checkpoint.h"
#include "storage/compaction.h"
#include "storage/fault.h"
#include "storage/log/batch_filter.h"
#include "storage/log/file_pool.h"
#include "storage/log/partition_log.h"
#include "storage/log/segment_writer.h"
#include "storage/retention.h"
#include "storage/shard_store.h"
#include "storage/spill.h"
#include "storage/wal/arena.h"
#include "storage/wal/file_set.h"
#include "storage/wal/reader.h"
#include "storage/wal/writer.h"

namespace millrace::storage {

class store_core final : public shard_store, private damage_listener {
 public:
  explicit store_core(store_options options);
  ~store_core() override;

  // recovery.cc
  task<result<void>> recover(std::vector<partition_spec> specs);
  // maintenance.cc
  task<result<void>> close() override;

  partition_log* find(const topic_partition_id& id) override;
  void for_each(const std::function<void(partition_log&)>& visit) override;
  result<partition_log*> create(partition_spec spec) override;
  task<result<void>> remove(topic_partition_id id) override;
  void reconfigure(partition_log& log, const partition_config& config) override;
  void set_producer_expiration(int64_t ms) override { options_.producer_expiration_ms = ms; }

  // append.cc
  task<result<void>> admit(uint64_t bytes) override;
  result<appended> append(partition_log& log, const protocol::checked_batch& batch,
                          append_origin origin) override;
  void set_cursor(const cursor_key& key, int64_t next_offset) override;
  void remove_cursor(const cursor_key& key) override;
  lsn open_lsn(const partition_log& log) const override { return writer_of(log).open_lsn(); }
  uint64_t open_frame_room(const partition_log& log) const override;
  void set_append_hook(append_hook hook) override { append_hook_ = std::move(hook); }
  task<result<void>> wait_durable(lsn at) override { return lane_at(at).writer->wait_durable(at); }
  task<result<void>> wait_durable(commit_mark at) override;
  bool is_durable(lsn at) const override { return lane_at(at).writer->is_durable(at); }
  std::optional<int64_t> cursor(const cursor_key& key) const override;
  std::vector<std::pair<cursor_key, int64_t>> cursors() const override;

  // read.cc
  task<result<fetched>> read(partition_log& log, read_request request) override;
  std::optional<result<fetched>> read_cached(partition_log& log, const read_request& request) override;
  task<result<std::optional<timestamped_offset>>> find_timestamp(partition_log& log, int64_t timestamp_ms,
                                                                 read_bound bound) override;
  task<result<std::optional<timestamped_offset>>> find_max_timestamp(partition_log& log) override;
  task<result<offset>> advance_log_start(topic_partition_id id, offset to) override;

  void set_retention_hold(retention_hold hold) override { retention_hold_ = std::move(hold); }

  const std::optional<error>& read_only_reason() const override { return read_only_; }
  bool is_disk_full() const override {
    return lanes_[0].waits_for_space || lanes_[1].waits_for_space || spill_waits_for_space_;
  }
  store_stats stats() const override;

 private:
  // A durable frame whose batches may still be in the cache.
  struct frame_record {
    lsn at{0};
    uint64_t bytes = 0;                                      // of memory
    std::vector<std::pair<partition_log*, offset>> touched;  // and where each log ended
  };

  // One write-ahead log, and what its open and sealed frames have touched.
  struct log_lane final : wal::commit_listener {
    log_lane(store_core& s, lane w) : store(s), which(w) {}

    void frame_sealed(lsn at) override { store.frame_sealed(*this, at); }
    void frame_durable(lsn at) override { store.frame_durable(*this, at); }
    void waiting_for_space(bool is_waiting) override;
    void file_filled() override { store.maintenance_work_.set(); }
    void failed(const error& reason) override { store.become_read_only(reason); }

    store_core& store;
    const lane which;
    std::unique_ptr<wal::file_set> files;
    std::unique_ptr<wal::writer> writer;
    std::vector<partition_log*> touched;     // by the open frame
    std::deque<frame_record> sealed_frames;  // not yet durable
    bool waits_for_space = false;
  };

  log_lane& at_lane(lane which) { return lanes_[static_cast<size_t>(which)]; }
  const log_lane& at_lane(lane which) const { return lanes_[static_cast<size_t>(which)]; }
  log_lane& lane_at(lsn at) { return at_lane(storage::lane_of(at)); }
  const log_lane& lane_at(lsn at) const { return at_lane(storage::lane_of(at)); }
  static lane which_lane(const partition_log& log) {
    return MILLRACE_FAULT(sync_in_wrong_lane) ? lane::unsynced : lane_for(log.config().durability);
  }
  log_lane& lane_of(const partition_log& log) { return at_lane(which_lane(log)); }
  wal::writer& writer_of(const partition_log& log) const { return *at_lane(which_lane(log)).writer; }
  // Of processors' positions; those of partitions that are gone are in the synced one.
  wal::writer& writer_of(const cursor_key& key) const;
  uint64_t wal_live_bytes() const;

  // append.cc
  void frame_sealed(log_lane& in, lsn at);
  void frame_durable(log_lane& in, lsn at);
  result<appended> append_one(partition_log& log, const protocol::checked_batch& batch, append_origin origin);
  result<void> make_room_for(wal::writer& writer, size_t body_bytes, append_origin origin);
  void touch(partition_log& log);
  void log_cursor(const cursor_key& key, int64_t next_offset);
  std::unexpected<error> refusal() const;

  // maintenance.cc
  task<void> maintain();
  task<result<void>> maintain_once();
  task<result<void>> serve_compaction();
  task<result<void>> trim(commit_mark through);
  task<result<void>> spill(topic_partition_id id);
  void relog(partition_log& log);
  task<result<void>> sync_segments();
  struct dead_segments {
    partition_log* log;  // held
    std::vector<segment> segments;
  };
  std::vector<dead_segments> retire_segments();
  task<result<void>> write_checkpoint(bool is_clean);
  task<result<void>> write_checkpoint_file(bool is_clean);
  task<result<void>> stop_cleanly();
  task<result<void>> journal_tail(partition_log& log, offset segment_base, uint64_t position, slice bytes);
  checkpoint snapshot() const;
  std::vector<topic_partition_id> ids_by_oldest_unspilled(commit_mark through) const;
  void keep_cached(frame_record record);
  void evict();
  bool has_pressure() const;
  void become_read_only(const error& reason);
  using partition_step = task<result<void>> (store_core::*)(topic_partition_id);
  struct line_up;
  task<result<void>> side_by_side(std::vector<topic_partition_id> ids, partition_step step);
  task<void> work_off(line_up& line);
  task<result<void>> sync_segment(topic_partition_id id);
  task<result<void>> finish(topic_partition_id id);
  void hold(const topic_partition_id& id) { maintained_.insert(id); }
  void release(const topic_partition_id& id);

  // retain.cc
  // A file of a segment that went: under the name that it waits with, or open and without a name.
  struct doomed_file {
    runtime::time_point at;
    std::string path;
    runtime::file nameless;
  };
  void begin_retention();
  task<result<void>> retain();
  task<result<void>> retain_one(topic_partition_id id);
  task<result<void>> roll_dead(topic_partition_id id);
  task<result<void>> tidy(topic_partition_id id);
  bool has_dead_segments() const;
  // clean.cc
  // New segments of a log, which wait to be put into the place of their sources.
  struct segment_swap {
    std::vector<offset> sources;  // by their bases; the first one is that of the new segment
    segment made;
    bool is_done = false;
  };
  struct compacted_log {
    topic_partition_id id;
    offset cleaned_to{0};
    std::vector<segment_swap> swaps;
  };
  using window_step = std::function<result<bool>(const slice& batches)>;
  task<void> compact_now_and_then();
  task<void> compact_all();
  task<std::vector<topic_partition_id>> dirty_logs();
  task<bool> compact_log(topic_partition_id id);
  task<result<void>> compact_scope(compacted_log& made, compaction_scope scope);
  task<result<void>> compact_by(compacted_log& made, compaction_scope scope, batch_filter& filter);
  task<result<void>> compact_group(compacted_log& made, const std::vector<offset>& sources,
                                   batch_filter& filter);
  task<result<void>> walk_segment(topic_partition_id id, offset base, const window_step& step,
                                  const std::vector<std::byte>* kept = nullptr,
                                  segment_writer* writer = nullptr);
  task<void> pause_after(uint64_t bytes);
  task<void> hand_over_compacted();
  compaction_scope compaction_scope_now(const partition_log& log);
  bool is_compaction_unwanted(const topic_partition_id& id) const;

  // swap.cc
  task<result<void>> swap_compacted();
  task<result<void>> swap_held();
  task<result<void>> swap_log(compacted_log& c);
  task<result<void>> rename_swaps(partition_log& log, compacted_log& c);
  task<result<void>> finish_swaps(partition_log& log);
  task<result<void>> settle_compacted();
  void show_compacted(checkpoint_partition& p) const;
  bool is_being_compacted(const topic_partition_id& id) const;

  task<void> retire_files(dead_segments dead);
  task<void> remove_doomed_now_and_then();
  task<void> remove_file(doomed_file& file);

  // scrub.cc
  void block_damaged(const segment_view& view, uint64_t at, uint64_t bytes) override;
  void records_damaged(const segment_view& view, uint64_t at, uint64_t bytes, offset from,
                       offset below) override;
  void sums_damaged(const std::string& path, size_t entries) override;
  bool is_news(const std::string& what);
  task<void> scrub();
  task<uint64_t> scrub_some(topic_partition_id id, offset base, uint64_t at);
  task<void> locate_damage(const segment_view& view, const segment_index& index, uint64_t at, uint64_t bytes);

  // recovery.cc
  task<result<void>> open_lane(log_lane& l, lane_ends known);
  task<result<lsn>> replay(log_lane& l, lane_ends known);
  task<result<void>> settle_lanes();
  void note_lane(const topic_partition_id& id, lsn at);
  result<void> redo(const wal::found_frame& frame, const std::string& where);
  result<void> redo_batch(const wal::found_frame& frame, const wal::batch_entry& entry,
                          const std::string& where);

  // read.cc
  task<result<found_batches>> read_segment(topic_partition_id id, batch_range range);
  task<result<std::shared_ptr<segment_index>>> index_of(topic_partition_id id, offset base);
  task<result<void>> load_sums_of(topic_partition_id id, offset base);
  // Of a segment whose checksums are loaded, if it has them.
  task<result<segment_view>> checked_view_of(topic_partition_id id, offset base);
  task<result<std::optional<timestamped_offset>>> search_batches(topic_partition_id id, int64_t timestamp_ms,
                                                                 offset from, offset below);

  store_options options_;
  std::unordered_map<topic_partition_id, std::unique_ptr<partition_log>> logs_;
  std::map<cursor_key, int64_t> cursors_;
  append_hook append_hook_;

  wal::arena arena_;
  std::array<log_lane, 2> lanes_{log_lane{*this, lane::synced}, log_lane{*this, lane::unsynced}};
  file_pool files_;
  spiller spiller_;

  std::deque<frame_record> cached_frames_;  // durable, oldest first
  // Partitions of durability `memory` that the call of append() in progress has appended to.
  std::vector<partition_log*> in_memory_;
  int append_depth_ = 0;
  uint64_t cached_bytes_ = 0;         // of batches
  uint64_t cached_frames_bytes_ = 0;  // of cached_frames_: what small batches really take
  uint64_t unspilled_bytes_ = 0;

  runtime::gate writer_gate_;
  runtime::gate maintenance_gate_;
  runtime::event maintenance_work_;
  runtime::condition room_;                            // unspilled bytes went down, or a state changed
  std::unordered_set<topic_partition_id> maintained_;  // maintenance refers to them across awaits
  runtime::condition maintained_changed_;
  bool is_closing_ = false;
  bool spill_waits_for_space_ = false;
  std::optional<error> read_only_;
  // While opening: the offsets up to which the checkpoint's producers reflect each log.
  std::unordered_map<topic_partition_id, offset> producers_end_;
  // While opening: a lane holds frames of a partition that now belongs to the other one.
  bool is_unsettled_ = false;

  // Log starts that are logged and not durable yet: a checkpoint that frees their frames must know them.
  std::unordered_map<topic_partition_id, offset> moving_log_starts_;
  retention_hold retention_hold_;
  retention_clock retention_clock_;
  std::unique_ptr<runtime::timer> retention_timer_;
  std::unique_ptr<runtime::timer> removal_timer_;
  bool is_retention_due_ = false;
  std::deque<doomed_file> doomed_;
  runtime::event doomed_changed_;
  uint64_t retired_segments_ = 0;

  std::vector<compacted_log> compacted_;
  bool is_swap_due_ = false;                       // maintenance is asked to put them into their place
  bool are_swaps_named_ = false;                   // the newest checkpoint may say that segments are swapping
  std::optional<topic_partition_id> spill_asked_;  // by compaction
  std::optional<topic_partition_id> compacting_;   // files are read and written for it
  bool is_compacted_log_leaving_ = false;          // and it is about to be removed
  std::unordered_set<topic_partition_id> uncompactable_;  // in this run
  runtime::condition compaction_changed_;
  uint64_t compactions_ = 0;
  uint64_t compacted_bytes_ = 0;

  runtime::abort_source background_end_;
  uint64_t scrubbed_bytes_ = 0;
  uint64_t damaged_blocks_ = 0;
  uint64_t damaged_checksums_ = 0;
  std::unordered_set<std::string> told_;  // damage that the log has told of
  offset damaged_below_{0};               // where the damage met last ends

  uint64_t appended_batches_ = 0;
  uint64_t appended_bytes_ = 0;
  uint64_t relogged_bytes_ = 0;
  uint64_t checkpoints_ = 0;
};

}  // namespace millrace::storage
