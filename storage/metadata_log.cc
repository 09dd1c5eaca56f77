#include "storage/metadata_log.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "base/log.h"
#include "runtime/file.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/semaphore.h"
#include "storage/data_lock.h"
#include "storage/fault.h"
#include "storage/layout.h"
#include "storage/metadata_codec.h"
#include "storage/wal/arena.h"
#include "storage/wal/frame_builder.h"
#include "storage/wal/reader.h"

namespace millrace::storage {

namespace {

namespace fs = runtime::fs;

constexpr uint64_t generation = 1;
// The log is replaced by a snapshot when it is larger than this and most of it is history.
constexpr uint64_t snapshot_bytes_min = 1 * limits::MiB;
constexpr uint64_t snapshot_growth = 4;

class file_metadata_log final : public metadata_log {
 public:
  explicit file_metadata_log(std::string path) : path_(std::move(path)) {}

  task<result<void>> open();
  task<result<void>> append(std::vector<metadata_entry> entries) override;
  const metadata_state& state() const override { return state_; }
  int64_t changes() const override { return static_cast<int64_t>(next_.value()) - 1; }
  task<result<void>> close() override;

 private:
  task<result<void>> replay(uint64_t size);
  // Frames of at most a few MiB each, so that no snapshot is too large for one.
  task<result<void>> write_frames(runtime::file& file, const std::vector<metadata_entry>& entries, lsn& next,
                                  uint64_t& position);
  task<result<void>> write_snapshot();
  // Durably takes back what a write that found the disk full left behind `position`; the change was refused,
  // so it may not come back after a restart, and the next one is written in its place.
  task<result<void>> cut_to(uint64_t position);

