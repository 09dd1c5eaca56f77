// The part of shard_host that removes from the topics between stages what the later stage has taken.
#include "base/log.h"
#include "processors/host/shard_host.h"

namespace millrace::processors {

// Notes that so many bytes more of the input at work are done.
void shard_host::note_taken(flow& f, uint64_t bytes) {
  flow_input& from = f.input();
  if (!from.is_between_stages) return;
  from.untrimmed_bytes += bytes;
  if (from.untrimmed_bytes < options_.repartition_trim_after_bytes || from.is_trimming || is_stopping_)
    return;
  // What all that read it have taken.
  const std::optional<offset> to = needed_from(from.id);
  const storage::partition_log* log = store_.find(from.id);
  if (!to || !log || *to <= log->log_start()) return;
  from.untrimmed_bytes = 0;
  from.is_trimming = true;
  gate_.spawn(trim(pointer_to(f), f.at_work, *to, store_.open_lsn(*log)));
}

// Removes records once their having been taken is durable.
runtime::task<void> shard_host::trim(flow_ptr f, size_t number, offset to, lsn durable_at) {
  flow_input& from = f->inputs[number];
  const storage::topic_partition_id id = from.id;
  const auto durable = co_await store_.wait_durable(durable_at);
  if (durable && store_.find(id)) {
    const auto trimmed = co_await store_.advance_log_start(id, to);
    if (!trimmed && !is_stopping_)
      log::warn("what a stage has taken cannot be removed processor={} partition={} why=\"{}\"",
                f->processor.spec.name, f->partition(), to_string(trimmed.error()));
  }
  from.is_trimming = false;
}

}  // namespace millrace::processors
