// assert: invariants that stay on in release builds.
//
// MR_ASSERT states something that can only be false through a defect of ours; it prints where and
// aborts. MR_DCHECK is for truths that cost too much to check in release. Neither is for bad input:
// what a socket, file, plugin or user may get wrong is a result<T>.
#pragma once

namespace millrace {

// Prints "assertion failed: <expression> at <file>:<line>" to stderr and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace millrace

#define MR_ASSERT(expression)                         \
  (__builtin_expect(static_cast<bool>(expression), 1) \
       ? static_cast<void>(0)                         \
       : ::millrace::assertion_failed(#expression, __FILE__, __LINE__))

#ifdef MILLRACE_DCHECKS
#define MR_DCHECK(expression) MR_ASSERT(expression)
#else
#define MR_DCHECK(expression) static_cast<void>(sizeof(!(expression)))
#endif
