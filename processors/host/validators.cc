#include "processors/host/validators.h"

#include <bit>

#include "base/log.h"

namespace millrace::processors {

std::optional<protocol::batch_error> validators::check(const storage::partition_log& log,
                                                       const protocol::checked_batch& batch) {
  bool is_decoded = false;
  for (const deployed_ptr& deployed : what_.processors()) {
    const deployed_processor& p = *deployed;
    if (!p.is_validator() || p.spec.input != log.topic_name()) continue;
    verdicts& v = validator_for(deployed, log.id().partition);
    if (!v.code)
      return protocol::batch_error{errc::kafka_storage_error,
                                   fmt::format("validator {} does not run: {}", p.spec.name, v.why_not),
                                   {}};
    if (!is_decoded) {
      const auto filled = block_.fill(batch.bytes, batch.records);
      MR_ASSERT(filled);  // it was checked
      is_decoded = true;
    }
    std::optional<protocol::batch_error> refused;
    const in_call noted(crumb_, p.spec.name, p.code->content_hash(), p.spec.input, log.id().partition);
    const auto records = block_.from(INT64_MIN, p.code->reads_headers());
    for (size_t at = 0; at < records.size();) {
      const run_outcome outcome = v.code->run(records.subspan(at));
      at += outcome.records_done;
      if (!outcome.failure) continue;
      if (!refused)
        refused = protocol::batch_error{
            errc::invalid_record, fmt::format("refused by {}: {}", p.spec.name, *outcome.failure), {}};
      if (refused->records.size() < record_errors_max)
        refused->records.push_back({static_cast<int32_t>(at), *outcome.failure});
      ++at;
    }
    if (!refused) continue;
    if (std::has_single_bit(++v.rejected))
      log::warn("validator refused a batch processor={} partition={} so_far={} why=\"{}\"", p.spec.name,
                log.id().partition, v.rejected, refused->message);
    return refused;
  }
  return std::nullopt;
}

validators::verdicts& validators::validator_for(const deployed_ptr& p, int32_t partition) {
  verdicts& v = made_[{p->id, partition}];
  if (v.by == p) return v;
  v.code = nullptr;
  v.by = p;
  v.why_not = p->is_held ? "its operator has paused it" : p->quarantined;
  if (!v.why_not.empty()) return v;
  auto made = instance::create(*p, partition);
  if (made)
    v.code = std::move(*made);
  else
    v.why_not = made.error().message;
  return v;
}

}  // namespace millrace::processors
