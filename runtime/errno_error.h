// errno_error: turns the kernel's negative errno into our error.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

#include "base/result.h"

namespace millrace::runtime {

// The nearest errc: disk_full for ENOSPC and EDQUOT, not_found, already_exists, closed for a connection
// that is gone, cancelled, io_error for the rest.
errc errc_of(int errno_value) noexcept;

// "cannot <doing> <what>: No space left on device". `outcome` is negative.
std::unexpected<error> fail_errno(std::string_view doing, std::string_view what, int64_t outcome);

}  // namespace millrace::runtime
