#include "processors/host/breadcrumb.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <new>
#include <sys/mman.h>
#if __has_include(<sys/rseq.h>)
#include <sys/rseq.h>
#endif
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/sanitized.h"

namespace millrace::processors {
namespace {

constexpr size_t page_bytes = 4096;
static_assert(sizeof(crumb_page) <= page_bytes);

// The pages of this process. A handler finds the one of its thread here, by the kernel's number of the
// thread: what is thread-local lies at the end of the stack, where a processor may have written.
constexpr size_t pages_max = 4096;
std::atomic<crumb_page*> pages[pages_max];

int32_t this_thread() {
  return static_cast<int32_t>(::syscall(SYS_gettid));
}

int64_t steady_ms() {
  const auto since = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
}

void store_text(char* to, size_t size, std::string_view text) {
  const size_t n = std::min(size - 1, text.size());
  std::memcpy(to, text.data(), n);
  to[n] = 0;
}

void note(uint32_t verdict) {
  const int32_t thread = this_thread();
  for (const std::atomic<crumb_page*>& p : pages) {
    crumb_page* page = p.load();
    if (page && page->in_call_since.load() != 0 && page->thread.load() == thread &&
        page->verdict.load() == verdict_none)
      page->verdict.store(verdict);
  }
}

// The default action follows: the handler is gone once it has been called.
void on_signal(int number) {
  note(static_cast<uint32_t>(number));
}

void on_exit() {
  note(verdict_exit);
}

// glibc, which registers each thread, gets along without: sched_getcpu() becomes a system call.
void leave_restartable_sequences() {
#if __has_include(<sys/rseq.h>)
  auto* const area =
      reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset);
  // A thread that was begun by one that has left takes no part either.
  if (__rseq_size == 0 || static_cast<int32_t>(area->cpu_id) < 0) return;
  // The length has to be the one it was registered with, which is at least 32 and a multiple of that.
  for (uint32_t length = 32; length <= 256; length += 32)
    if (::syscall(SYS_rseq, area, length, RSEQ_FLAG_UNREGISTER, RSEQ_SIG) == 0) return;
  log::warn("a processor that smashes its stack cannot be recognised why=\"{}\"", std::strerror(errno));
#endif
}

}  // namespace

breadcrumb::breadcrumb(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  void* mapped = MAP_FAILED;
  if (fd >= 0 && ::ftruncate(fd, page_bytes) == 0)
    mapped = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) {
    log::warn("no breadcrumb path={} why=\"{}\"", path, std::strerror(errno));
  } else {
    page_ = new (mapped) crumb_page{};
    page_->magic = crumb_page::magic_value;
    for (std::atomic<crumb_page*>& p : pages) {
      crumb_page* none = nullptr;
      if (p.compare_exchange_strong(none, page_)) break;
    }
  }
  if (fd >= 0) ::close(fd);
}

breadcrumb::~breadcrumb() {
  if (!page_) return;
  for (std::atomic<crumb_page*>& p : pages) {
    crumb_page* mine = page_;
    if (p.compare_exchange_strong(mine, nullptr)) break;
  }
  ::munmap(page_, page_bytes);
}

void breadcrumb::enter(std::string_view processor, std::string_view content_hash, std::string_view topic,
                       int32_t partition) {
  if (!page_) return;
  store_text(page_->processor, sizeof(page_->processor), processor);
  store_text(page_->content_hash, sizeof(page_->content_hash), content_hash);
  store_text(page_->topic, sizeof(page_->topic), topic);
  page_->partition = partition;
  at(-1);
  thread_local const int32_t number = this_thread();
  page_->thread.store(number);
  page_->in_call_since.store(std::max<int64_t>(steady_ms(), 1));
}

void breadcrumb::leave() {
  if (!page_) return;
  page_->in_call_since.store(0);
}

void breadcrumb::at(int64_t offset) {
  if (!page_) return;
  page_->offset = offset;
  page_->current.store(0, std::memory_order_relaxed);
}

volatile uint32_t* breadcrumb::current() {
  static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
  return page_ ? reinterpret_cast<volatile uint32_t*>(&page_->current) : &unused_;
}

void breadcrumb::blame(crumb_verdict verdict) {
  if (page_) page_->verdict.store(verdict);
}

int64_t breadcrumb::in_call_ms() const {
  const int64_t since = page_ ? page_->in_call_since.load() : 0;
  return since ? steady_ms() - since : 0;
}

int64_t breadcrumb::in_call_since() const {
  return page_ ? page_->in_call_since.load() : 0;
}

int32_t breadcrumb::thread() const {
  return page_ ? page_->thread.load() : 0;
}

std::string_view breadcrumb::processor() const {
  return page_ ? std::string_view(page_->processor, strnlen(page_->processor, sizeof(page_->processor)))
               : std::string_view();
}

void install_handlers() {
  if (!is_sanitized) {
    struct sigaction action{};
    action.sa_handler = on_signal;
    action.sa_flags = SA_ONSTACK | SA_RESETHAND | SA_NODEFER;
    for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) ::sigaction(number, &action, nullptr);
  }
  std::atexit(on_exit);
}

// A stack that has overflowed is no place for a handler.
void guard_thread() {
  constexpr size_t stack_bytes = 64 * 1024;
  thread_local bool has_stack = false;
  if (has_stack || is_sanitized) return;
  leave_restartable_sequences();
  stack_t stack{};
  stack.ss_sp = std::malloc(stack_bytes);  // for as long as the thread, which is as long as the process
  stack.ss_size = stack_bytes;
  if (stack.ss_sp && ::sigaltstack(&stack, nullptr) == 0) has_stack = true;
}

}  // namespace millrace::processors
