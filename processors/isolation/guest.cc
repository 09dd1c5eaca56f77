// One instance in another process, as its callee here.
#include <fmt/format.h>

#include "base/log.h"
#include "processors/isolation/guest_process.h"
#include "processors/isolation/sandbox.h"

namespace millrace::processors {

class guest final : public callee {
 public:
  guest(const deployed_processor& processor, int32_t partition, std::shared_ptr<guest_process> process)
      : processor_(processor), partition_(partition), process_(std::move(process)) {}
  ~guest() override {
    if (generation_ > 0) process_->forget_later(id_);
  }

  // Nothing is asked of the process yet: this runs on the shard.
  int32_t create(const millrace_host& host, millrace_scope* scope, const millrace_setup&) override {
    to_ = {&host, scope};
    return MILLRACE_OK;
  }
  int32_t process(const millrace_call& call, uint64_t output_bytes_target) override;
  int32_t timer(const millrace_timer_call& call, uint64_t output_bytes_target) override;
  int32_t migrate(const millrace_migration& entry) override;
  const callee_trouble& trouble() const override { return trouble_; }

 private:
  bool is_ready();
  void begin(uint64_t output_bytes_target);
  std::optional<guest_process::answer> ask(wire type);
  void refuse(uint32_t record);

  const deployed_processor& processor_;
  const int32_t partition_;
  const std::shared_ptr<guest_process> process_;
  guest_process::receiver to_{};
  uint64_t id_ = 0;
  uint64_t generation_ = 0;  // of the process that has the plugin's instance
  callee_trouble trouble_;
};

// Sees to a process with an instance in it; false with trouble_.
bool guest::is_ready() {
  trouble_ = {};
  if (auto failed = process_->ensure(processor_)) {
    trouble_ = std::move(*failed);
    return false;
  }
  if (generation_ == process_->generation_) return true;
  id_ = process_->next_instance_++;
  wire_writer& out = process_->out_;
  out.clear();
  out.put(id_);
  out.put(partition_);
  out.put(std::string_view(shown_name(processor_.spec)));
  out.put(std::string_view(processor_.spec.input));
  out.put(static_cast<uint32_t>(processor_.spec.options.size()));
  for (const auto& [key, value] : processor_.spec.options) {
    out.put(std::string_view(key));
    out.put(std::string_view(value));
  }
  process_->explanation_.clear();
  const auto made = process_->call(wire::create, to_);
  if (!made) {
    trouble_ = process_->lost();
    trouble_.why += " while making an instance";
    return false;
  }
  if (made->status == MILLRACE_OK) {
    generation_ = process_->generation_;
    return true;
  }
  const std::string why =
      process_->explanation_.empty() ? fmt::format("status {}", made->status) : process_->explanation_;
  trouble_ = {
      trouble_kind::unfit,
      fmt::format("processor {} does not start on partition {}: {}", processor_.spec.name, partition_, why),
      0};
  return false;
}

// What every call begins with.
void guest::begin(uint64_t output_bytes_target) {
  wire_writer& out = process_->out_;
  out.clear();
  out.put(id_);
  out.put(output_bytes_target);
  out.put(to_.host->stream_time(to_.scope));
  const auto outputs = static_cast<uint32_t>(processor_.output_topics.size());
  out.put(outputs);
  for (uint32_t i = 0; i < outputs; ++i) out.put(to_.host->partition_count(to_.scope, i));
}

std::optional<guest_process::answer> guest::ask(wire type) {
  const auto answer = process_->call(type, to_);
  if (!answer) {
    trouble_ = process_->lost();
    return std::nullopt;
  }
  // Code that leaks is not to fail every record from here on.
  const bool is_suspect = answer->status != MILLRACE_OK && limits_memory();
  const uint64_t memory = is_suspect ? process_->memory_bytes() : 0;
  if (memory > processor_.spec.process_bytes_max / 4 * 3) {
    trouble_ = {trouble_kind::died,
                fmt::format("its process had used up its memory: {} of process_bytes_max = {}", memory,
                            processor_.spec.process_bytes_max),
                process_->channel_->page().current.load()};
    process_->stop();
    return std::nullopt;
  }
  if (answer->refused) refuse(*answer->refused);
  return answer;
}

// What the other side has refused already fails here, too: an emission to no output.
void guest::refuse(uint32_t record) {
  millrace_emission nothing{};
  nothing.struct_size = sizeof(nothing);
  nothing.output = UINT32_MAX;
  nothing.record = record;
  to_.host->emit(to_.scope, &nothing);
}

int32_t guest::process(const millrace_call& call, uint64_t output_bytes_target) {
  if (!is_ready()) return MILLRACE_ERROR;
  begin(output_bytes_target);
  wire_writer& out = process_->out_;
  out.put(call.record_count);
  const auto* records = static_cast<const millrace_record*>(call.records);
  for (const millrace_record& r : std::span(records, call.record_count)) {
    out.put(r.offset);
    out.put(r.timestamp_ms);
    out.put(r.input);
    out.put(r.key);
    out.put(r.value);
    out.put(std::span(r.headers, r.header_count));
  }
  const auto answer = ask(wire::process);
  if (!answer) return MILLRACE_ERROR;
  *call.records_done = answer->records_done;
  return answer->status;
}

int32_t guest::timer(const millrace_timer_call& call, uint64_t output_bytes_target) {
  if (!is_ready()) return MILLRACE_ERROR;
  begin(output_bytes_target);
  process_->out_.put(call.at_ms);
  process_->out_.put(call.key);
  const auto answer = ask(wire::timer);
  return answer ? answer->status : MILLRACE_ERROR;
}

int32_t guest::migrate(const millrace_migration& entry) {
  if (!is_ready()) return MILLRACE_ERROR;
  begin(UINT64_MAX);
  wire_writer& out = process_->out_;
  out.put(entry.from_version);
  out.put(entry.store);
  out.put(entry.key);
  out.put(entry.value);
  const auto answer = ask(wire::migrate);
  return answer ? answer->status : MILLRACE_ERROR;
}

std::unique_ptr<callee> callee_elsewhere(const deployed_processor& processor, int32_t partition,
                                         std::shared_ptr<guest_process> process) {
  return std::make_unique<guest>(processor, partition, std::move(process));
}

}  // namespace millrace::processors
