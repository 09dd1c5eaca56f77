#include "processors/host/instance.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/assert.h"
#include "base/log.h"
#include "processors/host/host_table.h"

namespace millrace::processors {
namespace {

constexpr size_t explanation_bytes_max = 1000;
constexpr size_t log_line_bytes_max = 4000;
// Lines a second one instance may log on average, and in a burst.
constexpr double log_rate = 5;
constexpr double log_burst = 50;
constexpr size_t metrics_max = 64;
constexpr size_t metric_name_bytes_max = 100;
// What changes of one record may take, like its emissions.
constexpr uint64_t record_change_bytes_max = emissions::record_output_bytes_max;

millrace_bytes view_of(std::string_view text) {
  return {text.data(), static_cast<int64_t>(text.size())};
}

// Text from a plugin, fit for one line of a log.
std::string one_line(const char* text, uint64_t size, size_t size_max) {
  if (!text) return {};
  std::string line(text, std::min<uint64_t>(size, size_max));
  std::ranges::replace_if(
      line, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, ' ');
  return line;
}

int64_t now_ms() {
  const auto since_boot = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since_boot).count();
}

}  // namespace

// The functions that plugins call. A scope is the instance it was given to.
struct host_functions {
  static instance& of(millrace_scope* scope) { return *reinterpret_cast<instance*>(scope); }

  static int32_t emit(millrace_scope* scope, const millrace_emission* emission) noexcept {
    instance& self = of(scope);
    if (!self.is_in_call_) return MILLRACE_NOT_IN_CALL;
    const int32_t status = self.emissions_.add(emission);
    ask_to_stop_if_large(self);
    return status;
  }

  static void ask_to_stop_if_large(instance& self) {
    const uint64_t changed = self.state_ ? self.state_->change_bytes() : 0;
    if (self.emissions_.bytes() + changed >= self.output_bytes_target_) self.stop_ = 1;
  }

  // Whether a function of the state may be called now.
  static int32_t may_use_state(const instance& self) {
    if (!self.state_) return MILLRACE_UNKNOWN_STORE;
    return self.is_in_call_ ? MILLRACE_OK : MILLRACE_NOT_IN_CALL;
  }

  static int32_t state_get(millrace_scope* scope, uint32_t store, millrace_bytes key,
                           millrace_bytes* value) noexcept {
    const instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!value) return MILLRACE_INVALID_ARGUMENT;
    return self.state_->get(store, key, *value);
  }

  static int32_t state_seek(millrace_scope* scope, uint32_t store, millrace_bytes from, int32_t is_behind,
                            millrace_bytes* key, millrace_bytes* value) noexcept {
    const instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!key || !value) return MILLRACE_INVALID_ARGUMENT;
    return self.state_->seek(store, from, is_behind != 0, *key, *value);
  }

  // Runs `change(cause)` for the record that the plugin says; an error fails that record.
  template <class Change>
  static int32_t changing(instance& self, uint32_t record, Change change) {
    const std::optional<uint32_t> cause = self.cause_of(record);
    if (!cause) return MILLRACE_OUT_OF_ORDER;
    const int32_t status = change(*cause);
    if (status == MILLRACE_TIME_PASSED) return status;
    if (status != MILLRACE_OK) return self.refuse(*cause, status);
    if (self.state_->change_bytes() - self.cause_began_at_bytes_ > record_change_bytes_max)
      return self.refuse(*cause, MILLRACE_TOO_LARGE);
    ask_to_stop_if_large(self);
    return MILLRACE_OK;
  }

  static int32_t state_put(millrace_scope* scope, const millrace_change* change) noexcept {
    instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!change || change->struct_size < sizeof(millrace_change))
      return self.refuse(self.last_cause_, MILLRACE_INVALID_ARGUMENT);
    return changing(self, change->record, [&](uint32_t cause) {
      return self.state_->put(cause, change->store, change->key, change->value);
    });
  }

  static int32_t timer_set(millrace_scope* scope, const millrace_timer* timer) noexcept {
    return change_timer(scope, timer, &partition_state::set_timer);
  }
  static int32_t timer_cancel(millrace_scope* scope, const millrace_timer* timer) noexcept {
    return change_timer(scope, timer, &partition_state::cancel_timer);
  }
  static int32_t change_timer(millrace_scope* scope, const millrace_timer* timer,
                              int32_t (partition_state::*how)(uint32_t, int64_t, const millrace_bytes&)) {
    instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!timer || timer->struct_size < sizeof(millrace_timer) || !self.processor_.code->needs_timers())
      return self.refuse(self.last_cause_, MILLRACE_INVALID_ARGUMENT);
    return changing(self, timer->record,
                    [&](uint32_t cause) { return (self.state_->*how)(cause, timer->at_ms, timer->key); });
  }

  static int64_t stream_time(millrace_scope* scope) noexcept {
    const instance& self = of(scope);
    return self.state_ && self.is_in_call_ ? self.state_->watermark() : partition_state::no_time;
  }

  static int32_t metric(millrace_scope* scope, int32_t kind, const char* name, uint64_t size,
                        double value) noexcept {
    instance& self = of(scope);
    if (!name || size == 0 || size > metric_name_bytes_max ||
        (kind != MILLRACE_METRIC_ADD && kind != MILLRACE_METRIC_SET))
      return MILLRACE_INVALID_ARGUMENT;
    const std::string key = one_line(name, size, metric_name_bytes_max);
    auto found = self.metrics_.find(key);
    if (found == self.metrics_.end()) {
      if (self.metrics_.size() == metrics_max) return MILLRACE_TOO_LARGE;
      found = self.metrics_.emplace(key, 0).first;
    }
    found->second = kind == MILLRACE_METRIC_ADD ? found->second + value : value;
    return MILLRACE_OK;
  }

  static int32_t partition_count(millrace_scope* scope, uint32_t output) noexcept {
    const instance& self = of(scope);
    return self.is_in_call_ ? self.emissions_.partition_count(output) : 0;
  }

  static void log(millrace_scope* scope, int32_t level, const char* text, uint64_t size) noexcept {
    instance& self = of(scope);
    const int64_t now = now_ms();
    const double refill = static_cast<double>(now - self.log_refilled_at_ms_) * log_rate / 1000;
    self.log_allowance_ = std::min(log_burst, self.log_allowance_ + refill);
    self.log_refilled_at_ms_ = now;
    if (self.log_allowance_ < 1) return;
    self.log_allowance_ -= 1;
    const std::string line =
        fmt::format("{} processor={} partition={}", one_line(text, size, log_line_bytes_max),
                    self.processor_.spec.name, self.partition_);
    switch (level) {
      case MILLRACE_LOG_DEBUG:
        return log::debug("{}", line);
      case MILLRACE_LOG_INFO:
        return log::info("{}", line);
      case MILLRACE_LOG_WARN:
        return log::warn("{}", line);
      default:
        return log::error("{}", line);
    }
  }

  static void explain(millrace_scope* scope, const char* text, uint64_t size) noexcept {
    of(scope).explanation_ = one_line(text, size, explanation_bytes_max);
  }
};

