// without_uring: runs a program as a default container would: io_uring refused, no root, little lockable
// memory.
//
//   without_uring PROGRAM [ARGUMENTS...]
//
// A seccomp filter answers EPERM to the three io_uring calls, as the default profiles of Docker and
// containerd do. Started by root it continues as nobody; RLIMIT_MEMLOCK becomes 8 MiB.
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <grp.h>
#include <iterator>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

void require(bool ok, const char* doing) {
  if (ok) return;
  std::perror(doing);
  std::exit(125);
}

void refuse_io_uring() {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, __NR_io_uring_setup, 0, 2),
      BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, __NR_io_uring_register, 1, 0),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(program)), program};
  require(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
  require(::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0, "seccomp");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: without_uring PROGRAM [ARGUMENTS...]\n");
    return 125;
  }
  // Opened before privileges go: nobody may not be able to walk to it.
  const int program = ::open(argv[1], O_RDONLY | O_CLOEXEC);
  require(program >= 0, argv[1]);
  const rlimit lockable{8 << 20, 8 << 20};
  require(::setrlimit(RLIMIT_MEMLOCK, &lockable) == 0, "RLIMIT_MEMLOCK");
  if (::geteuid() == 0) {
    constexpr unsigned nobody = 65534;
    require(::setgroups(0, nullptr) == 0, "setgroups");
    require(::setresgid(nobody, nobody, nobody) == 0, "setresgid");
    require(::setresuid(nobody, nobody, nobody) == 0, "setresuid");
  }
  refuse_io_uring();
  // A report asked of the test would go to a folder that nobody may not write to; the exit status says
  // enough.
  ::unsetenv("GTEST_OUTPUT");
  ::fexecve(program, argv + 1, environ);
  std::perror(argv[1]);
  return 126;
}
