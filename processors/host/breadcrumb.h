// breadcrumb: which processor a shard is in right now, in memory that outlives the process.
//
// One page a shard, a mapped file `<log.dirs>/breadcrumb-<shard>`. While a processor is called, the page says
// which one, on which partition, with which record. If the process dies of it (a signal on the calling
// thread, exit() from inside the call, a call that never ends), the page also says so, and the next start
// reads it: see quarantine.h. A process that is killed from outside, even in the middle of a call, leaves no
// blame; that it was in a call is there to be read, too.
//
// The signal handlers belong to the process; install_handlers() is called once, guard_thread() on each thread
// that calls processors. Everything a handler does is to store a number into the page.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::processors {

// Why the process died in a call: the number of a signal, or one of these.
enum crumb_verdict : uint32_t {
  verdict_none = 0,
  verdict_deadline = 1000,
  verdict_memory = 1001,
  verdict_exit = 1002,
  verdict_leak = 1003,
};

struct crumb_page {
  static constexpr uint64_t magic_value = 0x0100004243524d00;
  uint64_t magic;
  std::atomic<uint32_t> verdict;
  std::atomic<uint32_t> current;       // record at work, counted from `offset`
  std::atomic<int64_t> in_call_since;  // ms of the steady clock; 0: not in a call
  int64_t offset;                      // of the call's first record; -1: none
  int32_t partition;
  char processor[256];
  char topic[256];
  char content_hash[40];
  std::atomic<int32_t> thread;  // that is in the call
};

class breadcrumb {
 public:
  // Starts empty. Without a page, if it cannot be had: then nothing is noted.
  explicit breadcrumb(const std::string& path);
  ~breadcrumb();
  breadcrumb(const breadcrumb&) = delete;
  breadcrumb& operator=(const breadcrumb&) = delete;

  void enter(std::string_view processor, std::string_view content_hash, std::string_view topic,
             int32_t partition);
  void leave();
  // The call goes on with this record.
  void at(int64_t offset);
  // Where the processor may note the number of the record at work, counted from at()'s.
  volatile uint32_t* current();
  // The process is about to end because of the processor called last.
  void blame(crumb_verdict verdict);
  // For how long the call has been going on; 0 if there is none. Any thread.
  int64_t in_call_ms() const;
  // When the call began, ms of the steady clock; 0 if there is none. Any thread.
  int64_t in_call_since() const;
  // The kernel's number of the thread that is or was in the call. Any thread.
  int32_t thread() const;
  // As last entered. Any thread; may be torn, for messages only.
  std::string_view processor() const;

 private:
  crumb_page* page_ = nullptr;
  uint32_t unused_ = 0;
};

// A call in progress.
class in_call {
 public:
  in_call(breadcrumb* crumb, std::string_view processor, std::string_view content_hash,
          std::string_view topic, int32_t partition)
      : crumb_(crumb) {
    if (crumb_) crumb_->enter(processor, content_hash, topic, partition);
  }
  ~in_call() {
    if (crumb_) crumb_->leave();
  }
  in_call(const in_call&) = delete;
  in_call& operator=(const in_call&) = delete;

 private:
  breadcrumb* crumb_;
};

void install_handlers();
// Gives the thread a stack for the handlers, and ends its part in the kernel's restartable sequences: their
// area lies at the end of its stack, and a process in which it has been overwritten is ended without asking
// any handler.
void guard_thread();

}  // namespace millrace::processors
