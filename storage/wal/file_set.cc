#include "storage/wal/file_set.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <utility>

#include "base/assert.h"
#include "base/buffer.h"
#include "base/limits.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "storage/data_lock.h"
#include "storage/fault.h"
#include "storage/wal/frame.h"

namespace millrace::storage::wal {

namespace {

namespace fs = runtime::fs;

constexpr uint64_t zeros_bytes = 256 * limits::KiB;

const slice& zeros() {
  static const slice memory = [] {
    buffer b = buffer::allocate(zeros_bytes);
    std::fill_n(b.data(), zeros_bytes, std::byte{0});
    return slice(std::move(b), 0, zeros_bytes);
  }();
  return memory;
}

std::string file_name(uint32_t slot) {
  return fmt::format("{:02d}.wal", slot);
}

}  // namespace

task<result<std::unique_ptr<file_set>>> file_set::open(file_set_options options) {
  std::unique_ptr<file_set> set(new file_set(std::move(options)));
  const std::string& directory = set->options_.directory;
  set->wanted_bytes_ = set->options_.file_bytes_min;

  auto entries = co_await fs::list_directory(directory);
  if (!entries && entries.error().code == errc::not_found) co_return std::move(set);
  if (!entries) co_return fail(entries.error());
  set->has_directory_ = true;
  // Even what was there may have a name that is not durable yet, if the last process was killed early.
  auto named = co_await fs::sync_directory(fs::directory_of(directory));
  if (!named) co_return fail(named.error());
  auto listed = co_await fs::sync_directory(directory);
  if (!listed) co_return fail(listed.error());
  for (const runtime::directory_entry& entry : *entries) {
    if (!entry.name.ends_with(".wal")) continue;
    uint32_t slot = 0;
    std::from_chars(entry.name.data(), entry.name.data() + entry.name.size(), slot);
    set->next_slot_ = std::max(set->next_slot_, slot + 1);
    auto file = std::make_unique<wal_file>();
    file->slot = slot;
    file->is_name_durable = true;
    auto opened =
        co_await runtime::file::open(directory + "/" + entry.name, {.direct = set->options_.direct});
    if (!opened) co_return fail(opened.error());
    file->handle = std::move(*opened);
    auto locked = co_await lock_against_other_brokers(file->handle);
    if (!locked) co_return fail(locked.error());
    auto size = co_await file->handle.size();
    if (!size) co_return fail(size.error());
    file->capacity_bytes = align_down(*size, limits::block_bytes);
    set->free_.push_back(file.get());
    set->files_.push_back(std::move(file));
  }
  co_return std::move(set);
}

std::vector<wal_file*> file_set::all() {
  std::vector<wal_file*> files;
  for (const auto& file : files_) files.push_back(file.get());
  return files;
}

void file_set::adopt(wal_file& file, lsn first, lsn last) {
  MR_ASSERT(live_.empty() || live_.back()->last < first);
  MR_ASSERT(first <= last);
  file.first = first;
  file.last = last;
  std::erase(free_, &file);
  live_.push_back(&file);
}

task<result<void>> file_set::make_directory() {
  auto made = co_await fs::make_directory(options_.directory);
  if (!made && made.error().code != errc::already_exists) co_return made;
  auto named = co_await fs::sync_directory(fs::directory_of(options_.directory));
  if (named) has_directory_ = true;
  co_return named;
}

// A new, empty file. From the moment it exists it counts, whatever fails later: its slot is taken.
task<result<wal_file*>> file_set::create_file() {
  if (!has_directory_) {
    auto made = co_await make_directory();
    if (!made) co_return fail(made.error());
  }
  auto file = std::make_unique<wal_file>();
  file->slot = next_slot_++;
  const std::string path = options_.directory + "/" + file_name(file->slot);
  auto opened = co_await runtime::file::open(path, {.create = true, .direct = options_.direct});
  if (!opened) co_return fail(opened.error());
  file->handle = std::move(*opened);
  auto locked = co_await lock_against_other_brokers(file->handle);
  if (!locked) co_return fail(locked.error());
  files_.push_back(std::move(file));
  co_return files_.back().get();
}

// Sees to it that the file survives a power cut and has `bytes`, of zeros that were really written, so
// that frames later overwrite blocks.
task<result<void>> file_set::make_ready(wal_file& file, uint64_t bytes) {
  bytes = align_up(bytes, limits::block_bytes);
  if (bytes > file.capacity_bytes) {
    auto allocated = co_await file.handle.allocate(file.capacity_bytes, bytes - file.capacity_bytes,
                                                   runtime::allocate_mode::extend);
    if (!allocated) co_return allocated;
    for (uint64_t at = file.capacity_bytes; at < bytes;) {
      const uint64_t step = std::min(zeros_bytes, bytes - at);
      auto written = co_await file.handle.write(at, zeros().view().first(step));
      if (!written) co_return written;
      at += step;
      co_await runtime::reactor::current().yield();
    }
    auto synced = co_await file.handle.sync_all();
    if (!synced) co_return synced;
    file.capacity_bytes = bytes;
  }
  if (!file.is_name_durable && !MILLRACE_FAULT(missing_wal_name_sync)) {
    auto synced = co_await fs::sync_directory(options_.directory);
    if (!synced) co_return synced;
    file.is_name_durable = true;
  }
  co_return {};
}

task<result<void>> file_set::begin_next(uint64_t bytes_min) {
  // The largest free file; a frame larger than all of them gets one that is extended.
  wal_file* next = nullptr;
  for (wal_file* file : free_)
    if (!next || file->capacity_bytes > next->capacity_bytes) next = file;
  if (next) {
    std::erase(free_, next);
  } else {
    auto created = co_await create_file();
    if (!created) co_return fail(created.error());
    next = *created;
  }
  auto ready = co_await make_ready(*next, std::max(options_.file_bytes_min, block_bytes + bytes_min));
  if (!ready) {
    free_.push_back(next);
    co_return ready;
  }
  file_header header;
  header.generation = (uint64_t{++counter_} << 32) | static_cast<uint32_t>(random_.next());
  header.shard = options_.shard;
  header.wall_clock_ms = runtime::reactor::current().wall_clock_ms();
  const buffer block = buffer::allocate(block_bytes);
  store_file_header(block.data(), header);
  const bytes_view bytes(block.data(), block_bytes);
  const runtime::write_options durably{.dsync = true};
  auto written = co_await next->handle.write(0, bytes, durably);
  if (!written) {
    free_.push_back(next);
    if (written.error().code == errc::disk_full) written.error().code = errc::io_error;
    co_return written;
  }
  next->generation = header.generation;
  next->position = block_bytes;
  next->first = next->last = lsn(0);
  if (current_)
    wanted_bytes_ = std::min(options_.file_bytes_max, std::max(wanted_bytes_, 2 * current_->capacity_bytes));
  live_.push_back(next);
  current_ = next;
  co_return {};
}

bool file_set::recycle(lsn trim) {
  bool any = false;
  while (closed_count() > 0 && live_.front()->last < trim) {
    wal_file* file = live_.front();
    live_.pop_front();
    file->first = file->last = lsn(0);
    file->generation = 0;
    free_.push_back(file);
    any = true;
  }
  return any;
}

uint64_t file_set::live_bytes() const noexcept {
  uint64_t sum = 0;
  for (const wal_file* file : live_) sum += file->capacity_bytes;
  return sum;
}

uint64_t file_set::allocated_bytes() const noexcept {
  uint64_t sum = 0;
  for (const auto& file : files_) sum += file->capacity_bytes;
  return sum;
}

task<result<void>> file_set::prepare_spare() {
  if (is_preparing_) co_return {};
  for (const wal_file* file : free_)
    if (file->capacity_bytes >= wanted_bytes_) co_return {};
  is_preparing_ = true;
  // While it is prepared the file is in no list, so that begin_next() cannot take it half grown.
  wal_file* spare = nullptr;
  result<void> outcome;
  if (!free_.empty()) {
    spare = free_.back();
    free_.pop_back();
  } else {
    auto created = co_await create_file();
    if (created) {
      spare = *created;
    } else {
      outcome = fail(created.error());
    }
  }
  if (spare) {
    outcome = co_await make_ready(*spare, wanted_bytes_);
    free_.push_back(spare);
  }
  is_preparing_ = false;
  co_return outcome;
}

task<result<void>> file_set::sync_live() {
  // What gets in line meanwhile is not meant; a file that is recycled meanwhile needs no sync.
  const std::vector<wal_file*> live(live_.begin(), live_.end());
  for (wal_file* file : live) {
    auto synced = co_await file->handle.sync_data();
    if (!synced) co_return synced;
  }
  co_return {};
}

task<result<void>> file_set::forget_frames(wal_file& file) {
  const uint64_t bytes = std::min<uint64_t>(2 * block_bytes, file.capacity_bytes);
  const runtime::write_options durably{.dsync = true};
  auto written = co_await file.handle.write(0, zeros().view().first(bytes), durably);
  co_return written;
}

task<result<void>> file_set::close() {
  result<void> outcome;
  for (const auto& file : files_) {
    auto closed = co_await file->handle.close();
    if (!closed) outcome = closed;
  }
  files_.clear();
  live_.clear();
  free_.clear();
  current_ = nullptr;
  co_return outcome;
}

}  // namespace millrace::storage::wal
