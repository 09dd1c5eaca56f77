// probe: chooses the backend that this machine allows.
//
// io_uring is used when it can be set up, when every operation code we need is offered and when a NOP
// goes through. Container runtimes often refuse it (their default seccomp profiles answer EPERM), and
// some kernels switch it off by sysctl; then epoll takes over, with one warning that names the remedy.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "runtime/backend.h"

namespace millrace::runtime {

// The values of `io.backend`.
enum class backend_choice { automatic, uring, epoll };

// "auto", "uring" or "epoll".
result<backend_choice> parse_backend_choice(std::string_view text);

// Empty if io_uring is usable here; else one sentence: what was refused and what to do.
std::string why_not_uring();

// A backend for the calling thread. With `automatic` it warns once a process when it falls back.
result<std::unique_ptr<backend>> make_backend(backend_choice choice);

// Raises the limit of open descriptors to what the system allows; returns the new limit.
uint64_t raise_open_file_limit();

}  // namespace millrace::runtime