  std::string path_;
  runtime::file file_;
  metadata_state state_;
  wal::arena arena_{0};
  runtime::semaphore turn_{1};
  lsn next_{1};
  uint64_t position_ = 0;
  uint64_t snapshot_bytes_ = 0;  // size when last snapshotted
  std::optional<error> failure_;
};

task<result<void>> file_metadata_log::open() {
  auto opened = co_await runtime::file::open(path_, {.create = true});
  if (!opened) co_return fail(opened.error());
  file_ = std::move(*opened);
  // Even if the file was there: its name may not have been durable when the last process died.
  auto named = co_await fs::sync_directory(fs::directory_of(path_));
  if (!named) co_return named;
  auto locked = co_await lock_against_other_brokers(file_);
  if (!locked) co_return locked;
  auto size = co_await file_.size();
  if (!size) co_return fail(size.error());
  auto replayed = co_await replay(*size);
  if (!replayed) co_return replayed;
  snapshot_bytes_ = position_;
  // A write cut short by a crash: nothing of it may show through what is written there next.
  if (*size > position_) {
    auto cut = co_await file_.truncate(position_);
    if (!cut) co_return cut;
  }
  // What was read may have been written but not synced when the last process died.
  co_return co_await file_.sync_data();
}

task<result<void>> file_metadata_log::replay(uint64_t size) {
  wal::reader reader(file_, align_up(size, wal::block_bytes), 0, generation);
  for (;;) {
    const uint64_t position = reader.position();
    auto frame = co_await reader.next();
    if (!frame) co_return fail(frame.error());
    if (!*frame) break;
    next_ = (*frame)->header.lsn.next();
    wal::entry_cursor entries((*frame)->bytes, (*frame)->header);
    while (const std::optional<wal::entry> e = entries.next()) {
      auto decoded = decode_metadata(static_cast<uint8_t>(e->kind), e->body);
      if (!decoded)
        co_return fail(decoded.error().code, "{} at byte {}: {}", path_, position, decoded.error().message);
      auto applied = state_.apply(*decoded);
      if (!applied)
        co_return fail(applied.error().code, "{} at byte {}: {}", path_, position, applied.error().message);
    }
    if (entries.is_malformed())
      co_return fail(errc::corruption, "{} at byte {}: entries do not fit", path_, position);
  }
  position_ = reader.position();
  auto later = co_await reader.find_later(next_);
  if (!later) co_return fail(later.error());
  if (*later)
    co_return fail(errc::corruption,
                   "{} is damaged at byte {}: no frame there, but frame {} at byte {} is intact", path_,
                   position_, (*later)->header.lsn, (*later)->position);
  co_return {};
}

task<result<void>> file_metadata_log::write_frames(runtime::file& file,
                                                   const std::vector<metadata_entry>& entries, lsn& next,
                                                   uint64_t& position) {
  wal::frame_builder builder(arena_);
  size_t i = 0;
  while (i < entries.size()) {
    builder.open(next);
    while (i < entries.size() && (builder.entries() == 0 || builder.bytes() < limits::frame_bytes_target)) {
      const encoded_entry e = encode(entries[i++]);
      const mutable_bytes body = builder.add(static_cast<wal::entry_kind>(e.kind), 0, e.body.size());
      std::copy(e.body.begin(), e.body.end(), body.begin());
    }
    wal::sealed_frame frame = builder.seal();
    wal::frame_builder::finish(frame, generation, runtime::reactor::current().wall_clock_ms());
    std::vector<iovec> vectors;
    for (const slice& piece : frame.pieces)
      vectors.push_back({const_cast<std::byte*>(piece.data()), piece.size()});
    const runtime::write_options durably{.dsync = !MILLRACE_FAULT(metadata_not_synced)};
    auto written = co_await file.write(position, std::move(vectors), durably);
    if (!written) co_return written;
    next = next.next();
    position += frame.bytes;
  }
  co_return {};
}

task<result<void>> file_metadata_log::append(std::vector<metadata_entry> entries) {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (failure_) co_return fail(*failure_);
  // What contradicts the state must not reach the disk. Several entries may build on each other, so they
  // are tried on a copy.
  result<void> checked;
  if (entries.size() == 1) {
    checked = state_.check(entries.front());
  } else {
    metadata_state after = state_;
    for (size_t i = 0; i < entries.size() && checked; ++i) checked = after.apply(entries[i]);
  }
  if (!checked) co_return fail(errc::invalid_argument, "{}", checked.error().message);
  uint64_t bytes = 0;
  for (const metadata_entry& entry : entries) bytes += encode(entry).body.size() + 16;
  if (bytes > limits::frame_bytes_target)
    co_return fail(errc::limit_exceeded, "a change of metadata of {} bytes", bytes);
  auto written = co_await write_frames(file_, entries, next_, position_);
  if (!written) {
    auto undone = written.error().code == errc::disk_full ? co_await cut_to(position_) : written;
    if (!undone) {
      failure_ = undone.error();
      failure_->code = errc::read_only;
    }
    co_return written;
  }
  for (const metadata_entry& entry : entries) MR_ASSERT(state_.apply(entry));
  if (position_ > snapshot_bytes_min && position_ > snapshot_growth * snapshot_bytes_) {
    // The log itself is good; failing to shorten it is not failing to append.
    auto shortened = co_await write_snapshot();
    if (!shortened) log::warn("cannot shorten the metadata log: {}", to_string(shortened.error()));
  }
  co_return {};
}

task<result<void>> file_metadata_log::cut_to(uint64_t position) {
  auto cut = co_await file_.truncate(position);
  if (!cut) co_return cut;
  co_return co_await file_.sync_all();
}

task<result<void>> file_metadata_log::write_snapshot() {
  const std::string temporary = path_ + ".tmp";
  auto opened = co_await runtime::file::open(temporary, {.create = true, .truncate = true});
  if (!opened) co_return fail(opened.error());
  auto locked = co_await opened->lock();
  if (!locked) co_return locked;
  lsn next{1};
  uint64_t position = 0;
  const std::vector<metadata_entry> entries = entries_of(state_);
  auto written = co_await write_frames(*opened, entries, next, position);
  if (!written) co_return written;
  auto synced = co_await opened->sync_all();
  if (!synced) co_return synced;
  auto renamed = co_await fs::rename(temporary, path_);
  if (!renamed) co_return renamed;
  // From here on the new file is the log, whether or not its name is durable yet.
  file_ = std::move(*opened);
  next_ = next;
  position_ = snapshot_bytes_ = position;
  auto named = co_await fs::sync_directory(fs::directory_of(path_));
  if (!named) {
    // The old name may come back after a power cut, without what follows: no more appends.
    failure_ = named.error();
    failure_->code = errc::read_only;
  }
  co_return named;
}

task<result<void>> file_metadata_log::close() {
  co_await turn_.acquire(1);
  const runtime::semaphore_units turn(turn_, 1);
  if (!file_.is_open()) co_return {};
  co_return co_await file_.close();
}

}  // namespace

task<result<std::unique_ptr<metadata_log>>> metadata_log::open(std::string data_dir) {
  auto log = std::make_unique<file_metadata_log>(layout::metadata_log(data_dir));
  auto opened = co_await log->open();
  if (!opened) co_return fail(opened.error());
  co_return std::unique_ptr<metadata_log>(std::move(log));
}

}  // namespace millrace::storage
