// The part of shard_host that knows which topics belong to each other for good.
//
// An output partition holds what follows from one input partition, from a beginning on. Names do not say so:
// a topic may be deleted, and another made under its name. So two marks are kept among the positions, and
// outlive the topics they speak of: with the input partition, which topic each output was; with the output
// partition, which topic the input was. A flow that finds another topic under the name pauses, since going on
// would pass off something else as the processor's result.
#include <cstring>

#include "base/checksum.h"
#include "processors/host/shard_host.h"

namespace millrace::processors {
namespace {

// A topic's id as the value of a position: positive, and larger than any offset.
int64_t mark_of(const uuid& topic) {
  return static_cast<int64_t>((xxh3(topic.bytes) >> 2) | (uint64_t{1} << 62));
}

// Whose marks these are is in the first half, so that all of them can be found.
uint64_t owner_of_marks(std::string_view processor) {
  return xxh3(as_bytes("lineage of " + std::string(processor)));
}

uuid mark_id(std::string_view processor, std::string_view what) {
  const uint64_t half[2] = {owner_of_marks(processor), xxh3(as_bytes(what))};
  uuid id;
  std::memcpy(id.bytes.data(), half, sizeof(half));
  return id;
}

}  // namespace

bool shard_host::is_mark_of(const storage::cursor_key& key, std::string_view processor) {
  uint64_t half = 0;
  std::memcpy(&half, key.processor.bytes.data(), sizeof(half));
  return half == owner_of_marks(processor);
}

storage::cursor_key shard_host::output_mark(const flow& f, size_t output) const {
  return {mark_id(f.processor.spec.name, "output " + f.processor.output_topics[output]), f.key.input};
}

storage::cursor_key shard_host::input_mark(const processor_spec& spec, const std::string& input,
                                           const storage::topic_partition_id& output) const {
  return {mark_id(spec.name, "input " + input), output};
}

// Where the shadow's output is compared with that one from.
storage::cursor_key shard_host::compared_mark(const flow& f, size_t output,
                                              const storage::topic_partition_id& live) const {
  return {mark_id(f.processor.spec.name, "compared " + f.processor.code->outputs()[output]), live};
}

// Why the flow would not continue what lies in its outputs; nothing if it does.
std::optional<std::string> shard_host::foreign_output(const flow& f) const {
  for (size_t i = 0; i < f.output_count(); ++i) {
    const auto wrote_to = store_.cursor(output_mark(f, i));
    if (wrote_to && *wrote_to != mark_of(f.targets[i].topic))
      return fmt::format(
          "its output {} was deleted, and the topic of that name is another one, without what it had derived "
          "before; under another name the processor derives everything anew",
          f.processor.output_topics[i]);
    for (size_t n = 0; n < f.inputs.size(); ++n) {
      const std::string& input = f.processor.input_topics[n];
      const auto derived_from = store_.cursor(input_mark(f.processor.spec, input, f.targets[i]));
      if (derived_from && *derived_from != mark_of(f.inputs[n].id.topic))
        return fmt::format(
            "its output {} holds what it derived from a topic {} that was deleted; delete the output, too, "
            "to "
            "start over",
            f.processor.output_topics[i], input);
    }
  }
  return std::nullopt;
}

void shard_host::mark_outputs(const flow& f) {
  const auto note = [this](const storage::cursor_key& key, const uuid& topic) {
    if (!store_.cursor(key)) store_.set_cursor(key, mark_of(topic));
  };
  for (size_t i = 0; i < f.output_count(); ++i) {
    note(output_mark(f, i), f.targets[i].topic);
    for (size_t n = 0; n < f.inputs.size(); ++n)
      note(input_mark(f.processor.spec, f.processor.input_topics[n], f.targets[i]), f.inputs[n].id.topic);
  }
}

// A partition goes, and the marks that are kept with it.
void shard_host::forget_marks(const storage::topic_partition_id& id) {
  for (const deployed_ptr& p : what_.processors())
    for (const std::string& input : p->input_topics) store_.remove_cursor(input_mark(p->spec, input, id));
  if (const auto at = by_input_.find(id); at != by_input_.end())
    for (const flow_ptr& f : at->second)
      for (size_t i = 0; i < f->output_count(); ++i) store_.remove_cursor(output_mark(*f, i));
}

}  // namespace millrace::processors
