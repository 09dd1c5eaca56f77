// file_pool: open segment and index files, the least recently used closed when there are too many.
//
// A handle is shared: whoever awaits on a file holds it, and eviction only lets go of the pool's share.
// One pool per shard.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/result.h"
#include "runtime/file.h"
#include "runtime/task.h"

namespace millrace::storage {

enum class file_use : uint8_t { read, write_buffered, write_direct };

class file_pool {
 public:
  explicit file_pool(size_t open_max) : open_max_(open_max) {}

  // Opens (writers create) the file unless it is open for this use already.
  runtime::task<result<std::shared_ptr<runtime::file>>> get(std::string path, file_use use);
  // Forgets all handles of files whose path begins so: they are about to be removed.
  void drop(const std::string& prefix);
  void clear();

 private:
  struct entry {
    std::string key;
    std::shared_ptr<runtime::file> file;
  };

  size_t open_max_;
  std::list<entry> entries_;  // most recently used first
  std::unordered_map<std::string, std::list<entry>::iterator> by_key_;
};

}  // namespace millrace::storage
