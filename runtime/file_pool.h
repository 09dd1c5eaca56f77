// file_pool: a few threads that carry out blocking file operations for one backend.
//
// Threads start when they are first needed, up to the limit; a shard that never asks has none.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "runtime/io_op.h"

namespace millrace::runtime {

class file_pool {
 public:
  // `name`: of its threads, as profiles and `ps` show it. `finished` is called on a pool thread with the
  // result filled in, and must not block.
  file_pool(const char* name, size_t threads_max, std::function<void(io_op&)> finished);
  file_pool(const file_pool&) = delete;
  file_pool& operator=(const file_pool&) = delete;
  ~file_pool() { stop(); }

  void submit(io_op& op);
  // Finishes what was submitted, then joins the threads.
  void stop();

 private:
  void work();

  const char* const name_;
  const size_t threads_max_;
  const std::function<void(io_op&)> finished_;
  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  op_list waiting_;
  size_t waiting_count_ = 0;
  size_t idle_count_ = 0;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace millrace::runtime
