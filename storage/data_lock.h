// data_lock: keeps a second broker away from the files of a data directory.
#pragma once

#include "base/result.h"
#include "runtime/backend.h"
#include "runtime/file.h"
#include "runtime/task.h"

namespace millrace::storage {

// Locks `file` for this process until it is closed. errc::locked if another broker has it.
inline runtime::task<result<void>> lock_against_other_brokers(runtime::file& file) {
  auto locked = co_await file.lock(runtime::predecessor_patience);
  if (!locked && locked.error().code == errc::locked)
    co_return fail(errc::locked, "{} is in use: another broker is running on this directory", file.path());
  co_return locked;
}

}  // namespace millrace::storage
