// off_shard: work that would keep a shard from its turn (blocking calls, much computing), on a helper thread.
#pragma once

#include <cstdint>
#include <functional>
#include <utility>

#include "runtime/io_op.h"
#include "runtime/reactor.h"
#include "runtime/task.h"

namespace millrace::runtime {

// Runs `work` on a helper thread of the current reactor's backend and returns when it is done; in the
// simulator, at once. What the work touches must be nobody else's meanwhile. It must not throw.
inline task<void> off_shard(std::move_only_function<void()> work) {
  std::move_only_function<int64_t()> call = [&work]() -> int64_t { return work(), 0; };
  io_op op(io_kind::call);
  op.out = &call;
  co_await op;
}

}  // namespace millrace::runtime
