// group_partition: one partition of __consumer_offsets with the groups on it, connected to the shard.
//
// Gives the engine its two ports (the partition's log in the shard's store, the reactor's clock) and keeps
// it going: reads the log at start, tells it what became durable, and after a failed append waits a while
// and reads the log anew. It also keeps the log as short as what is alive: whenever it has grown to several
// times that, all of it is written again at the end and the log begins there, so that neither the disk nor a
// restart pays for every commit there ever was.
//
// Runs on: the shard that owns the partition. Commits are appended without asking for admission: they are
// small, and a consumer must be able to say how far it got even while producers are held back.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include "base/result.h"
#include "broker/coord/engine.h"
#include "broker/coord/group/group_machine.h"
#include "runtime/abort.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/task.h"
#include "runtime/timer.h"
#include "storage/shard_store.h"

namespace millrace::broker::coord {

using runtime::task;

class group_partition final : private log_port, private clock_port {
 public:
  group_partition(storage::shard_store& store, storage::topic_partition_id id, const group_config& config,
                  const topic_source& topics);
  // Requires: close() was awaited.
  ~group_partition() override = default;

  const storage::topic_partition_id& id() const noexcept { return id_; }
  bool is_loading() const noexcept { return engine_.current_phase() == engine::phase::loading; }

  // Begins to load. An empty log is loaded when this returns.
  void open();
  // Answers everybody who waits, then ends what runs in the background.
  task<void> close();
  // The first half of close(): no request is taken from now on, none is left waiting.
  void stop();

  // Runs handler(group_machine&, step&, reply_to<R>) and gives what it answers, once that is durable.
  template <class R, class Handler>
  task<result<R>> ask(Handler handler) {
    std::optional<result<R>> answer;
    runtime::event answered;
    reply_to<R> reply([&answer, &answered](result<R> value) {
      answer = std::move(value);
      answered.set();
    });
    engine_.run(std::move(reply), [&](step& s, reply_to<R> to) { handler(machine_, s, std::move(to)); });
    co_await answered.wait();
    co_return *std::move(answer);
  }

  void forget_topic(std::string_view topic);
  void topics_changed() { machine_.topics_changed(); }
  void set_config(const group_config& config) { machine_.set_config(config); }

 private:
  // log_port
  result<uint64_t> append(std::span<const record> records, instant now) override;
  size_t batch_bytes_max() const override;
  // clock_port
  instant now() override;
  void wake_at(int64_t steady_ms) override;

  task<void> load();
  result<offset> replay_batches(const slice& batches);
  // Writes the picture again once the log is several times as long, and forgets what lies before it.
  void rewrite_if_long();
  task<void> rewrite();
  task<void> watch_commits();
  task<void> reload_later();

  storage::shard_store& store_;
  const storage::topic_partition_id id_;
  group_machine machine_;
  engine engine_;
  runtime::timer timer_;
  uint64_t appended_ = 0;  // positions are frames of the shard's log
  bool is_watching_ = false;
  uint64_t log_bytes_ = 0;  // behind the log's start
  const uint64_t log_bytes_min_;
  uint64_t rewrite_at_bytes_;
  bool is_rewriting_ = false;
  runtime::abort_source closing_;
  runtime::gate background_;
};

}  // namespace millrace::broker::coord
