// processor_control: what an operator may do to processors while the broker runs.
//
// Every operation checks everything it can before it changes anything: one that is refused has changed
// nothing. What it changes is durable in the metadata log before it takes effect, so a crash in between ends
// in one state or the other, and the next start finishes what was begun. Operations run one after another.
//
//   load code ─► check the whole set ─► metadata log (durable) ─► every shard adopts the set ─► answer
//
// Processors of the configuration file belong to the file: they can be paused and resumed here, and nothing
// else. Runs on: shard 0.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "broker/config/config.h"
#include "broker/processing/stored.h"
#include "processors/host/deployment.h"
#include "processors/host/flow.h"
#include "runtime/semaphore.h"
#include "runtime/task.h"
#include "storage/metadata_log.h"

namespace millrace::broker {

class processing;

// What was deployed.
struct deploy_outcome {
  std::string name;
  std::string code;  // name and version that the library gives itself
  std::string version;
  std::string content_hash;
  std::vector<std::string> notes;  // whole sentences that the operator should read
};

// What a processor is to be replayed from, up to, and into.
struct replay_request {
  std::string name;                         // of the replay; empty: the processor's with ".replay" behind it
  std::string from;                         // as in a [[processor]] table's start; empty: earliest
  std::string to;                           // likewise, and not included; empty: what is there now
  std::string suffix;                       // of its topics, behind the processor's; empty: ".replay"
  std::map<std::string, std::string> into;  // declared output -> topic, where the suffix is not to be used
};

// One processor on one partition, and where it runs.
struct processor_flow {
  uint32_t shard = 0;
  std::string processor;  // of several stages the whole, while status names the stage
  processors::flow_status status;
};

struct processor_summary {
  std::string name;
  bool is_from_file = false;       // the configuration file's; else deployed at run time
  std::string role = "processor";  // or "replay", "shadow"
  std::string of;                  // of which processor it is one
  std::string code;
  std::string version;
  std::string content_hash;
  std::string input;                           // the topic; of several all of them, for people
  std::map<std::string, std::string> inputs;   // of several: declared name -> topic
  std::map<std::string, std::string> outputs;  // declared name -> topic
  // Of all its partitions the state that needs attention most: "paused", "waiting", "restoring", "lagging",
  // "running", "finished", "ended"; "idle" while its input has no partitions; "failed" if its code could not
  // be loaded. Validators are "running" or "paused".
  std::string state;
  std::string why;  // it is paused or failed
  uint32_t partitions = 0;
  int64_t lag = 0;  // records, all partitions together
  uint64_t records_in = 0;
  uint64_t records_out = 0;
};

// An earlier version of a processor, to which rollback() may return.
struct processor_version {
  std::string content_hash;
  std::string library;  // as given then
  std::map<std::string, std::string> options;
  int64_t deployed_at_ms = 0;
};

struct processor_details {
  processor_summary summary;
  std::string library;  // as given
  std::map<std::string, std::string> options;
  std::string on_error;
  std::string isolation;
  std::string dead_letter;
  std::vector<std::string> changelogs;
  std::vector<std::string> repartitions;  // the topics between its stages
  std::string topology;                   // its steps, as text and for Graphviz; empty if it tells none
  std::string topology_graph;
  uint64_t state_bytes = 0;
  uint64_t state_bytes_max = 0;
  int64_t deployed_at_ms = 0;               // 0: with the configuration file
  std::vector<processor_version> versions;  // earlier ones, the last one first
  std::vector<processor_flow> flows;        // by partition
};

// What goes with a purged processor.
struct leftovers {
  std::vector<std::string> further_stages;  // whose positions and state go like its own
  std::vector<std::string> topics;
};

class processor_control {
 public:
  explicit processor_control(processing& whole) : whole_(whole) {}
  processor_control(const processor_control&) = delete;
  processor_control& operator=(const processor_control&) = delete;

