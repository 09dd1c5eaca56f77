#include "broker/witness_page.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <new>
#include <sys/mman.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"

namespace millrace::broker {

witness_page::witness_page(const std::string& data_directory, shard_id shard) {
  const std::string path = fmt::format("{}/witness-{}", data_directory, shard);
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  void* mapped = MAP_FAILED;
  if (fd >= 0 && ::ftruncate(fd, limits::block_bytes) == 0)
    mapped = ::mmap(nullptr, limits::block_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) {
    log::warn("no witness page path={} why=\"{}\"", path, std::strerror(errno));
  } else {
    page_ = new (mapped) storage::commit_witness{};
  }
  if (fd >= 0) ::close(fd);
}

witness_page::~witness_page() {
  if (page_) ::munmap(page_, limits::block_bytes);
}

}  // namespace millrace::broker
