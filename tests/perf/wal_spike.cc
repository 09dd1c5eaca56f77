// wal_spike: what one group commit costs on this disk, by the way it is written.
//
//   wal_spike [--dir DIRECTORY] [--rounds N] [--commits N] [--dsync thread|flag]
//
// --dsync says who waits in a dsync write: a thread in pwritev2(RWF_DSYNC), as in the broker, or the ring.
// One commit at a time, as a shard does it. The ways take turns within each round, so that a noisy neighbour
// disturbs all of them alike. CPU is that of the process with its kernel helpers on its behalf (rusage),
// which leaves out journal threads and the host's side of the disk.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "base/buffer.h"
#include "runtime/file.h"
#include "runtime/fs.h"
#include "runtime/reactor.h"
#include "runtime/uring/uring_backend.h"

namespace millrace::runtime {
namespace {

constexpr uint64_t file_bytes = 64 << 20;

struct way {
  const char* name;
  bool is_direct;
  bool is_dsync;
  bool is_recycled;  // over blocks that were written before; else over blocks only reserved
  bool syncs_after;  // fdatasync as a second step
};

constexpr way ways[] = {
    {"direct+dsync, recycled", true, true, true, false},
    {"direct+dsync, reserved", true, true, false, false},
    {"direct, then fdatasync, recycled", true, false, true, true},
    {"direct, then fdatasync, reserved", true, false, false, true},
    {"buffered, then fdatasync, reserved", false, false, false, true},
    {"direct, recycled, no sync", true, false, true, false},
};

struct figures {
  std::vector<double> latency_us;
  double cpu_us = 0;
};

double cpu_us_now() {
  rusage u{};
  ::getrusage(RUSAGE_SELF, &u);
  return 1e6 * static_cast<double>(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         static_cast<double>(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

double percentile(std::vector<double>& values, double p) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(p * static_cast<double>(values.size())))];
}

void require(const result<void>& outcome) {
  if (outcome) return;
  fmt::print(stderr, "{}\n", to_string(outcome.error()));
  std::exit(1);
}

task<file> make_file(std::string path, const way& w) {
  auto opened = co_await file::open(path, {.create = true, .truncate = true, .direct = w.is_direct});
  if (!opened) {
    fmt::print(stderr, "{}\n", to_string(opened.error()));
    std::exit(1);
  }
  auto done = co_await opened->allocate(0, file_bytes);
  require(done);
  if (w.is_recycled) {
    const size_t chunk = 1 << 20;
    buffer zeros = buffer::allocate(chunk);
    std::memset(zeros.data(), 0, chunk);
    const bytes_view bytes(zeros.data(), chunk);
    for (uint64_t at = 0; at < file_bytes; at += chunk) {
      done = co_await opened->write(at, bytes);
      require(done);
    }
  }
  done = co_await opened->sync_all();
  require(done);
  co_return std::move(*opened);
}

task<void> commit_many(std::string path, const way& w, size_t frame_bytes, int commits, figures& out) {
  file f = co_await make_file(path, w);
  buffer frame = buffer::allocate(frame_bytes);
  std::memset(frame.data(), 'x', frame_bytes);
  const bytes_view bytes(frame.data(), frame_bytes);
  backend& io = reactor::current().io();
  const double cpu_before = cpu_us_now();
  uint64_t at = 0;
  for (int i = 0; i < commits; ++i) {
    const time_point began = io.monotonic_now();
    auto done = co_await f.write(at, bytes, {.dsync = w.is_dsync});
    require(done);
    if (w.syncs_after) {
      done = co_await f.sync_data();
      require(done);
    }
    out.latency_us.push_back(static_cast<double>((io.monotonic_now() - began).count()) / 1000);
    at += frame_bytes;
    if (at + frame_bytes > file_bytes) at = 0;
  }
  out.cpu_us += cpu_us_now() - cpu_before;
  auto closed = co_await f.close();
  require(closed);
  closed = co_await fs::unlink(path);
  require(closed);
}

task<void> measure(std::string dir, int rounds, int commits) {
  for (const size_t frame_bytes : {4096UL, 65'536UL, 262'144UL}) {
    std::vector<figures> all(std::size(ways));
    for (int round = 0; round < rounds; ++round)
      for (size_t i = 0; i < std::size(ways); ++i)
        co_await commit_many(dir + "/wal_spike.tmp", ways[i], frame_bytes, commits, all[i]);
    fmt::print("\n| {} KiB a commit | p50 us | p99 us | p99.9 us | cpu us |\n|---|---|---|---|---|\n",
               frame_bytes / 1024);
    for (size_t i = 0; i < std::size(ways); ++i) {
      figures& f = all[i];
      fmt::print("| {} | {:.0f} | {:.0f} | {:.0f} | {:.0f} |\n", ways[i].name, percentile(f.latency_us, 0.5),
                 percentile(f.latency_us, 0.99), percentile(f.latency_us, 0.999),
                 f.cpu_us / static_cast<double>(f.latency_us.size()));
    }
  }
}

}  // namespace
}  // namespace millrace::runtime

int main(int argc, char** argv) {
  using namespace millrace::runtime;
  std::string dir = ".";
  int rounds = 5;
  int commits = 400;
  std::string how = "thread";
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view key = argv[i];
    if (key == "--dir") dir = argv[i + 1];
    if (key == "--dsync") how = argv[i + 1];
    if (key == "--rounds") rounds = std::atoi(argv[i + 1]);
    if (key == "--commits") commits = std::atoi(argv[i + 1]);
  }
  auto io =
      uring_backend::create(how == "flag" ? uring_backend::dsync_by::flag : uring_backend::dsync_by::thread);
  if (!io) {
    fmt::print(stderr, "{}\n", to_string(io.error()));
    return 1;
  }
  reactor loop({}, std::move(*io));
  fmt::print("dsync is {}, {} rounds of {} commits\n", how, rounds, commits);
  loop.run(measure(dir, rounds, commits));
  return 0;
}
