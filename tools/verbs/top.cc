#include <condition_variable>
#include <fmt/format.h>
#include <mutex>
#include <thread>
#include <unistd.h>

#include "tools/cli/interrupt.h"
#include "tools/cli/screen.h"
#include "tools/cli/terminal.h"
#include "tools/top/view.h"
#include "tools/top/watcher.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

using clock = std::chrono::steady_clock;

struct top_options {
  admin_options admin;
  double interval_seconds = 2;
  bool is_once = false;
  bool with_internal = false;

  clock::duration interval() const {
    return std::chrono::duration_cast<clock::duration>(std::chrono::duration<double>(interval_seconds));
  }
};

// Reads beside the screen, so that a slow broker keeps nobody from leaving.
class sampler {
 public:
  sampler(std::unique_ptr<watcher> from, clock::duration interval)
      : from_(std::move(from)), interval_(interval), thread_([this] { run(); }) {}

  struct state {
    std::optional<snapshot> seen;  // nothing yet
    std::string trouble;           // why there is nothing newer
  };
  state latest() {
    const std::lock_guard lock(mutex_);
    return latest_;
  }
  // Increases with each change of latest().
  uint64_t version() {
    const std::lock_guard lock(mutex_);
    return version_;
  }
  // False if a request is under way that takes its time; then nothing but the end of the program ends it.
  bool stop() {
    std::unique_lock lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
    const bool has_ended =
        changed_.wait_for(lock, std::chrono::milliseconds(500), [this] { return has_ended_; });
    lock.unlock();
    if (has_ended) thread_.join();
    return has_ended;
  }

 private:
  void run() {
    std::optional<reading> before;
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
      lock.unlock();
      const auto began = clock::now();
      auto now = from_->read();
      lock.lock();
      if (now) {
        latest_ = {.seen = compare(before ? *before : *now, *now), .trouble = {}};
        before = *std::move(now);
      } else {
        latest_.trouble = now.error().message;
      }
      ++version_;
      // The first rates are there soon.
      const auto pause =
          version_ == 1 ? std::min<clock::duration>(interval_, std::chrono::seconds(1)) : interval_;
      changed_.wait_until(lock, began + pause, [this] { return is_stopping_; });
    }
    has_ended_ = true;
    changed_.notify_all();
  }

  std::unique_ptr<watcher> from_;
  clock::duration interval_;
  std::mutex mutex_;
  std::condition_variable changed_;
  state latest_;
  uint64_t version_ = 0;
  bool is_stopping_ = false;
  bool has_ended_ = false;
  std::thread thread_;
};

std::vector<std::string> lines_of(const sampler::state& state, const screen& on) {
  if (!state.seen) return {state.trouble.empty() ? "reading ..." : state.trouble.substr(0, on.width())};
  const std::string status = state.trouble.empty() ? "q quits" : state.trouble;
  return as_screen(*state.seen, status, on.width(), on.height(), has_colour(STDOUT_FILENO));
}

exit_code run_on(screen& on, sampler& samples) {
  uint64_t drawn = 0;
  bool is_due = true;
  while (!interrupted()) {
    if (const uint64_t version = samples.version(); is_due || version != drawn) {
      drawn = version;
      if (!on.draw(lines_of(samples.latest(), on))) return exit_code::ok;
    }
    char key = 0;
    const screen::event happened = on.wait(100, key);
    is_due = happened == screen::event::resized;
    if (happened == screen::event::key && (key == 'q' || key == 'Q')) return exit_code::ok;
  }
  return interrupted_exit_code();
}

// One snapshot after the other, for files and pipes.
result<exit_code> run_plainly(context& ctx, watcher& from, const top_options& options) {
  auto before = from.read();
  if (!before) return fail(before.error());
  for (bool is_first = true; !interrupted(); is_first = false) {
    for (const auto until = before->at + options.interval(); clock::now() < until && !interrupted();)
      std::this_thread::sleep_until(std::min(until, clock::now() + std::chrono::milliseconds(100)));
    if (interrupted()) break;
    auto now = from.read();
    if (!now) return fail(now.error());
    const snapshot seen = compare(*before, *now);
    before = std::move(now);
    ctx.out.write(ctx.common.is_json ? as_json(seen) : (is_first ? "" : "\n") + as_text(seen));
    MR_TRY(ctx.out.flush());
    if (options.is_once || ctx.out.is_closed()) return exit_code::ok;
  }
  return interrupted_exit_code();
}

result<exit_code> run(context& ctx, const top_options& options) {
  auto from =
      watcher::open({.to = ctx.common.to, .admin = options.admin, .with_internal = options.with_internal});
  if (!from) return fail(from.error());
  const interruptible finishing;
  std::unique_ptr<screen> on = options.is_once || ctx.common.is_json ? nullptr : screen::open();
  if (!on) return run_plainly(ctx, **from, options);
  auto samples = std::make_unique<sampler>(*std::move(from), options.interval());
  const exit_code code = run_on(*on, *samples);
  on.reset();
  if (samples->stop()) return code;
  (void)samples.release();
  _exit(static_cast<int>(code));
}

}  // namespace

void add_top(CLI::App& root, context& ctx) {
  const auto declare = [&](CLI::App& verb, top_options& options) {
    verb.add_option("-i,--interval", options.interval_seconds, "Seconds between two looks")
        ->type_name("SECONDS")
        ->check(CLI::Range(0.1, 3600.0))
        ->capture_default_str();
    verb.add_flag("--once", options.is_once, "Print what one interval shows, and stop");
    verb.add_flag("--internal", options.with_internal, "Show the brokers' own topics (__...) too");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_socket_options(verb, options.admin);
    add_examples(verb,
                 "  millrace top                                # q quits\n"
                 "  millrace top --once                         # who lags, once, as text\n"
                 "  millrace top --json --interval 10 >> top.jsonl\n"
                 "  millrace top --once --json | jq -r '.groups[] | select(.lag > 1000) | .group'\n"
                 "\nProcessors and shards are shown where a Millrace of this cluster runs on this machine.");
  };
  add_verb<top_options>(root, ctx, "top", "Watch topics, rates, lag of groups, processors and shards",
                        declare, run);
}

}  // namespace millrace::tools
