#include "storage/log/file_pool.h"

#include <utility>

namespace millrace::storage {

runtime::task<result<std::shared_ptr<runtime::file>>> file_pool::get(std::string path, file_use use) {
  const std::string key = path + static_cast<char>('0' + static_cast<int>(use));
  if (const auto found = by_key_.find(key); found != by_key_.end()) {
    entries_.splice(entries_.begin(), entries_, found->second);
    co_return found->second->file;
  }
  runtime::open_options options;
  options.read_only = use == file_use::read;
  options.create = use != file_use::read;
  options.direct = use == file_use::write_direct;
  auto opened = co_await runtime::file::open(std::move(path), options);
  if (!opened) co_return fail(opened.error());
  // Whoever lets go of it last may be a reader of a segment that was removed meanwhile.
  const std::shared_ptr<runtime::file> file(new runtime::file(std::move(*opened)), [](runtime::file* last) {
    last->close_behind();
    delete last;
  });
  // Another coroutine may have opened it meanwhile; the newer handle is as good.
  if (const auto found = by_key_.find(key); found != by_key_.end()) entries_.erase(found->second);
  entries_.push_front({key, file});
  by_key_[key] = entries_.begin();
  while (entries_.size() > open_max_) {
    by_key_.erase(entries_.back().key);
    entries_.pop_back();
  }
  co_return file;
}

void file_pool::drop(const std::string& prefix) {
  for (auto it = entries_.begin(); it != entries_.end();) {
    if (it->key.starts_with(prefix)) {
      by_key_.erase(it->key);
      it = entries_.erase(it);
    } else {
      ++it;
    }
  }
}

void file_pool::clear() {
  by_key_.clear();
  entries_.clear();
}

}  // namespace millrace::storage
