// The part of shard_host that brings back the state of a flow and writes its snapshots.
//
// The changelogs are the truth: what is in them up to their ends is the state that belongs to the flow's
// position, because both were always written in one frame. A snapshot only shortens the reading. Beside each
// changelog the store keeps a position, what the processor has written of it; so a changelog that somebody
// else has written to, or that was deleted and made again, does not go unnoticed.
#include <algorithm>

#include "base/assert.h"
#include "base/log.h"
#include "processors/host/shard_host.h"
#include "processors/host/snapshot.h"
#include "runtime/file.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "storage/fault.h"

namespace millrace::processors {
namespace {

constexpr uint32_t read_bytes = 1024 * 1024;
// A snapshot takes hardly more than the memory of what is in it.
constexpr uint64_t snapshot_slack_bytes = 64 * 1024 * 1024;
constexpr uint32_t migration_attempts = 3;

std::optional<std::string_view> view_of(const millrace_bytes& bytes) {
  if (bytes.size < 0) return std::nullopt;
  return std::string_view(bytes.data, static_cast<size_t>(bytes.size));
}

std::unique_ptr<partition_state> empty_state(const deployed_processor& p) {
  return std::make_unique<partition_state>(static_cast<uint32_t>(p.code->stores().size()), p.memory);
}

}  // namespace

// Why the state of the flow cannot be what its records have made; nothing if it can.
std::optional<std::string> shard_host::unfit_state(const flow& f, bool has_cursor) const {
  for (const auto& [key, at] : store_.cursors())
    if (key.processor == f.processor.state_id && key.input.partition == f.partition() &&
        !store_.find(key.input))
      return "its state is lost: one of its changelogs was deleted";
  for (size_t i = 0; i < f.changelog_count(); ++i) {
    const storage::partition_log* log = store_.find(f.changelog(i));
    MR_ASSERT(log);
    const int64_t end = log->log_end().value();
    const int64_t known = store_.cursor(f.changelog_key(i)).value_or(0);
    if (!has_cursor && end > 0)
      return fmt::format(
          "topic {} holds state that is not of this input, which is new; delete the processor's changelogs "
          "to "
          "start over",
          log->topic_name());
    if (known != end)
      return fmt::format(
          "topic {} ends at offset {}, but the processor has written it up to {}: somebody else wrote to it, "
          "or "
          "part of it was lost",
          log->topic_name(), end, known);
  }
  return std::nullopt;
}

runtime::task<void> shard_host::restore(flow_ptr f) {
  f->is_restoring = true;
  co_await try_restore(f);
  f->is_restoring = false;
}

runtime::task<void> shard_host::try_restore(flow_ptr f) {
  const auto is_over = [this, f] { return is_stopping_ || f->health != flow_state::restoring; };
  const bool has_cursor = has_positions(*f);
  if (auto why = unfit_state(*f, has_cursor)) {
    pause(*f, std::move(*why));
    co_return;
  }
  std::vector<offset> from(f->changelog_count());
  if (!has_cursor) co_await remove_snapshot(f->key);
  if (is_over()) co_return;
  if (has_cursor && !options_.state_directory.empty()) {
    const std::string path = snapshot_path(options_.state_directory, f->key);
    auto file =
        co_await runtime::fs::read_file(path, 2 * f->processor.spec.state_bytes_max + snapshot_slack_bytes);
    if (is_over()) co_return;
    if (file) {
      if (auto taken = take_snapshot(*f, path, *file)) {
        from = std::move(*taken);
      } else {
        // Were it left, it might fit by chance once the changelogs have grown.
        co_await remove_snapshot(f->key);
        if (is_over()) co_return;
      }
    }
    if (!file && file.error().code != errc::not_found)
      log::warn("snapshot cannot be read path={} why=\"{}\"", path, to_string(file.error()));
  }
  for (size_t i = MILLRACE_FAULT(store_not_restored) ? 1 : 0; i < f->changelog_count(); ++i) {
    const result<void> read = co_await read_changelog(f, i, from[i]);
    if (is_over()) co_return;
    if (read) continue;
    pause(*f, fmt::format("its state cannot be restored: {}", read.error().message));
    f->state = nullptr;  // with its instance: both are of no use, and the memory is
    f->code = nullptr;
    co_return;
  }
  if (!MILLRACE_FAULT(stream_time_forgotten)) f->state->restored();

  const uint32_t version = f->processor.code->table().state_version;
  const auto there = f->state->version();
  if (there && *there != version) {
    if (!f->processor.code->migrates_from(*there)) {
      pause(*f, fmt::format("its state has version {}, and this library keeps version {}", *there, version));
      co_return;
    }
    std::optional<std::string> why;
    for (uint32_t attempt = 1;; ++attempt) {
      why = co_await migrate(f, *there);
      if (is_over()) co_return;
      // A process that is lost says little of the code.
      const trouble_kind trouble = f->code->trouble().kind;
      const bool may_pass = trouble == trouble_kind::died || trouble == trouble_kind::unavailable;
      if (!why || !may_pass || attempt == migration_attempts) break;
      log::warn(
          "process of a processor is lost while it migrates its state processor={} partition={} why=\"{}\"",
          f->processor.spec.name, f->partition(), *why);
    }
    if (why) {
      pause(*f, fmt::format("its state cannot be migrated from version {} to {}: {}", *there, version, *why));
      co_return;
    }
    log::info("processor migrates its state processor={} partition={} from_version={} to_version={}",
              f->processor.spec.name, f->partition(), *there, version);
  }
  begin_processing(*f, there == version ? std::nullopt : std::optional(std::to_string(version)));
}

// Fills the state from the file and says where the changelogs go on; nothing if it is no good.
std::optional<std::vector<offset>> shard_host::take_snapshot(flow& f, const std::string& path,
                                                             bytes_view file) {
  std::vector<offset> from(f.changelog_count());
  std::string why;
  // Looked at before anything of it is believed: what it puts into the state stays there.
  if (auto header = check_snapshot(file, f.state->store_count())) {
    bool is_ours = header->owner == f.key && header->changelogs.size() == f.changelog_count();
    bool is_too_old = false;
    for (size_t i = 0; is_ours && i < from.size(); ++i) {
      const storage::partition_log& changes = *store_.find(f.changelog(i));
      from[i] = header->changelogs[i].next;
      is_ours = header->changelogs[i].id == f.changelog(i) && from[i] <= changes.log_end();
      // Compaction may have taken a key's deletion that came behind it.
      is_too_old |= changes.cleaned_to() > from[i];
    }
    if (is_ours && !is_too_old) {
      header = load_snapshot(file, *f.state);
      if (header) return from;
      why = header.error().message;
    } else {
      why = is_ours ? "its changelogs were compacted since" : "it is of other changelogs";
    }
  } else {
    why = header.error().message;
  }
  log::warn("snapshot is of no use, the state is restored from its changelogs alone path={} why=\"{}\"", path,
            why);
  f.code = nullptr;
  f.state = empty_state(f.processor);
  auto made = make_instance(f);
  MR_ASSERT(made);  // it was, a moment ago
  f.code = std::move(*made);
  return std::nullopt;
}

runtime::task<result<void>> shard_host::read_changelog(flow_ptr f, size_t store, offset from) {
  const storage::topic_partition_id id = f->changelog(store);
  storage::partition_log* changes = store_.find(id);
  if (!changes) co_return fail(errc::not_found, "a changelog is gone");
  const std::string topic = changes->topic_name();
  const offset end = changes->log_end();
  if (from < changes->log_start())
    co_return fail(errc::offset_out_of_range, "topic {} begins at offset {}, and offset {} is needed", topic,
                   changes->log_start(), from);
  while (from < end) {
    changes = store_.find(id);
    if (!changes) co_return fail(errc::not_found, "a changelog is gone");
    storage::read_request request;
    request.from = from;
    request.bytes_max = read_bytes;
    request.bound = storage::read_bound::log_end;
    const auto got = co_await store_.read(*changes, request);
    if (is_stopping_ || f->health != flow_state::restoring) co_return result<void>();
    if (!got) co_return fail(got.error());
    std::deque<slice> batches;
    if (const auto cut = cut_into_batches(got->records, batches); !cut) co_return fail(cut.error());
    for (const slice& batch : batches) {
      if (const auto filled = f->input().block.fill(batch); !filled) co_return fail(filled.error());
      for (const millrace_record& r : f->input().block.from(from.value(), false)) {
        if (!f->state->restore(static_cast<uint32_t>(store), view_of(r.key).value_or(""), view_of(r.value)))
          co_return fail(errc::limit_exceeded, "it takes more than state_bytes_max = {}",
                         f->processor.spec.state_bytes_max);
        ++f->counters.records_restored;
      }
      f->changelog_bytes += batch.size();
    }
    if (got->next <= from) co_return fail(errc::corruption, "offset {} of {} cannot be read", from, topic);
    from = got->next;
  }
  co_return result<void>();
}

// ---- Snapshots -----------------------------------------------------------------------------------------

runtime::task<void> shard_host::remove_snapshot(storage::cursor_key owner) {
  if (options_.state_directory.empty()) co_return;
  const std::string path = snapshot_path(options_.state_directory, owner);
  result<void> removed = co_await runtime::fs::unlink(path);
  if (removed) removed = co_await runtime::fs::sync_directory(options_.state_directory);
  if (!removed && removed.error().code != errc::not_found)
    log::warn("snapshot cannot be removed path={} why=\"{}\"", path, to_string(removed.error()));
}

void shard_host::snapshot_if_due(flow& f) {
  if (!f.state || f.is_in_snapshot || is_stopping_ || options_.state_directory.empty()) return;
  if (f.changelog_bytes < std::max(options_.snapshot_after_bytes, f.state->bytes())) return;
  f.is_in_snapshot = true;
  f.changelog_bytes = 0;
  gate_.spawn(write_snapshot(pointer_to(f)));
}

runtime::task<void> shard_host::write_snapshot(flow_ptr f) {
  const result<void> written = co_await try_write_snapshot(f);
  f->is_in_snapshot = false;
  if (written) {
    ++f->counters.snapshots;
  } else if (!is_stopping_ && f->is_live()) {
    log::warn("snapshot cannot be written processor={} partition={} why=\"{}\"", f->processor.spec.name,
              f->partition(), to_string(written.error()));
  }
}

runtime::task<result<void>> shard_host::try_write_snapshot(flow_ptr f) {
  const auto stopped = [] { return result<void>(fail(errc::cancelled, "the processor has stopped")); };
  const storage::partition_log* input = store_.find(f->key.input);
  if (!input) co_return stopped();
  // A power cut may take changes that a snapshot shows, and others may come in their place: then the
  // changelog alone is to be believed.
  if (input->config().durability != storage::durability::sync) co_return result<void>();
  snapshot_header header{f->key, {}};
  for (size_t i = 0; i < f->changelog_count(); ++i) {
    const storage::partition_log* log = store_.find(f->changelog(i));
    if (!log) co_return stopped();
    // (The mistake: as if nothing could change while the entries are copied.)
    const offset next = MILLRACE_FAULT(snapshot_claims_more) ? log->log_end().plus(3) : log->log_end();
    header.changelogs.push_back({log->id(), next});
  }
  auto made = co_await runtime::fs::make_directories(options_.state_directory);
  if (!made) co_return made;
  const std::string path = snapshot_path(options_.state_directory, f->key);
  const std::string unfinished = path + ".new";
  auto file = co_await runtime::file::open(unfinished, {.create = true, .truncate = true});
  if (!file) co_return fail(file.error());
  if (is_stopping_ || !f->is_live()) co_return stopped();
  snapshot_writer pieces(header, *f->state);
  uint64_t at = 0;
  for (;;) {
    if (is_stopping_ || !f->is_live()) co_return stopped();
    while (f->is_away) {
      co_await runtime::reactor::current().sleep(std::chrono::milliseconds(1));
      if (is_stopping_ || !f->is_live()) co_return stopped();
    }
    const auto piece = pieces.next();
    if (!piece) break;
    auto written = co_await file->write(at, *piece);
    if (!written) co_return written;
    at += piece->size();
  }
  // It may show changes of frames that are on their way.
  auto durable = co_await store_.wait_durable(f->written_at);
  if (!durable) co_return durable;
  auto synced = co_await file->sync_all();
  if (!synced) co_return synced;
  auto renamed = co_await runtime::fs::rename(unfinished, path);
  if (!renamed) co_return renamed;
  co_return co_await runtime::fs::sync_directory(options_.state_directory);
}

}  // namespace millrace::processors
