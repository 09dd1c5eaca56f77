// io_change: which operations a power cut can undo: they change files or names, or make a change durable. The
// recorder keeps just these, and the simulated disk counts its crash points by them.
#pragma once

#include "runtime/io_op.h"

namespace millrace::runtime {

// An open is one where it may make or empty a file; that is for its flags to say.
constexpr bool is_file_change(io_kind kind) noexcept {
  switch (kind) {
    case io_kind::open:
    case io_kind::write:
    case io_kind::sync_data:
    case io_kind::sync_all:
    case io_kind::allocate:
    case io_kind::truncate:
    case io_kind::rename:
    case io_kind::unlink:
    case io_kind::make_directory:
    case io_kind::remove_directory:
    case io_kind::sync_directory:
      return true;
    default:
      return false;
  }
}

}  // namespace millrace::runtime
