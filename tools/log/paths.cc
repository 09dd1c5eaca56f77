#include "tools/log/paths.h"

#include <algorithm>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <unistd.h>

#include "tools/log/index_check.h"

namespace millrace::tools {

namespace {

namespace fs = std::filesystem;

std::optional<log_file_kind> kind_of(const fs::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".wal") return log_file_kind::wal;
  if (!base_offset_of(path.string())) return std::nullopt;
  if (extension == ".log") return log_file_kind::segment;
  if (extension == ".index") return log_file_kind::offset_index;
  if (extension == ".timeindex") return log_file_kind::time_index;
  return std::nullopt;
}

bool is_index(log_file_kind kind) {
  return kind == log_file_kind::offset_index || kind == log_file_kind::time_index;
}

// Whether some process holds a lock that would keep us from writing. Traditional locks, as Java takes
// them, and locks of open file descriptions both show.
bool is_locked(const fs::path& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return false;
  struct flock probe = {};
  probe.l_type = F_WRLCK;
  probe.l_whence = SEEK_SET;
  const bool held = fcntl(descriptor, F_OFD_GETLK, &probe) == 0 && probe.l_type != F_UNLCK;
  ::close(descriptor);
  return held;
}

bool holds_lock_file(const fs::path& directory) {
  // Kafka locks .lock; Millrace locks its metadata log and the files of its write-ahead logs.
  for (const char* name : {".lock", "metadata.log"}) {
    if (is_locked(directory / name)) return true;
  }
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.path().extension() == ".wal" && is_locked(entry.path())) return true;
  }
  return false;
}

}  // namespace

result<std::vector<log_file>> find_log_files(const std::vector<std::string>& paths, bool with_indexes) {
  std::vector<log_file> files;
  for (const std::string& path : paths) {
    std::error_code code;
    if (fs::is_regular_file(path, code)) {
      const auto kind = kind_of(path);
      if (!kind) {
        return fail(errc::invalid_argument,
                    "{} is neither a segment (20 digits and .log, .index or .timeindex) nor a .wal file",
                    path);
      }
      files.push_back({.path = path, .kind = *kind});
      continue;
    }
    if (!fs::is_directory(path, code)) return fail(errc::not_found, "there is no file or directory {}", path);
    std::vector<log_file> found;
    for (auto at =
             fs::recursive_directory_iterator(path, fs::directory_options::skip_permission_denied, code);
         at != fs::recursive_directory_iterator(); at.increment(code)) {
      if (code) return fail(errc::io_error, "cannot list {}: {}", path, code.message());
      // What a broker is about to delete carries this ending; it is no log any more and may vanish under us.
      if (at->path().filename().string().ends_with("-delete")) {
        at.disable_recursion_pending();
        continue;
      }
      const auto kind = kind_of(at->path());
      if (kind && (with_indexes || !is_index(*kind)))
        found.push_back({.path = at->path().string(), .kind = *kind});
    }
    std::ranges::sort(found, {}, &log_file::path);
    if (found.empty()) return fail(errc::not_found, "there are no segments and no WAL files in {}", path);
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

result<void> refuse_if_live(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    std::error_code code;
    fs::path directory = fs::weakly_canonical(path, code);
    if (code) directory = path;
    // A file lies at most two levels below its data directory.
    for (int level = 0; level < 3; ++level, directory = directory.parent_path()) {
      if (fs::is_directory(directory, code) && holds_lock_file(directory)) {
        return fail(errc::locked, "a running broker holds {}", directory.string());
      }
    }
  }
  return {};
}

}  // namespace millrace::tools