instance::instance(const deployed_processor& processor, int32_t partition, partition_state* state,
                   std::unique_ptr<callee> code)
    : processor_(processor),
      partition_(partition),
      state_(state),
      code_(std::move(code)),
      log_allowance_(log_burst),
      log_refilled_at_ms_(now_ms()) {}

instance::~instance() = default;

result<std::unique_ptr<instance>> instance::create(const deployed_processor& processor, int32_t partition,
                                                   partition_state* state,
                                                   std::shared_ptr<guest_process> elsewhere) {
  MR_ASSERT(!processor.code->is_elsewhere() || elsewhere);
  auto code = processor.code->is_elsewhere() ? callee_elsewhere(processor, partition, std::move(elsewhere))
                                             : callee_here(*processor.code);
  std::unique_ptr<instance> made(new instance(processor, partition, state, std::move(code)));
  MR_TRY(made->start());
  return made;
}

result<void> instance::start() {
  if (processor_.code->is_absent())
    return fail(errc::not_supported, "processor {}: its library is not loaded", processor_.spec.name);
  std::vector<millrace_option> options;
  for (const auto& [key, value] : processor_.spec.options) options.push_back({view_of(key), view_of(value)});
  millrace_setup setup{};
  setup.struct_size = sizeof(setup);
  setup.partition = partition_;
  setup.processor_name = view_of(shown_name(processor_.spec));
  setup.input_topic = view_of(processor_.spec.input);
  setup.options = options.data();
  setup.option_count = static_cast<uint32_t>(options.size());
  setup.option_stride = sizeof(millrace_option);
  setup.stage = processor_.code->stage();

  const int32_t status = code_->create(host_table<host_functions>, scope(), setup);
  if (status != MILLRACE_OK)
    return fail(errc::invalid_config, "processor {} does not start on partition {}: {}", processor_.spec.name,
                partition_, explanation_.empty() ? fmt::format("status {}", status) : explanation_);
  return {};
}

std::optional<uint32_t> instance::cause_of(uint32_t record) {
  const uint32_t cause = record_first_ + record;
  if (record >= record_count_ || cause < last_cause_) {
    refuse(last_cause_, MILLRACE_OUT_OF_ORDER);
    return std::nullopt;
  }
  if (cause != last_cause_) cause_began_at_bytes_ = state_->change_bytes();
  last_cause_ = cause;
  return cause;
}

int32_t instance::refuse(uint32_t cause, int32_t status) {
  refused_ = std::min(refused_.value_or(cause), cause);
  return status;
}

std::string instance::reason(std::string otherwise) const {
  return explanation_.empty() ? otherwise : explanation_;
}

run_outcome instance::run(std::span<const millrace_record> records, uint64_t output_bytes_target) {
  MR_ASSERT(!records.empty() && !is_in_call_);
  emissions_.begin(static_cast<uint32_t>(records.size()),
                   static_cast<uint32_t>(processor_.output_topics.size()));
  explanation_.clear();
  refused_.reset();
  last_cause_ = 0;
  cause_began_at_bytes_ = 0;
  if (state_) state_->forget_full();
  output_bytes_target_ = output_bytes_target;
  stop_ = 0;
  run_outcome outcome = processor_.code->needs_timers() ? process_with_timers(records) : process(records, 0);
  // A plugin that emits for records it does not report as done gets them again.
  emissions_.drop_from(outcome.records_done);
  if (state_) {
    state_->drop_from(outcome.records_done);
    outcome.is_out_of_memory = outcome.failure && state_->is_full();
  }
  return outcome;
}

