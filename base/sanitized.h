// sanitized: whether this is built with a sanitizer that has signal handlers, stacks and an address space of
// its own. Such a build reserves terabytes, and asks the kernel for more than others do.
#pragma once

namespace millrace {

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif

}  // namespace millrace
