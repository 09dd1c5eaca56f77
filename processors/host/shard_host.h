// shard_host: runs the processors of one shard.
//
// Every batch appended to a partition that some processor reads comes by (the store's append hook). If the
// processor has seen everything before it, the batch is processed at once: outputs and the new position go
// into the frame that holds the batch, so all of it becomes durable, or none. Otherwise the flow lags: one
// coroutine per shard reads from the flow's position and does the same in later frames, in portions, until
// the flow has caught up. Both ways end in advance(), and both keep the rule of flow.h, so a derived record
// exists exactly once for every reader, whatever crashes.
//
// A flow lags if it was behind at start-up, if a batch is large (inline_bytes_max), if its outputs did not
// fit the frame, or if processors have used up their time in this turn of the shard. One whose calls are too
// long, and one that was deployed so, goes on *apart* (apart.cc): its calls run on a thread of its processor,
// and what comes of them is appended here, in a later frame. Same rule, same results; only the moment
// differs.
//
// After a processor ran, the checksums of the batches it could have reached through a stray pointer are
// compared; if one is wrong the process ends before the frame is written.
//
// Runs on: the owner shard. Destroying it requires that close() was awaited, if start() was called.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "processors/host/breadcrumb.h"
#include "processors/host/deployment.h"
#include "processors/host/derived_batches.h"
#include "processors/host/flow.h"
#include "processors/host/inbox.h"
#include "processors/host/outbox.h"
#include "processors/host/processor_thread.h"
#include "processors/host/record_block.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/task.h"
#include "storage/shard_store.h"

namespace millrace::processors {

struct host_options {
  // For snapshots of state; none are written or read if it is empty.
  std::string state_directory;
  // Changelog after which a snapshot is written, unless the state itself is larger. So a start reads at most
  // the snapshot and about as much of the changelogs again, or this.
  uint64_t snapshot_after_bytes = 4 * 1024 * 1024;
  // Where calls are noted; may be null. Outlives the host.
  breadcrumb* crumb = nullptr;
  // For outputs whose records go to other partitions; outlives the host. Without it such a processor pauses.
  const neighbours* others = nullptr;
  // What has arrived stays in an outbox until it is this much.
  uint64_t outbox_trim_after_bytes = 1024 * 1024;
  // What a later stage has taken stays in the topic before it until it is this much.
  uint64_t repartition_trim_after_bytes = 1024 * 1024;
  // What one call, and all calls in a turn of the shard, may take of its thread's time; 0: any time. After
  // overruns_max calls that took longer a flow goes apart; what does not fit the turn lags.
  std::chrono::nanoseconds batch_budget{0};
  std::chrono::nanoseconds turn_budget{0};
  uint32_t overruns_max = 5;
  // How long a flow that has gone apart stays so at least.
  std::chrono::nanoseconds apart_min = std::chrono::seconds(10);
  // A process that does not return from a call within this is killed.
  std::chrono::milliseconds deadline = std::chrono::seconds(30);
  // Whether calls apart get threads; else the shard's backend runs them.
  bool has_threads = false;
  // Makes the page where such a thread notes its calls; may be empty. The page outlives the host.
  std::function<std::shared_ptr<breadcrumb>()> crumb_of_thread;
  // Of the store: what a frame holds at most.
  uint64_t frame_bytes_max = limits::frame_bytes_max;
};

class shard_host {
 public:
  // Batches that inflate to more than this are committed alone and processed in later frames.
  static constexpr uint64_t inline_bytes_max = 256 * 1024;
  // Input that one catch-up call gets at most, and a round of calls before it waits for the disk.
  static constexpr uint64_t portion_bytes = 256 * 1024;
  static constexpr uint64_t round_bytes = 1024 * 1024;

  // The store outlives the host.
  shard_host(deployment what, storage::shard_store& store, host_options options = {});
  ~shard_host();
  shard_host(const shard_host&) = delete;
  shard_host& operator=(const shard_host&) = delete;

  // Takes the store's append hook, starts a flow for every partition there is, and the catch-up.
  void start();
  // Ends the catch-up and lets go of the hook. Positions are in the store; nothing else needs saving.
  runtime::task<void> close();

  // Goes over to another set of processors. Flows of what is not in it end, at a batch boundary; those whose
  // processor is another object in it are made anew and go on from the same position, with the state in
  // memory if it fits; new processors get their flows. One call at a time; returns when all of it is done.
  runtime::task<void> adopt(deployment now);
  // Drops position, state and snapshots of a processor that is not deployed any more, as far as this shard
  // has them; returns when that is durable.
  runtime::task<void> forget(std::string name);

