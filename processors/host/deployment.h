// deployment: the processors of a broker, loaded and checked, before any partition is known.
//
// A value: copying it is cheap, and no copy ever changes under its holder. To change what runs, another set
// is made from this one (with(), without()), checked as a whole, and handed to every shard; a processor that
// is the same in both sets is the same object in both, which is how shards see what has changed. What can be
// wrong with a configuration or a shared object is found while a set is made.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/uuid.h"
#include "processors/host/plugin.h"
#include "processors/host/quarantine.h"
#include "processors/host/spec.h"
#include "processors/host/state.h"

namespace millrace::processors {

struct deployed_processor {
  processor_spec spec;
  uuid id;        // its position on its input is stored under this
  uuid state_id;  // and those in its changelogs under this
  std::shared_ptr<const plugin> code;
  std::vector<std::string> input_topics;   // by the number of the input; at least one
  std::vector<std::string> output_topics;  // by the number of the output
  std::shared_ptr<state_memory> memory;    // null without state
  std::string quarantined;                 // why it must not run; empty if it may
  std::vector<suspicion> suspicions;       // on what the last broker was killed in it
  bool is_held = false;                    // its operator has paused it
  // What follows the first stage, on the way into a deployment: there each stage is one of the processors.
  std::vector<deployed_processor> further_stages;

  bool is_validator() const { return spec.on_error == error_policy::reject; }
  partitioning output_by(size_t output) const { return partitioning_of(spec, code->outputs()[output]); }
  bool has_outbox(size_t output) const { return output_by(output) != partitioning::input; }
  // Outputs (for some their outboxes), then changelogs, the order of several inputs, the topic of dead
  // letters: as flows number them.
  std::vector<std::string> target_topics() const;
};

using deployed_ptr = std::shared_ptr<const deployed_processor>;

class deployment {
 public:
  deployment() = default;

  // A library, by way of a copy in `store_dir` and a trial in a child process (whose death is trial_died).
  static result<std::shared_ptr<const plugin>> load_code(const processor_spec& spec,
                                                         const std::string& library,
                                                         const std::string& store_dir);

  // Loads every spec's library like that and checks all of them together. One that takes its trial's process
  // down stays outside: its processor is quarantined.
  static result<deployment> load(const std::vector<processor_spec>& specs, const std::string& store_dir);
  // The same with code that is loaded already (codes[i] for specs[i]).
  static result<deployment> assemble(const std::vector<processor_spec>& specs,
                                     const std::vector<std::shared_ptr<const plugin>>& codes);

  // One processor, with all its stages: checks that inputs and outputs are mapped one for one, and makes (and
  // destroys) a trial instance of each so that bad options show now.
  static result<deployed_processor> prepare(processor_spec spec, std::shared_ptr<const plugin> code);
  // One whose library cannot be loaded: it keeps its topics, and does not run.
  static result<deployed_processor> absent(processor_spec spec, std::string why);
  // This set with `one`, and its further stages, in the place of the processor of its name, or added. What is
  // wrong with the whole is the error. The state of the one it replaces and its own count as one against
  // state_bytes_max.
  result<deployment> with(deployed_processor one) const;
  deployment without(std::string_view name) const;
  // This set after `change` of each stage of the processor.
  deployment changed(std::string_view name, const std::function<void(deployed_processor&)>& change) const;

  // What the processors may have done to the last run is held against them. Before any shard uses this.
  void heed(const quarantine& accusations);

  bool empty() const { return processors_.empty(); }
  const std::vector<deployed_ptr>& processors() const { return processors_; }
  std::vector<processor_spec> specs() const;
  // One stage, by its own name; null if there is none.
  deployed_ptr find(std::string_view name) const;
  // All stages of the processor of that name, the first one first; none if there is no such processor.
  std::vector<deployed_ptr> stages_of(std::string_view name) const;

 private:
  void put(deployed_processor one);
  std::vector<deployed_ptr> processors_;
};

}  // namespace millrace::processors
