#include "runtime/fs.h"

#include <algorithm>

#include "runtime/errno_error.h"
#include "runtime/file.h"

namespace millrace::runtime::fs {

namespace {

task<result<void>> on_path(io_kind kind, const char* doing, std::string path) {
  io_op op(kind);
  op.path = path.c_str();
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return fail_errno(doing, path, outcome);
  co_return {};
}

task<result<file_facts>> facts_of(std::string path) {
  file_facts facts;
  io_op op(io_kind::stat);
  op.path = path.c_str();
  op.out = &facts;
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return fail_errno("inspect", path, outcome);
  co_return facts;
}

}  // namespace

std::string directory_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

task<result<void>> make_directory(std::string path) {
  return on_path(io_kind::make_directory, "create directory", std::move(path));
}

task<result<void>> make_directories(std::string path) {
  for (size_t end = 0; end != std::string::npos;) {
    end = path.find('/', end + 1);
    std::string part = path.substr(0, end);
    if (part.empty() || part == ".") continue;
    auto found = co_await facts_of(part);
    const bool is_there = found.has_value();
    if (is_there && !found->is_directory) co_return fail(errc::already_exists, "{} is not a directory", part);
    if (!is_there) {
      auto made = co_await make_directory(part);
      if (!made && made.error().code != errc::already_exists) co_return fail(made.error());
    } else if (end != std::string::npos) {
      continue;
    }
    // What is synced inside must not be lost with its name; one that is there already may stem from a process
    // that was killed before it had synced it. Somebody else's parent may be closed to us.
    auto named = co_await sync_directory(directory_of(part));
    if (!named && !is_there) co_return fail(named.error());
  }
  co_return {};
}

task<result<std::vector<directory_entry>>> list_directory(std::string path) {
  std::vector<directory_entry> entries;
  io_op op(io_kind::list_directory);
  op.path = path.c_str();
  op.out = &entries;
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return fail_errno("list", path, outcome);
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  co_return std::move(entries);
}

task<result<void>> rename(std::string from, std::string to) {
  io_op op(io_kind::rename);
  op.path = from.c_str();
  op.path_to = to.c_str();
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return fail_errno("rename", from + " to " + to, outcome);
  co_return {};
}

task<result<void>> unlink(std::string path) {
  return on_path(io_kind::unlink, "remove", std::move(path));
}

task<result<void>> remove_directory(std::string path) {
  return on_path(io_kind::remove_directory, "remove directory", std::move(path));
}

task<result<void>> remove_tree(std::string path) {
  auto entries = co_await list_directory(path);
  if (!entries) co_return fail(entries.error());
  for (const directory_entry& entry : *entries) {
    std::string inner = path + "/" + entry.name;
    auto removed = entry.is_directory ? remove_tree(std::move(inner)) : unlink(std::move(inner));
    auto outcome = co_await removed;
    if (!outcome && outcome.error().code != errc::not_found) co_return outcome;
  }
  co_return co_await remove_directory(path);
}

task<result<void>> sync_directory(std::string path) {
  return on_path(io_kind::sync_directory, "sync directory", std::move(path));
}

task<result<bool>> exists(std::string path) {
  auto facts = co_await facts_of(std::move(path));
  if (facts) co_return true;
  if (facts.error().code == errc::not_found) co_return false;
  co_return fail(facts.error());
}

task<result<uint64_t>> file_size(std::string path) {
  auto facts = co_await facts_of(std::move(path));
  if (!facts) co_return fail(facts.error());
  co_return facts->size_bytes;
}

task<result<disk_space>> disk_free(std::string path) {
  disk_space space;
  io_op op(io_kind::disk_free);
  op.path = path.c_str();
  op.out = &space;
  const int64_t outcome = co_await op;
  if (outcome < 0) co_return fail_errno("measure free space of", path, outcome);
  co_return space;
}

task<result<slice>> read_file(std::string path, uint64_t bytes_max) {
  auto opened = co_await file::open(path, {.read_only = true});
  if (!opened) co_return fail(opened.error());
  auto facts = co_await facts_of(path);
  if (!facts) co_return fail(facts.error());
  if (facts->is_directory) co_return fail(errc::invalid_argument, "{} is a directory", path);
  auto size = co_await opened->size();
  if (!size) co_return fail(size.error());
  if (*size > bytes_max)
    co_return fail(errc::limit_exceeded, "{} has {} bytes, more than {}", path, *size, bytes_max);
  if (*size == 0) co_return slice();
  buffer memory = buffer::allocate(*size);
  const mutable_bytes into(memory.data(), *size);
  auto got = co_await opened->read(0, into);
  if (!got) co_return fail(got.error());
  co_return slice(std::move(memory), 0, *got);
}

task<result<void>> replace_file(std::string path, bytes_view bytes) {
  const std::string temporary = path + ".tmp";
  {
    auto opened = co_await file::open(temporary, {.create = true, .truncate = true});
    if (!opened) co_return fail(opened.error());
    auto written = co_await opened->write(0, bytes);
    if (!written) co_return written;
    auto synced = co_await opened->sync_all();
    if (!synced) co_return synced;
    auto closed = co_await opened->close();
    if (!closed) co_return closed;
  }
  auto renamed = co_await rename(temporary, path);
  if (!renamed) co_return renamed;
  co_return co_await sync_directory(directory_of(path));
}

}  // namespace millrace::runtime::fs