  // To be called for every partition created in the store after start(); order does not matter.
  void partition_opened(const storage::partition_log& log);
  // To be called before the store removes it: flows from it end, flows into it pause.
  void partition_removed(const storage::topic_partition_id& id);

  // The lowest offset of an input that a processor still has to read; nothing if none reads it.
  std::optional<offset> needed_from(const storage::topic_partition_id& input) const;
  // To be called when a topic has come or gone, wherever it lives: it may be one that records are sent to.
  void topics_changed();

  std::vector<flow_status> status() const;
  // What other shards send to this one; they come by it on this shard.
  inbox& incoming() { return inbox_; }

 private:
  using flow_ptr = std::shared_ptr<flow>;
  // A batch as stored, on its way through the processors that read its partition.
  struct passing_batch {
    storage::topic_partition_id at;
    slice stored;
    slice plain;
  };
  // How far advance() came: the whole block is behind the cursor; more of it is left; its output needs an
  // emptier frame; the flow is paused.
  // `turn`: another input's records come first.
  enum class progress : uint8_t { all, some, turn, no_room, stopped };

  // --- life of a flow ---
  void note_opened(const storage::partition_log& log);
  void start_waiting(std::optional<int32_t> partition);
  flow_ptr heir_of(flow& f, deployed_ptr processor) const;
  void choose_start(flow& f);
  runtime::task<void> find_start(flow_ptr f);
  runtime::task<result<int64_t>> offset_of_start(storage::topic_partition_id id, int64_t at_ms);
  void try_start(flow& f);
  std::optional<std::string> unfit_target(const flow& f, const storage::partition_log& input) const;
  void begin_processing(flow& f, const std::optional<std::string>& new_state_version);
  void settle(flow& f);  // running or lagging, by its cursor
  void lag(const flow_ptr& f);
  void pause(flow& f, std::string why);
  void finish(flow& f);
  void hold(flow& f);
  flow_ptr pointer_to(const flow& f) const;

  // --- which topics belong to each other (lineage.cc) ---
  storage::cursor_key output_mark(const flow& f, size_t output) const;
  storage::cursor_key input_mark(const processor_spec& spec, const std::string& input,
                                 const storage::topic_partition_id& output) const;
  static bool is_mark_of(const storage::cursor_key& key, std::string_view processor);
  std::optional<std::string> foreign_output(const flow& f) const;
  void mark_outputs(const flow& f);
  void forget_marks(const storage::topic_partition_id& id);

  // --- shadows (shadow.cc) ---
  flow_ptr original_of(const flow& f) const;
  bool may_begin_shadow(const flow& f) const;
  void begin_shadow(flow& f);
  runtime::task<void> migrate_shadow(flow_ptr f, uint32_t from_version, std::vector<int64_t> live_ends);
  void settle_shadow(flow& f, const std::vector<int64_t>& live_ends);
  void wake_shadows(const flow& f);
  storage::cursor_key compared_mark(const flow& f, size_t output,
                                    const storage::topic_partition_id& live) const;
  std::vector<compared_output> compared(const flow& f) const;

  // --- outputs that choose their partition (routing.cc) ---
  bool find_routes(flow& f);
  std::shared_ptr<outbox> outbox_of(const deployed_processor& p, size_t output, const output_topic& target,
                                    const storage::topic_partition_id& id);
  void start_outboxes();

  // --- between stages (trim.cc) ---
  void note_taken(flow& f, uint64_t bytes);
  runtime::task<void> trim(flow_ptr f, size_t number, offset to, lsn durable_at);

  // --- state (restore.cc) ---
  std::optional<std::string> unfit_state(const flow& f, bool has_cursor) const;
  runtime::task<void> restore(flow_ptr f);
  runtime::task<void> try_restore(flow_ptr f);
  runtime::task<std::optional<std::string>> migrate(flow_ptr f, uint32_t from_version);
  runtime::task<std::optional<std::string>> find_room(flow_ptr f);
  std::optional<std::vector<offset>> take_snapshot(flow& f, const std::string& path, bytes_view file);
  runtime::task<result<void>> read_changelog(flow_ptr f, size_t store, offset from);
  void snapshot_if_due(flow& f);
  runtime::task<void> write_snapshot(flow_ptr f);
  runtime::task<result<void>> try_write_snapshot(flow_ptr f);
  runtime::task<void> remove_snapshot(storage::cursor_key owner);

