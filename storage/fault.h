// fault: defects that can be switched on, in the build that the simulator is proved with.
//
// A simulator that never fails says nothing by itself. So the code carries, at the places where a promise
// is kept, the mistake that would break it:
//
//   if (!MILLRACE_FAULT(skip_segment_sync)) { ...sync... }
//
// The macro is `false` in every build but the one that tests/sim links, where one fault at a time is
// switched on by name and the simulator must notice (tests/sim/faults.cc lists them).
#pragma once

#ifdef MILLRACE_FAULTS

#include <string_view>

namespace millrace::storage {

// The fault that is switched on; empty = none.
inline std::string_view& active_fault() {
  static std::string_view name;
  return name;
}

}  // namespace millrace::storage

#define MILLRACE_FAULT(name) (::millrace::storage::active_fault() == #name)
#else
#define MILLRACE_FAULT(name) false
#endif
