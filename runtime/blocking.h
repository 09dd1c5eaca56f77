// blocking: file operations by plain system calls, on whatever thread calls.
//
// What the epoll backend does for all file operations, and the io_uring backend for those that are rare
// and would end up on a kernel worker anyway (names, allocation, truncation, closing).
#pragma once

#include <cstdint>

#include "runtime/io_op.h"

namespace millrace::runtime {

// Carries out a file, name or `call` operation; returns its result. Does not touch op.result.
// Requires: not a socket operation.
int64_t perform_blocking(const io_op& op);

}  // namespace millrace::runtime
