// processing: the broker's side of processors, from what is deployed to flows on every shard.
//
// Holds the set of processors that every shard works by, runs one shard_host per shard and tells it which
// partitions come and go, and sees to it that output topics exist: when the input of a processor appears or
// grows, its outputs follow, with as many partitions, placed so that equal partition numbers meet on one
// shard.
//
// What is deployed changes through control() only. A change reaches the shards one after another, as a
// message with the new set; each goes over at a batch boundary.
//
// load(), adopt() and the topics are for shard 0; start() and stop() for each shard, on that shard.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/config/config.h"
#include "broker/metadata/image.h"
#include "broker/processing/control.h"
#include "broker/processing/stored.h"
#include "processors/host/deployment.h"
#include "processors/host/quarantine.h"
#include "processors/host/shard_host.h"
#include "processors/host/validators.h"
#include "processors/host/watchdog.h"
#include "runtime/task.h"
#include "storage/metadata_log.h"

namespace millrace::broker {

class shard_context;
struct node;

// The processors of a moment.
struct processor_set {
  processors::deployment what;
  // Names of all topics that processors read or write, sorted.
  std::vector<std::string> topics;
  // One of them stands in for a library that cannot be loaded: the names of its own topics are not known.
  bool has_absent = false;

  explicit processor_set(processors::deployment deployed);
};
using processor_set_ptr = std::shared_ptr<const processor_set>;

// What its inputs say against the processor, those that exist: partitions of one number belong together.
result<void> check_inputs(const processors::deployed_processor& p, const metadata_image& image,
                          uint32_t shards);

class processing final : private processors::neighbours {
 public:
  // What the configuration file and the metadata log say. Copies of the shared objects go to
  // `<log.dirs>/processors`. The error begins with the place in the configuration if that is to blame.
  static result<std::unique_ptr<processing>> load(const node& whole, storage::metadata_log& log);

  // Makes flows run on the shard of `context`. Before the first request.
  void start(shard_context& context);
  // After the last request, before the store closes.
  runtime::task<void> stop(shard_id shard);
  // Finishes what an operation had begun when the last run ended, and creates the outputs that are missing.
  // After start() on all shards. Runs on: shard 0.
  runtime::task<void> finish_begun(shard_context& context);

  // Creates the outputs that are missing. Runs on: shard 0.
  runtime::task<void> complete_topics(shard_context& context);

  // Why a topic may not get more partitions (its flow keeps state by partition); nothing if it may. Runs on:
  // `shard`.
  std::optional<std::string> refusal_of_growth(shard_id shard, std::string_view topic) const;
  // Why clients may not write to a topic; nothing if they may. Runs on: `shard`.
  std::optional<std::string> refusal_of_writes(shard_id shard, std::string_view topic) const;
  // Why clients may not delete records of a topic, or change its configuration, as it holds a processor's own
  // (state, what is on its way); nothing if they may. Runs on: `shard`.
  std::optional<std::string> refusal_of_changes(shard_id shard, std::string_view topic) const;
  // What the validators of the topic say to a batch that is about to be appended. Runs on: the owner's shard.
  std::optional<protocol::batch_error> validate(shard_id shard, const storage::partition_log& log,
                                                const protocol::checked_batch& batch);

  // Where to place a new topic: beside the topics of its flow that exist; nothing if there are none. Runs on:
  // shard 0.
  std::optional<uint32_t> placement_of(std::string_view name, const metadata_image& image) const;

  // Runs on: shard 0.
  processor_control& control() { return control_; }

 private:
  friend class processor_control;
  struct on_shard {
    processor_set_ptr set;
    std::unique_ptr<processors::shard_host> host;  // from the first processor on
    std::unique_ptr<processors::validators> validators;
    std::shared_ptr<processors::breadcrumb> crumb;
  };

  processing(const node& whole, storage::metadata_log& log);
  result<processors::deployment> deployed_at_start();
  result<processors::deployment> deploy_stored(const processors::deployment& among, const stored_processor& p,
                                               bool is_held) const;
  std::string library_of(const std::string& content_hash) const;
  static processors::deployment as_held(const processors::deployment& among, const std::string& name,
                                        bool is_held);
  void guard();
  void start_host(shard_context& context);
  runtime::task<void> adopt(processors::deployment now);
  runtime::task<void> adopt_here(shard_id shard, processor_set_ptr now);
  // neighbours
  std::optional<processors::output_topic> find(const std::string& topic) const override;
  uint32_t shard_count() const override { return static_cast<uint32_t>(shards_.size()); }
  processors::inbox* here() const override;

  void follow(shard_context& context, const metadata_image& before, const metadata_image& now);
  const processors::deployment& current_on(shard_id shard) const { return shards_[shard.value()].set->what; }
  const processors::deployment& current() const { return current_on(shard_id(0)); }

  const node& whole_;
  storage::metadata_log& log_;
  const std::string library_directory_;
  std::vector<on_shard> shards_;
  std::unique_ptr<processors::watchdog> watchdog_;  // looks at the crumbs
  // Deployed at run time, and why one of them is not in the set.
  std::map<std::string, stored_processor> stored_;
  std::map<std::string, std::string> failed_;
  processor_control control_{*this};
};

}  // namespace millrace::broker