  // --- inline ---
  void on_append(storage::partition_log& log, const slice& stored, const protocol::checked_batch& batch);
  void drain();
  void offer(const passing_batch& passing);

  // --- several inputs (inputs.cc) ---
  std::vector<flow_ptr> flows() const;
  bool has_positions(const flow& f) const;
  void forget_positions(const flow& f);
  void leave_inputs(const flow_ptr& f);
  std::optional<std::string> unfit_inputs(const flow& f) const;
  derived_batch order_entry(const flow& f, int64_t until);
  bool is_others_turn(flow& f, record_block& block) const;
  bool turn_to_oldest(flow& f);

  // --- one call and its consequences, in the append section ---
  progress advance(flow& f, record_block& block, uint64_t input_bytes_max, bool is_late);
  std::optional<std::span<const millrace_record>> next_records(flow& f, record_block& block,
                                                               uint64_t input_bytes_max);
  progress conclude(flow& f, record_block& block, std::span<const millrace_record> records,
                    const run_outcome& outcome, bool is_late, uint64_t& input_bytes);
  run_outcome run_here(flow& f, std::span<const millrace_record> records);
  static void note_time(flow& f, std::chrono::nanoseconds took, const run_outcome& outcome);
  void note_time_on_shard(flow& f, std::chrono::nanoseconds took, size_t records);
  bool is_turn_over() const;
  uint64_t output_bytes_for(const flow& f) const;
  // What still fits the open frame that the flow's outputs go to.
  uint64_t frame_room(const flow& f) const;
  bool has_room_for(const flow& f, std::span<const derived_batch> batches, uint64_t more_bytes = 0) const;
  std::span<derived_batch> batches_of(flow& f, std::span<const millrace_record> causes);
  bool append_all(flow& f, std::span<derived_batch> batches);
  void move_cursor(flow& f, int64_t to);
  progress on_failure(flow& f, record_block& block, int64_t at, const run_outcome& outcome);
  progress on_trouble(flow& f, record_block& block, std::span<const millrace_record> records,
                      const run_outcome& outcome);
  result<std::unique_ptr<instance>> make_instance(flow& f);
  bool try_again_later(flow& f, int64_t at, const std::string& why);
  derived_batch letter_for(const flow& f, record_block& block, int64_t at, const run_outcome& outcome);
  progress drop_timer(flow& f, const millrace_record& at, const run_outcome& outcome,
                      std::optional<derived_batch>& letter);
  void check_memory(const flow& f, const record_block& block) const;

  // --- catch-up ---
  runtime::task<void> catch_up_loop();
  runtime::task<uint64_t> catch_up(flow_ptr f);
  runtime::task<bool> refill(flow_ptr f);
  runtime::task<bool> has_records(flow_ptr f);
  uint64_t advance_from_backlog(flow& f);
  bool has_next_block(flow& f);

  // --- apart from the shard (apart.cc) ---
  void go_apart(flow& f);
  void heed_suspicions(flow& f);
  void come_back(flow& f);
  runtime::task<void> work_apart(flow_ptr f);
  runtime::task<uint64_t> catch_up_apart(flow_ptr f);
  runtime::task<run_outcome> run_apart(flow_ptr f, std::span<const millrace_record> records);
  processor_thread& thread_of(const flow& f);

  deployment what_;
  storage::shard_store& store_;
  const host_options options_;

  std::unordered_map<storage::topic_partition_id, std::vector<flow_ptr>> by_input_;
  std::map<std::pair<std::string, int32_t>, storage::topic_partition_id>
      opened_;  // by topic name and partition

  inbox inbox_;
  std::map<storage::topic_partition_id, std::shared_ptr<outbox>> outboxes_;  // by their own partition

  std::deque<passing_batch> passing_;
  std::vector<slice> touched_;  // appended during the current drain
  bool is_draining_ = false;
  record_block inline_block_;
  batch_assembler assembler_;
  runtime::time_point turn_began_;
  std::chrono::nanoseconds turn_used_{};  // by calls, since then

  std::deque<flow_ptr> queue_;
  std::map<std::string, std::unique_ptr<processor_thread>> threads_;  // by processor
  runtime::condition work_;
  runtime::gate gate_;
  bool is_started_ = false;
  bool is_stopping_ = false;
};

// Cuts what a read gave into batches.
result<void> cut_into_batches(const iobuf& records, std::deque<slice>& out);

}  // namespace millrace::processors
