#include "runtime/blocking.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <dirent.h>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/assert.h"

namespace millrace::runtime {

namespace {

// For file systems that allow direct I/O but, before kernel 6.1 or as a matter of taste, do not say at
// which alignment. A page suits all of them.
constexpr uint32_t direct_alignment_unknown = 4096;

template <class Outcome>
int64_t outcome_of(Outcome outcome) {
  return outcome < 0 ? -errno : static_cast<int64_t>(outcome);
}

int64_t open_file(const io_op& op) {
  int flags = O_CLOEXEC | (op.flags & open_read_only ? O_RDONLY : O_RDWR);
  if (op.flags & open_create) flags |= O_CREAT;
  if (op.flags & open_exclusive) flags |= O_EXCL;
  if (op.flags & open_truncate) flags |= O_TRUNC;
  if (op.flags & open_direct) flags |= O_DIRECT;
  return outcome_of(::open(op.path, flags, 0644));
}

int64_t stat_file(const io_op& op) {
  struct statx found{};
  const char* path = op.fd >= 0 ? "" : op.path;
  const int flags = op.fd >= 0 ? AT_EMPTY_PATH : 0;
  if (::statx(op.fd >= 0 ? op.fd : AT_FDCWD, path, flags, STATX_TYPE | STATX_SIZE | STATX_DIOALIGN, &found) <
      0)
    return -errno;
  auto& facts = *static_cast<file_facts*>(op.out);
  facts.size_bytes = found.stx_size;
  facts.is_directory = S_ISDIR(found.stx_mode);
  if (found.stx_mask & STATX_DIOALIGN) {
    facts.direct_alignment = found.stx_dio_offset_align == 0
                                 ? 0
                                 : std::max({found.stx_dio_offset_align, found.stx_dio_mem_align, 512U});
  } else {
    facts.direct_alignment = direct_alignment_unknown;
  }
  return 0;
}

int64_t sync_directory(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return -errno;
  const int64_t outcome = outcome_of(::fsync(fd));
  ::close(fd);
  return outcome;
}

int64_t list_directory(const io_op& op) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(op.path), ::closedir);
  if (!directory) return -errno;
  auto& entries = *static_cast<std::vector<directory_entry>*>(op.out);
  for (;;) {
    errno = 0;
    const dirent* found = ::readdir(directory.get());
    if (!found) return -errno;
    if (std::strcmp(found->d_name, ".") == 0 || std::strcmp(found->d_name, "..") == 0) continue;
    bool is_directory = found->d_type == DT_DIR;
    if (found->d_type == DT_UNKNOWN || found->d_type == DT_LNK) {
      struct stat facts{};
      is_directory =
          ::fstatat(::dirfd(directory.get()), found->d_name, &facts, 0) == 0 && S_ISDIR(facts.st_mode);
    }
    entries.push_back({found->d_name, is_directory});
  }
}

int64_t measure_disk(const io_op& op) {
  struct statvfs facts{};
  if (::statvfs(op.path, &facts) < 0) return -errno;
  auto& space = *static_cast<disk_space*>(op.out);
  space.free_bytes = uint64_t{facts.f_bavail} * facts.f_frsize;
  space.total_bytes = uint64_t{facts.f_blocks} * facts.f_frsize;
  return 0;
}

}  // namespace

int64_t perform_blocking(const io_op& op) {
  const auto at = static_cast<off_t>(op.at);
  const auto length = static_cast<off_t>(op.length);
  const auto vectors = static_cast<int>(op.vector_count);
  switch (op.kind) {
    case io_kind::open:
      return open_file(op);
    case io_kind::close:
      return outcome_of(::close(op.fd));
    case io_kind::read:
      return outcome_of(::preadv(op.fd, op.vectors, vectors, at));
    case io_kind::write:
      return outcome_of(::pwritev2(op.fd, op.vectors, vectors, at, op.flags & write_dsync ? RWF_DSYNC : 0));
    case io_kind::sync_data:
      return outcome_of(::fdatasync(op.fd));
    case io_kind::sync_all:
      return outcome_of(::fsync(op.fd));
    case io_kind::allocate:
      return outcome_of(
          ::fallocate(op.fd, op.flags & allocate_keep_size ? FALLOC_FL_KEEP_SIZE : 0, at, length));
    case io_kind::truncate:
      return outcome_of(::ftruncate(op.fd, length));
    case io_kind::stat:
      return stat_file(op);
    case io_kind::rename:
      return outcome_of(::rename(op.path, op.path_to));
    case io_kind::unlink:
      return outcome_of(::unlink(op.path));
    case io_kind::make_directory:
      return outcome_of(::mkdir(op.path, 0755));
    case io_kind::remove_directory:
      return outcome_of(::rmdir(op.path));
    case io_kind::sync_directory:
      return sync_directory(op.path);
    case io_kind::list_directory:
      return list_directory(op);
    case io_kind::disk_free:
      return measure_disk(op);
    case io_kind::call:
      return (*static_cast<std::move_only_function<int64_t()>*>(op.out))();
    case io_kind::accept:
    case io_kind::connect:
    case io_kind::receive:
    case io_kind::send:
    case io_kind::poll_readable:
      break;
  }
  MR_ASSERT(!"a socket operation does not belong here");
  return -EINVAL;
}

}  // namespace millrace::runtime
