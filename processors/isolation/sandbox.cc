#include "processors/isolation/sandbox.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <vector>

#include "base/sanitized.h"

namespace millrace::processors {
namespace {

#if defined(__x86_64__)
constexpr uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
#error "which system calls a processor may make is not known here"
#endif

// Memory, time, threads, and what is open already.
constexpr uint32_t harmless[] = {
    SYS_read,
    SYS_write,
    SYS_readv,
    SYS_writev,
    SYS_pread64,
    SYS_close,
    SYS_lseek,
    SYS_fstat,
    SYS_ppoll,
    SYS_mmap,
    SYS_munmap,
    SYS_mremap,
    SYS_mprotect,
    SYS_madvise,
    SYS_brk,
    SYS_futex,
    SYS_get_robust_list,
    SYS_set_robust_list,
    SYS_rseq,
    SYS_membarrier,
    SYS_sched_yield,
    SYS_sched_getaffinity,
    SYS_sched_getparam,
    SYS_sched_getscheduler,
    SYS_getpid,
    SYS_gettid,
    SYS_getuid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getegid,
    SYS_getppid,
    SYS_uname,
    SYS_sysinfo,
    SYS_getrusage,
    SYS_times,
    SYS_clock_gettime,
    SYS_clock_getres,
    SYS_clock_nanosleep,
    SYS_nanosleep,
    SYS_gettimeofday,
    SYS_getrandom,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_sigaltstack,
    SYS_restart_syscall,
    SYS_set_tid_address,
    SYS_exit,
    SYS_exit_group,
    SYS_getcwd,
    SYS_seccomp,
#ifdef SYS_poll
    SYS_poll,
#endif
#ifdef SYS_arch_prctl
    SYS_arch_prctl,
    SYS_time,
#endif
};
// To find files by their names.
constexpr uint32_t only_while_loading[] = {
    SYS_newfstatat, SYS_statx, SYS_readlinkat, SYS_faccessat, SYS_faccessat2, SYS_getdents64,
#ifdef SYS_stat
    SYS_stat,       SYS_lstat, SYS_access,     SYS_readlink,
#endif
};

using program = std::vector<sock_filter>;

void add(program& p, uint16_t code, uint32_t value, uint8_t if_true = 0, uint8_t if_false = 0) {
  p.push_back({code, if_true, if_false, value});
}
void load(program& p, size_t offset) {
  add(p, BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
// The lower half, which on both architectures comes first.
void load_argument(program& p, size_t number) {
  load(p, offsetof(seccomp_data, args) + number * sizeof(uint64_t));
}
void answer(program& p, uint32_t action) {
  add(p, BPF_RET | BPF_K, action);
}
constexpr uint32_t refused = SECCOMP_RET_ERRNO | EPERM;

void allow(program& p, uint32_t call) {
  add(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
  answer(p, SECCOMP_RET_ALLOW);
}
// If no bit of `bits` (or, `wanted`, all of them) is set in the argument; else refused.
void allow_by_bits(program& p, uint32_t call, size_t argument, uint32_t bits, bool wanted) {
  add(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
  load_argument(p, argument);
  add(p, BPF_JMP | BPF_JSET | BPF_K, bits, wanted ? 1 : 0, wanted ? 0 : 1);
  answer(p, refused);
  answer(p, SECCOMP_RET_ALLOW);
}
void allow_if_equal(program& p, uint32_t call, size_t argument, uint32_t value) {
  add(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 4);
  load_argument(p, argument);
  add(p, BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
  answer(p, refused);
  answer(p, SECCOMP_RET_ALLOW);
}
void refuse_with(program& p, uint32_t call, uint32_t code) {
  add(p, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1);
  answer(p, SECCOMP_RET_ERRNO | code);
}

program filter_for(sandbox_stage stage) {
  program p;
  load(p, offsetof(seccomp_data, arch));
  add(p, BPF_JMP | BPF_JEQ | BPF_K, architecture, 1, 0);
  answer(p, SECCOMP_RET_KILL_PROCESS);
  load(p, offsetof(seccomp_data, nr));
#if defined(__x86_64__)
  add(p, BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);  // the numbers of x32
  answer(p, SECCOMP_RET_KILL_PROCESS);
#endif
  for (const uint32_t call : harmless) allow(p, call);
  if (stage == sandbox_stage::loading) {
    for (const uint32_t call : only_while_loading) allow(p, call);
    constexpr uint32_t changes = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC | O_APPEND;
    allow_by_bits(p, SYS_openat, 2, changes, false);
#ifdef SYS_open
    allow_by_bits(p, SYS_open, 1, changes, false);
#endif
  }
  // Threads, not processes; glibc falls back to clone, whose flags can be seen here.
  refuse_with(p, SYS_clone3, ENOSYS);
  allow_by_bits(p, SYS_clone, 0, CLONE_THREAD, true);
  // Its own end by a signal, which abort() needs; nobody else's.
  const auto self = static_cast<uint32_t>(::getpid());
  allow_if_equal(p, SYS_tgkill, 0, self);
  allow_if_equal(p, SYS_kill, 0, self);
  // Limits may be read.
  allow_if_equal(p, SYS_prlimit64, 2, 0);
  allow_if_equal(p, SYS_prctl, 0, PR_SET_NAME);
  answer(p, refused);
  return p;
}

void limit(int what, uint64_t most) {
  rlimit now{};
  const auto which = static_cast<__rlimit_resource_t>(what);
  if (::getrlimit(which, &now) != 0) return;
  now.rlim_cur = std::min<rlim_t>(now.rlim_max, most);
  now.rlim_max = now.rlim_cur;
  ::setrlimit(which, &now);
}

}  // namespace

bool end_with_parent(int parent) {
  return ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && ::getppid() == parent;
}

void limit_resources(uint64_t memory_bytes_max) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, 64);
  if (limits_memory()) limit(RLIMIT_AS, memory_bytes_max);
}

bool limits_memory() noexcept {
  return !is_sanitized;
}

std::string enter_sandbox(sandbox_stage stage) {
  if (is_sanitized) return {};
  if (stage == sandbox_stage::loading && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fmt::format("PR_SET_NO_NEW_PRIVS is refused: {}", std::strerror(errno));
  program p = filter_for(stage);
  const sock_fprog given{static_cast<unsigned short>(p.size()), p.data()};
  // All threads: the library may have started some while it was loaded.
  if (::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &given) != 0)
    return fmt::format("the kernel refuses a seccomp filter: {}", std::strerror(errno));
  return {};
}

}  // namespace millrace::processors
