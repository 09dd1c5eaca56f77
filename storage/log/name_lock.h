// name_lock: keeps a partition's files under their names while somebody opens them by name.
//
// Readers copy what a segment is like and open its files by name, which takes several awaits; in between the
// name must not come to mean another file. Compaction, which exchanges files, waits until nobody is at
// that, and readers wait while it renames. A file that is open stays what it was.
//
// Shared by whoever waits, since the partition may go away meanwhile.
#pragma once

#include <memory>
#include <utility>

#include "runtime/event.h"
#include "runtime/task.h"

namespace millrace::storage {

class name_lock {
 public:
  // While one lives, names stay. May be nested.
  class use {
   public:
    explicit use(std::shared_ptr<name_lock> lock) : lock_(std::move(lock)) { ++lock_->users_; }
    ~use() {
      if (--lock_->users_ == 0) lock_->changed_.notify_all();
    }
    use(const use&) = delete;
    use& operator=(const use&) = delete;

   private:
    std::shared_ptr<name_lock> lock_;
  };

  // Returns when a `use` may be made, without a pause behind it.
  static runtime::task<void> usable(std::shared_ptr<name_lock> lock) {
    while (lock->is_renaming_) co_await lock->changed_.wait();
  }
  // Returns when nobody uses names; from then to end_renaming() nobody will.
  static runtime::task<void> begin_renaming(std::shared_ptr<name_lock> lock) {
    while (lock->users_ > 0) co_await lock->changed_.wait();
    lock->is_renaming_ = true;
  }
  void end_renaming() {
    is_renaming_ = false;
    changed_.notify_all();
  }

 private:
  int users_ = 0;
  bool is_renaming_ = false;
  runtime::condition changed_;
};

}  // namespace millrace::storage
