#include "tools/bench/crowd.h"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace millrace::tools {

result<void> run_crowd(size_t clients, const std::function<result<void>(size_t)>& work,
                       const load_progress& progress, const load_watch& watch) {
  std::mutex mutex;
  std::condition_variable has_ended;
  size_t running = clients;
  std::vector<result<void>> outcomes(clients);
  std::vector<std::jthread> threads;
  for (size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] {
      result<void> outcome = work(i);
      const std::lock_guard lock(mutex);
      outcomes[i] = std::move(outcome);
      --running;
      has_ended.notify_one();
    });
  }
  {
    std::unique_lock lock(mutex);
    while (running > 0) {
      has_ended.wait_for(lock, std::chrono::milliseconds(100));
      if (watch) watch(progress);
    }
  }
  threads.clear();
  for (const result<void>& outcome : outcomes) MR_TRY(outcome);
  return {};
}

}  // namespace millrace::tools
