// spec: how an operator deploys a processor, and the checks that need nothing but configuration.
//
// A [[processor]] table of the configuration file becomes one processor_spec. Specs are checked together,
// because processors form chains: the output of one may be the input of the next. What must hold:
//
//   1. names of processors are distinct (a processor's stored position is known by its name)
//   2. no topic is derived, through any number of processors, from itself
//   3. no chain is longer than depth_max processors
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "protocol/codec.h"

namespace millrace::processors {

// What happens after process() failed for a record.
enum class error_policy : uint8_t {
  pause,  // processing of that partition stops before the record until restart; the input stays available
  skip,   // the record is counted, logged and passed over; nothing it emitted is kept
  dead_letter,  // the same, and the record goes to the topic `dead_letter` with the reason in its headers
  reject,  // the processor is a validator: it runs before records are appended, and their producer is told
};

// Where a processor begins on a partition for which it has no stored position yet.
struct start_position {
  enum class kind : uint8_t {
    earliest,  // at the oldest record there is
    latest,    // with the first record that arrives after the deployment
    offset,    // at that offset; at the oldest record if it is gone, at the end if there are fewer
    time,      // at the first record whose timestamp is not older; at the end if there is none
  };
  kind from = kind::earliest;
  int64_t at = 0;  // the offset, or milliseconds since 1970

  static const start_position earliest;
  static const start_position latest;
  bool operator==(const start_position&) const = default;
};
inline constexpr start_position start_position::earliest{kind::earliest, 0};
inline constexpr start_position start_position::latest{kind::latest, 0};

// Which partition of its topic a record of an output goes to.
enum class partitioning : uint8_t {
  input,  // the one with the number of the input's partition
  key,    // by the hash of its key, as Kafka's producers do; without a key, the input's number modulo theirs
  processor,  // the one that the processor names with the record; if it names none, by key
};

// Where calls run.
enum class isolation : uint8_t {
  none,     // "inline": on the shard's own thread, in the frame of their input, unless they take too long
  thread,   // on a thread of the processor; results come a frame later
  process,  // in a process of the processor, which may die without harm to anybody
};

struct processor_spec {
  std::string name;
  std::string library;  // path to the shared object
  std::string input;    // topic; of several, the one whose name comes first
  // With several inputs: declared name -> topic. Partitions with the same number are processed together.
  std::map<std::string, std::string> inputs;
  std::map<std::string, std::string> outputs;  // declared name -> topic
  // Outputs whose records choose their partition, by declared name; all others are partitioning::input. What
  // goes to other partitions passes through an outbox.
  std::map<std::string, partitioning> partition_by;
  // What may wait in one partition of an outbox before the processor lags.
  uint64_t outbox_bytes_max = 64 * 1024 * 1024;
  std::map<std::string, std::string> options;  // handed to the processor
  error_policy on_error = error_policy::pause;
  std::string dead_letter;  // topic; with error_policy::dead_letter only
  // Before on_error is applied, a failing record is tried again so many times, after a pause that begins with
  // retry_backoff_ms and doubles up to retry_backoff_ms_max.
  uint32_t retries = 0;
  int64_t retry_backoff_ms = 100;
  // What its state may take in memory, all partitions together.
  uint64_t state_bytes_max = 256 * 1024 * 1024;
  // Whether clients may write to its outputs, too.
  bool has_external_writes = false;
  // Topics of its stores; known once its code is loaded.
  std::vector<std::string> changelogs;
  isolation isolated = isolation::none;
  uint64_t process_bytes_max = 1024 * 1024 * 1024;  // address space of its process, if it has one
  start_position start;
  // Empty, or the processor that it is a further stage of (see stages.h).
  std::string stage_of;
  // The topics by which it is connected with other stages of that processor. Clients do not write them.
  std::vector<std::string> repartitions;
  // Empty, or the processor that it is a replay or a shadow of: then its library is told that name, and makes
  // the same of the same records.
  std::string stands_for;
  // It begins where that processor stands, with a copy of its state, to be compared with it.
  bool is_shadow = false;
  // Of a replay: the offset before which it ends, by partition of the input; in all others it ends at once.
  std::optional<std::vector<int64_t>> until;
  protocol::codec output_compression = protocol::codec::none;
};

// The name under which its operator knows it: of a stage, that of the whole.
inline const std::string& whole_name(const processor_spec& spec) {
  return spec.stage_of.empty() ? spec.name : spec.stage_of;
}

// The name that its library, and readers of its dead letters, are told.
inline const std::string& shown_name(const processor_spec& spec) {
  return spec.stands_for.empty() ? whole_name(spec) : spec.stands_for;
}

inline constexpr int64_t retry_backoff_ms_max = 60'000;

// The longest chain of processors that one record may run through.
inline constexpr size_t depth_max = 8;

// The most stages that a processor may have.
inline constexpr size_t stages_max = 8;

// Of an output, by its declared name.
partitioning partitioning_of(const processor_spec& spec, std::string_view output);

// The topic in which records of an output wait for the way to their partition.
std::string outbox_topic(std::string_view processor, std::string_view output);

// The topic of a store's changes, and whether a topic may be that of any store, of any stage.
std::string changelog_topic(std::string_view processor, std::string_view store);
bool may_be_changelog(std::string_view processor, std::string_view topic);
// Whether a topic may be one that records take from one stage of the processor to another.
bool may_be_between_stages(std::string_view processor, std::string_view topic);

// The topics it reads, each once.
std::vector<std::string> topics_read(const processor_spec& spec);
bool reads(const processor_spec& spec, std::string_view topic);
// Whether the topic connects it with another stage of its processor.
bool is_between_stages(const processor_spec& spec, std::string_view topic);

// The topic that says in which order the records of several inputs were processed.
std::string order_topic(std::string_view processor);
bool has_several_inputs(const processor_spec& spec);

// Every topic it writes: outputs, outboxes, changelogs, the order of its inputs, dead letters.
std::vector<std::string> topics_written(const processor_spec& spec);
// Those of them that it writes on the shard and in the frame of its input: all but outputs with an outbox.
std::vector<std::string> topics_beside(const processor_spec& spec);

// Checks the specs, each for itself and together.
result<void> check_specs(const std::vector<processor_spec>& specs);

// The topics that exist because `topic` does: what processors derive from it, from those, and so on.
// Requires: check_specs() passed.
std::vector<std::string> derived_topics(const std::vector<processor_spec>& specs, std::string_view topic);

// Topics connected by processors form a flow, whose partitions with equal number must live on one shard. An
// output with an outbox does not connect: it may be anywhere, and belongs to the flow of its own readers.
// The name of the flow of `topic`: its first topic in alphabetical order; `topic` itself if no processor
// is concerned.
std::string flow_of(const std::vector<processor_spec>& specs, std::string_view topic);

// The identity under which positions are stored: a function of the name alone, so that a processor may be
// replaced by a newer version of itself and go on where the old one stood.
uuid processor_id(std::string_view name);
// The same for what it has written of its changelogs.
uuid state_id_of(std::string_view name);

// "pause" | "skip" | "dead_letter" | "reject"; "earliest" | "latest" | an offset | "@" and a time (base's
// time_text); "input" | "key" | "processor"; "inline" |
// "thread" | "process". Errors name what is allowed.
result<error_policy> parse_error_policy(std::string_view text);
result<start_position> parse_start_position(std::string_view text);
result<partitioning> parse_partitioning(std::string_view text);
result<isolation> parse_isolation(std::string_view text);
std::string_view name_of(isolation isolated);

}  // namespace millrace::processors
