// instance: one processor at work on one partition of its input.
//
// The broker's side of the ABI: it builds the calls, takes the emissions, and turns whatever a plugin may
// answer into either "so many records are done" or "this record failed, because". It knows nothing of
// storage. Runs on: the partition's owner shard.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"
#include "processors/abi/millrace_processor.h"
#include "processors/host/breadcrumb.h"
#include "processors/host/callee.h"
#include "processors/host/deployment.h"
#include "processors/host/emissions.h"
#include "processors/host/state.h"

namespace millrace::processors {

struct run_outcome {
  uint32_t records_done = 0;
  // Why record number `records_done` failed.
  std::optional<std::string> failure;
  // What failed was this timer, which had become due before that record.
  std::optional<timer_entry> failed_timer;
  // It failed because the processor's state has reached its limit.
  bool is_out_of_memory = false;
  // No record failed: what runs the processor did. Nothing of the call counts. `at_work` is the number of the
  // record at work, as far as that is known.
  trouble_kind trouble = trouble_kind::none;
  uint32_t at_work = 0;
};

class instance {
 public:
  // A call is asked to return early once its outputs have grown to this.
  static constexpr uint64_t call_output_bytes_target = 4 * 1024 * 1024;

  // `processor` and `state` (null if it has none) must outlive the instance. Code that runs elsewhere needs
  // the process that runs it; the plugin's own instance is made there with the first call.
  static result<std::unique_ptr<instance>> create(const deployed_processor& processor, int32_t partition,
                                                  partition_state* state = nullptr,
                                                  std::shared_ptr<guest_process> elsewhere = nullptr);
  ~instance();
  instance(const instance&) = delete;
  instance& operator=(const instance&) = delete;

  // Processes `records` (at least one), as many as the plugin and `output_bytes_target` allow. What was
  // emitted for the records done is in output() until the next run; what they changed is in the state, not
  // committed. A processor with timers gets its records one by one, each behind the timers that it makes due.
  run_outcome run(std::span<const millrace_record> records,
                  uint64_t output_bytes_target = call_output_bytes_target);

  // Hands it one entry of its stores that an earlier version has left (see migration.h). Why that failed;
  // nothing if it did not. Changes are in the state, not committed, as changes of record 0.
  std::optional<std::string> migrate(const millrace_migration& entry);
  // Why that failed, if what runs the processor did.
  const callee_trouble& trouble() const { return code_->trouble(); }

  // Where to note which record is at work; may be null.
  void set_breadcrumb(breadcrumb* crumb) { crumb_ = crumb; }

  // Where its outputs go, by number. Without it they go to the input's partition number.
  void set_routes(std::vector<output_route> routes) { emissions_.set_routes(std::move(routes), partition_); }

  const emissions& output() const { return emissions_; }
  void forget_output() { emissions_.begin(0, 0); }
  const deployed_processor& processor() const { return processor_; }
  int32_t partition() const { return partition_; }
  // Figures that the processor counts, by name.
  const std::map<std::string, double>& metrics() const { return metrics_; }

 private:
  friend struct host_functions;
  instance(const deployed_processor& processor, int32_t partition, partition_state* state,
           std::unique_ptr<callee> code);
  static run_outcome outcome_of(const callee_trouble& trouble, uint32_t first);
  run_outcome process(std::span<const millrace_record> records, uint32_t first);
  run_outcome process_with_timers(std::span<const millrace_record> records);
  std::optional<std::string> fire(uint32_t cause, const millrace_record& record, const timer_entry& timer);
  int32_t refuse(uint32_t cause, int32_t status);
  // The number in the call of the record that the plugin calls `record`; nothing, and the last one failed, if
  // it is none or lies before the last one.
  std::optional<uint32_t> cause_of(uint32_t record);
  std::string reason(std::string otherwise) const;
  result<void> start();
  millrace_scope* scope() { return reinterpret_cast<millrace_scope*>(this); }

  const deployed_processor& processor_;
  const int32_t partition_;
  partition_state* const state_;
  breadcrumb* crumb_ = nullptr;
  const std::unique_ptr<callee> code_;

  emissions emissions_;
  bool is_in_call_ = false;
  uint32_t record_first_ = 0;  // of the records that the plugin sees now
  uint32_t record_count_ = 0;
  uint32_t last_cause_ = 0;            // of a change
  uint64_t cause_began_at_bytes_ = 0;  // of changes, before the first of last_cause_
  std::optional<uint32_t> refused_;    // the first record with a change that was refused
  std::map<std::string, double> metrics_;
  volatile uint32_t stop_ = 0;
  uint64_t output_bytes_target_ = call_output_bytes_target;
  std::string explanation_;
  // Log lines the plugin may still write, refilled as time passes.
  double log_allowance_ = 0;
  int64_t log_refilled_at_ms_ = 0;
};

}  // namespace millrace::processors
