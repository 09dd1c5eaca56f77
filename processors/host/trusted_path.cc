#include "processors/host/trusted_path.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

#include "processors/host/bundled_library.h"

namespace millrace::processors {
namespace {

result<void> check_one(const std::string& path, trust how) {
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0)
    return fail(errc::not_found, "cannot look at {}: {}", path, std::strerror(errno));
  const bool is_directory = S_ISDIR(found.st_mode);
  const mode_t writable = found.st_mode & (S_IWGRP | S_IWOTH);
  if (how == trust::named_by_operator) {
    if ((writable & S_IWOTH) != 0 && !(is_directory && (found.st_mode & S_ISVTX) != 0))
      return fail(errc::invalid_config,
                  "everybody can write to {}, and so run code as the broker: chmod o-w {}", path, path);
    return {};
  }
  if (found.st_uid != 0 && found.st_uid != ::geteuid())
    return fail(errc::invalid_config,
                "{} belongs to user {}, who could run code as the broker: chown it to root or to user {}",
                path, found.st_uid, ::geteuid());
  if (writable == 0) return {};
  if (is_directory && (found.st_mode & S_ISVTX) != 0)
    return fail(
        errc::invalid_config,
        "{} is a directory for everybody: move the library to one that only the broker's user can write to",
        path);
  const bool is_everybody = (writable & S_IWOTH) != 0;
  return fail(errc::invalid_config, "{} can write to {}, and so run code as the broker: chmod {}-w {}",
              is_everybody ? "everybody" : fmt::format("the group {}", found.st_gid), path,
              is_everybody ? "go" : "g", path);
}

// The path itself and all directories above it.
result<void> check_way(const std::filesystem::path& path, trust how) {
  for (std::filesystem::path at = path;; at = at.parent_path()) {
    MR_TRY(check_one(at.string(), how));
    if (at == at.root_path()) return {};
  }
}

}  // namespace

result<void> check_trusted(const std::string& library, trust how) {
  if (library == bundled_name) how = trust::named_by_operator;
  const std::string path = library_path(library);
  struct stat found{};
  if (::stat(path.c_str(), &found) != 0)
    return fail(errc::not_found, "cannot open {}: {}", path, std::strerror(errno));
  if (!S_ISREG(found.st_mode)) return fail(errc::invalid_config, "{} is not a file", path);
  std::error_code problem;
  const std::filesystem::path given = std::filesystem::absolute(path, problem).lexically_normal();
  const std::filesystem::path resolved = problem ? given : std::filesystem::canonical(path, problem);
  if (problem) return fail(errc::io_error, "cannot resolve {}: {}", path, problem.message());
  MR_TRY(check_way(resolved, how));
  return check_way(given, how);
}

}  // namespace millrace::processors