  // Adds a processor. errc::invalid_config for whatever is wrong with it, in a whole sentence.
  runtime::task<result<deploy_outcome>> deploy(processor_entry entry);
  // Puts another library (the same one, if the entry names none) and other options under a name that is
  // deployed; position and state are kept. The flows change over at a batch boundary each.
  runtime::task<result<deploy_outcome>> replace(processor_entry entry);
  // Back to the version before the last replace().
  runtime::task<result<deploy_outcome>> rollback(std::string name);
  // Processes once more what the processor's input holds, with a position, state and topics of its own, and
  // finishes. It is a processor of its own name, and remove() drops all it has but its topics.
  runtime::task<result<deploy_outcome>> replay(std::string of, replay_request request);
  // Lets another version (an entry as for replace()) run beside the processor, as "<name>.shadow": from where
  // that stands, with a copy of its state, into topics of its own. There is one at a time.
  runtime::task<result<deploy_outcome>> shadow(processor_entry entry);
  // Puts the shadow's version in the place of the processor, as replace() would: the processor keeps its own
  // position and state. The shadow ends, with all its topics.
  runtime::task<result<deploy_outcome>> promote(std::string name);
  // Ends the shadow, with all its topics.
  runtime::task<result<void>> discard(std::string name);
  runtime::task<result<void>> pause(std::string name);
  // Also lets go on what has paused by itself, from exactly the record that failed, and lifts a quarantine.
  runtime::task<result<void>> resume(std::string name);
  // The processor ends; its topics stay, and so do its position and state, for a later deploy under the same
  // name. With `purge` position and state go, too (and with the state its changelogs).
  runtime::task<result<void>> remove(std::string name, bool purge);

  runtime::task<std::vector<processor_summary>> list();
  // errc::resource_not_found if there is none of that name.
  runtime::task<result<processor_details>> describe(std::string name);

 private:
  friend class processing;
  // What an operation that the last run began has left over.
  runtime::task<void> finish_begun();

  std::optional<error> not_ours(const std::string& name) const;
  // Whether a processor of that name has left a position on a topic that is still there.
  runtime::task<bool> has_position(std::string name);
  result<void> check_topics(const processors::deployed_processor& p) const;
  result<void> check_topics_of_stage(const processors::deployed_processor& p) const;
  static result<void> check_successor(const processors::deployed_processor& old,
                                      const processors::deployed_processor& now,
                                      const std::set<uint32_t>& versions, std::vector<std::string>& notes);
  // Of the state that its partitions have.
  runtime::task<std::set<uint32_t>> state_versions(processors::deployed_ptr p);
  std::optional<error> not_a_processor(const std::string& name) const;
  std::optional<error> name_taken(const std::string& name) const;
  std::optional<processor_entry> entry_of_deployed(const std::string& name) const;
  // `as` outlives it.
  runtime::task<result<processors::deployed_processor>> prepare(const stored_processor& as,
                                                                std::string library);
  runtime::task<result<std::vector<int64_t>>> ends_of(std::string topic_name, processors::start_position to);
  result<void> check_new_topics(const processors::deployed_processor& p) const;
  runtime::task<result<void>> commit(std::vector<storage::metadata_entry> entries,
                                     processors::deployment now);
  // What `prepare` has made of `stored` becomes one of the processors: durable, then real, and not paused.
  runtime::task<result<void>> add(stored_processor stored, processors::deployed_processor prepared);
  static deploy_outcome outcome_of(const processors::deployed_processor& p);
  static stored_version version_of(processor_entry entry, const processors::deployed_processor& p);
  runtime::task<result<deploy_outcome>> succeed(std::string name, processor_entry entry, std::string library,
                                                std::vector<stored_version> earlier,
                                                std::string without = {});
  std::optional<error> no_shadow_of(const std::string& name) const;
  std::optional<error> read_by_another(const std::string& name, const std::vector<std::string>& topics) const;
  static leftovers leftovers_of(const std::vector<processors::deployed_ptr>& stages, stored_role role);
  runtime::task<result<void>> remove_now(std::string name, bool purge);
  runtime::task<result<void>> drop_leftovers(std::string name, leftovers left);

  // Of all its stages, at least one.
  processor_summary summary_of(const std::vector<processors::deployed_ptr>& stages,
                               const std::vector<processor_flow>& flows) const;
  processor_summary summary_of_failed(const std::string& name, const std::string& why) const;
  runtime::task<std::vector<processor_flow>> flows();

  processing& whole_;
  runtime::semaphore turn_{1};
};

}  // namespace millrace::broker
