#include "runtime/probe.h"

#include <atomic>
#include <sys/resource.h>

#include "base/log.h"
#include "runtime/epoll/epoll_backend.h"
#include "runtime/record.h"
#include "runtime/uring/uring_backend.h"

namespace millrace::runtime {

namespace {

constexpr std::string_view remedy =
    "in a container allow the io_uring system calls (a seccomp profile that has them, or --security-opt "
    "seccomp=unconfined), else see sysctl kernel.io_uring_disabled; io.backend=epoll silences this line";

result<std::unique_ptr<uring_backend>> make_checked_uring() {
  auto made = uring_backend::create();
  if (!made) return made;
  if (auto usable = (*made)->check_operations(); !usable) return fail(usable.error());
  return made;
}

result<std::unique_ptr<backend>> choose_backend(backend_choice choice) {
  if (choice == backend_choice::epoll) return std::make_unique<epoll_backend>();
  auto made = make_checked_uring();
  if (made) return std::move(*made);
  if (choice == backend_choice::uring)
    return fail(errc::not_supported, "{}; {}", made.error().message, remedy);
  static std::atomic<bool> warned{false};
  if (!warned.exchange(true))
    log::warn("io_uring is not available ({}), using epoll, which costs more CPU: {}", made.error().message,
              remedy);
  return std::make_unique<epoll_backend>();
}

}  // namespace

result<backend_choice> parse_backend_choice(std::string_view text) {
  if (text == "auto") return backend_choice::automatic;
  if (text == "uring") return backend_choice::uring;
  if (text == "epoll") return backend_choice::epoll;
  return fail(errc::invalid_config, "io.backend is {}, must be auto, uring or epoll", text);
}

std::string why_not_uring() {
  auto made = make_checked_uring();
  return made ? std::string() : fmt::format("{}; {}", made.error().message, remedy);
}

result<std::unique_ptr<backend>> make_backend(backend_choice choice) {
  auto chosen = choose_backend(choice);
  if (!chosen) return chosen;
  return record_if_asked(std::move(*chosen));
}

uint64_t raise_open_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  ::getrlimit(RLIMIT_NOFILE, &limit);
  return limit.rlim_cur;
}

}  // namespace millrace::runtime
