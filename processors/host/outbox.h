// outbox: brings the records of one partition of an outbox topic to the partitions they are for.
//
// An output whose records choose their partition cannot be appended to in the frame of the input, since that
// partition may live on another shard. So the frame holds them in an outbox, a topic beside the input: with
// outputs, state and position of the same records, or not at all. From there this brings them on:
//
//   input's shard                                       target's shard
//   frame {outbox records, position of the input}
//      | durable
//   outbox::run: reads, sorts by target  -- parcels -->  inbox::take: frame {records, position in the outbox}
//      | <------------------------------- durable ---------- |
//   "arrived up to here", then trims the outbox
//
// The outbox's own shard sends, and the target's shard decides by its position what is new. (Were each target
// to fetch, every one of them would read the whole outbox, and had to be woken across shards for it.)
//
// Only durable records leave. Only what is durable at its target is trimmed, a portion at a time, so up to
// trim_after_bytes of records that have arrived stay behind. A target that cannot take records holds up the
// others of the same outbox partition; when bytes_max wait, the processor lags until there is room.
//
// Runs on: the owner shard of the outbox partition, which is the input's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "processors/host/inbox.h"
#include "processors/host/record_block.h"
#include "protocol/batch_builder.h"
#include "runtime/abort.h"
#include "runtime/event.h"
#include "storage/log/partition_log.h"

namespace millrace::processors {

// The topic of an output, as the metadata tell it.
struct output_topic {
  uuid id;
  int32_t partitions = 0;
  uint32_t placement_seed = 0;
  storage::durability kept = storage::durability::sync;
};

// What the processors of one shard must know of the others.
class neighbours {
 public:
  // As the current shard sees it now; nothing if there is no such topic.
  virtual std::optional<output_topic> find(const std::string& topic) const = 0;
  virtual uint32_t shard_count() const = 0;
  // The inbox of the current shard; null while its processors do not run.
  virtual inbox* here() const = 0;

 protected:
  ~neighbours() = default;
};

struct outbox_options {
  storage::topic_partition_id id;  // of the outbox
  std::string processor;
  std::string topic;  // that it sends to
  output_topic target;
  protocol::codec compression = protocol::codec::none;
  uint64_t bytes_max = 0;
  uint64_t trim_after_bytes = 0;
  // Told, once, why no more will leave until restart.
  std::function<void(const std::string&)> on_trouble;
};

class outbox final : private storage::log_watcher {
 public:
  // What is read, and sent, in one go.
  static constexpr uint32_t portion_bytes = 256 * 1024;

  // Requires: the store has the partition. Store and neighbours outlive run().
  outbox(outbox_options options, storage::shard_store& store, const neighbours& others);

  // Sends until stop(), or until the partition is gone or trouble came.
  static runtime::task<void> run(std::shared_ptr<outbox> self);
  void stop(std::string why = {});
  bool is_stopped() const { return stopping_.is_aborted(); }
  const std::string& why_stopped() const { return why_stopped_; }

  // To be told of every batch appended to the outbox.
  void note_appended(uint64_t bytes) { waiting_bytes_ += bytes; }
  bool is_full() const { return waiting_bytes_ >= options_.bytes_max; }
  // What has not arrived yet; more than that, for a moment, after a restart.
  uint64_t waiting_bytes() const { return waiting_bytes_; }
  const output_topic& target() const { return options_.target; }
  const std::string& topic() const { return options_.topic; }

 private:
  // A target partition's share of a portion.
  struct share {
    protocol::batch_builder builder;
    parcel made;
  };
  using by_partition = std::map<int32_t, share>;
  // Where a record goes.
  struct way {
    int32_t partition;
    uint32_t header_count;  // without the one that says so
  };

  runtime::task<void> send_all();
  runtime::task<bool> find_positions();
  runtime::task<bool> send_portion();
  std::optional<way> way_of(const millrace_record& record) const;
  bool sort(const slice& batch, by_partition& into);
  void add(const millrace_record& record, const way& to, by_partition& into);
  void finish(share& s);
  runtime::task<bool> send(by_partition shares);
  runtime::task<bool> deliver(shard_id to, std::vector<parcel> parcels);
  runtime::task<bool> trim(int64_t to);
  runtime::task<bool> wait_a_little();
  void give_up(std::string why);

  void log_advanced(storage::partition_log& log) override;
  void log_removed(storage::partition_log& log) override;

  const outbox_options options_;
  storage::shard_store& store_;
  const neighbours& others_;
  storage::log_watch watch_;
  runtime::event news_;
  runtime::abort_source stopping_;
  std::string why_stopped_;
  record_block block_;

  int64_t next_ = 0;                      // of the outbox: everything below has arrived, durably
  int64_t end_at_start_ = 0;              // of the outbox
  std::map<int32_t, int64_t> positions_;  // by target partition: everything below has arrived there
  uint64_t waiting_bytes_ = 0;
  uint64_t untrimmed_bytes_ = 0;
  uint64_t failures_ = 0;  // in a row, of attempts to deliver
};

}  // namespace millrace::processors