// One call of the plugin's process(); `first` is the number of its first record in the whole run.
run_outcome instance::process(std::span<const millrace_record> records, uint32_t first) {
  const auto count = static_cast<uint32_t>(records.size());
  record_first_ = first;
  record_count_ = count;
  emissions_.renumber(first, count);
  uint32_t done = 0;
  millrace_call call{};
  call.struct_size = sizeof(call);
  call.record_count = count;
  call.records = records.data();
  call.record_stride = sizeof(millrace_record);
  call.records_done = &done;
  call.stop = &stop_;
  if (crumb_) {
    crumb_->at(records.front().offset);
    call.current = crumb_->current();
  }

  is_in_call_ = true;
  const int32_t status = code_->process(call, output_bytes_target_);
  is_in_call_ = false;
  if (code_->trouble().kind != trouble_kind::none) return outcome_of(code_->trouble(), first);

  run_outcome outcome;
  if (done > count || (status == MILLRACE_OK && done == 0) || (status != MILLRACE_OK && done == count)) {
    // Which records it means is anybody's guess: nothing of the call counts.
    outcome.failure =
        fmt::format("it returned status {} with {} of {} records done, which cannot be", status, done, count);
    done = 0;
  } else if (status != MILLRACE_OK) {
    outcome.failure = reason(fmt::format("status {}", status));
  }
  done += first;
  const uint32_t refused =
      std::min(emissions_.failed_record().value_or(UINT32_MAX), refused_.value_or(UINT32_MAX));
  if (refused < first + count && (refused < done || !outcome.failure)) {
    done = refused;
    outcome.failure = reason(
        "an emission or a change was refused: malformed, too large, out of order, or to an output or store "
        "that is not declared");
  }
  outcome.records_done = done;
  return outcome;
}

// Of the whole run nothing counts.
run_outcome instance::outcome_of(const callee_trouble& trouble, uint32_t first) {
  run_outcome outcome;
  outcome.trouble = trouble.kind;
  outcome.failure = trouble.why;
  outcome.at_work = first + trouble.current;
  return outcome;
}

run_outcome instance::process_with_timers(std::span<const millrace_record> records) {
  run_outcome outcome;
  for (uint32_t i = 0; i < records.size() && stop_ == 0; ++i) {
    state_->advance_time(i, records[i].timestamp_ms);
    while (const std::optional<timer_entry> due = state_->due_timer()) {
      state_->remove_timer(i, *due);
      outcome.failure = fire(i, records[i], *due);
      if (code_->trouble().kind != trouble_kind::none) return outcome_of(code_->trouble(), i);
      if (!outcome.failure) continue;
      outcome.failed_timer = due;
      return outcome;
    }
    const run_outcome one = process(records.subspan(i, 1), i);
    if (one.trouble != trouble_kind::none) return one;
    outcome.records_done = one.records_done;
    outcome.failure = one.failure;
    if (outcome.failure) break;
  }
  return outcome;
}

std::optional<std::string> instance::migrate(const millrace_migration& entry) {
  MR_ASSERT(state_ && !is_in_call_);
  emissions_.begin(0, 0);  // so that none is taken
  explanation_.clear();
  refused_.reset();
  record_first_ = 0;
  record_count_ = 1;
  last_cause_ = 0;
  cause_began_at_bytes_ = state_->change_bytes();
  is_in_call_ = true;
  const int32_t status = code_->migrate(entry);
  is_in_call_ = false;
  if (code_->trouble().kind != trouble_kind::none) return code_->trouble().why;
  if (status != MILLRACE_OK) return reason(fmt::format("status {}", status));
  if (state_->is_full()) return "the state has reached state_bytes_max";
  if (emissions_.failed_record() || refused_)
    return reason(
        "an emission, which is not possible while it migrates, or a change was refused: malformed, too "
        "large, or of a store that is not declared");
  return std::nullopt;
}

// Why it failed; nothing if it did not.
std::optional<std::string> instance::fire(uint32_t cause, const millrace_record& record,
                                          const timer_entry& timer) {
  if (crumb_) crumb_->at(record.offset);
  record_first_ = cause;
  record_count_ = 1;
  emissions_.renumber(cause, 1);
  millrace_timer_call call{};
  call.struct_size = sizeof(call);
  call.at_ms = timer.at_ms;
  call.key = view_of(timer.key);
  is_in_call_ = true;
  const int32_t status = code_->timer(call, output_bytes_target_);
  is_in_call_ = false;
  if (status != MILLRACE_OK) return reason(fmt::format("status {}", status));
  if (emissions_.failed_record() || refused_) return reason("an emission or a change was refused");
  return std::nullopt;
}

}  // namespace millrace::processors
