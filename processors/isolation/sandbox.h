// sandbox: what the process of a processor may not do.
//
// It computes, and reads the library that it runs and what that depends on. It does not write files, open
// sockets, start programs or touch other processes, whatever its code tries: those calls fail with EPERM. The
// filter is seccomp, which needs no privileges and works in containers; memory is limited by RLIMIT_AS.
//
// Runs on: the process itself, which cannot get out again.
#pragma once

#include <cstdint>
#include <string>

namespace millrace::processors {

// Ends with its parent, whose process id was `parent`: false if that is gone already.
bool end_with_parent(int parent);

// Memory (address space, bytes), no core files, few descriptors.
void limit_resources(uint64_t memory_bytes_max);
// Whether memory is limited indeed: sanitizers reserve terabytes of address space, and get them.
bool limits_memory() noexcept;

enum class sandbox_stage : uint8_t {
  loading,  // files may be opened for reading
  running,  // no file may be opened
};

// Closes in. Yields what went wrong; empty if all is well. Call loading first, then running, once each.
std::string enter_sandbox(sandbox_stage stage);

}  // namespace millrace::processors
