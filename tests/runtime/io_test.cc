// Files, names and sockets over both real backends.
#include <chrono>
#include <cstring>
#include <sys/resource.h>
#include <unistd.h>
#include <vector>

#include "base/buffer.h"
#include "base/prng.h"
#include "runtime/file.h"
#include "runtime/fs.h"
#include "runtime/gate.h"
#include "runtime/net.h"
#include "runtime/signals.h"
#include "tests/runtime/fixture.h"

namespace millrace::runtime {
namespace {

using namespace std::chrono_literals;

buffer pattern(size_t size, uint64_t seed) {
  prng random(seed);
  buffer b = buffer::allocate(size);
  for (size_t i = 0; i < size; ++i) b.data()[i] = static_cast<std::byte>(random.next());
  return b;
}

class files : public on_each_backend {
 protected:
  temporary_directory dir_;
};
MILLRACE_ON_EACH_BACKEND(files);

task<void> write_and_read(std::string path, bool direct) {
  auto f = co_await file::open(path, {.create = true, .direct = direct});
  EXPECT_TRUE(f) << f.error().message;
  if (!f) co_return;
  EXPECT_EQ(f->direct_alignment() > 1, f->is_direct());
  const size_t size = 256 * 1024;
  buffer data = pattern(size, 1);
  auto allocated = co_await f->allocate(0, size);
  EXPECT_TRUE(allocated) << allocated.error().message;
  const bytes_view first(data.data(), size / 2);
  auto written = co_await f->write(0, first, {.dsync = direct});
  EXPECT_TRUE(written) << written.error().message;
  // Many vectors, more than one call takes.
  std::vector<iovec> vectors;
  for (size_t at = size / 2; at < size; at += direct ? 4096 : 64)
    vectors.push_back({data.data() + at, direct ? 4096U : 64U});
  written = co_await f->write(size / 2, std::move(vectors));
  EXPECT_TRUE(written) << written.error().message;
  auto synced = co_await f->sync_data();
  EXPECT_TRUE(synced);
  auto length = co_await f->size();
  EXPECT_EQ(*length, size);

  buffer back = buffer::allocate(size + 4096);
  const mutable_bytes into(back.data(), size + 4096);
  auto got = co_await f->read(0, into);
  EXPECT_TRUE(got) << got.error().message;
  EXPECT_EQ(*got, size) << "short only at the end of the file";
  EXPECT_EQ(std::memcmp(back.data(), data.data(), size), 0);

  auto cut = co_await f->truncate(5000);
  EXPECT_TRUE(cut);
  length = co_await f->size();
  EXPECT_EQ(*length, 5000U);
  got = co_await f->read(0, into);
  EXPECT_EQ(*got, 5000U);
  auto closed = co_await f->close();
  EXPECT_TRUE(closed);
}

TEST_P(files, buffered_round_trip) {
  run(write_and_read(dir_ / "a", false));
}
TEST_P(files, direct_round_trip) {
  run(write_and_read(dir_ / "a", true));
}

task<void> concurrent_reads(std::string path) {
  const size_t blocks = 64;
  buffer data = pattern(blocks * 4096, 2);
  auto f = co_await file::open(path, {.create = true});
  const bytes_view all(data.data(), blocks * 4096);
  auto written = co_await f->write(0, all);
  EXPECT_TRUE(written);
  struct one {
    static task<void> read(file& f, bytes_view expected, uint64_t at) {
      std::vector<std::byte> into(4096);
      auto got = co_await f.read(at, into);
      EXPECT_EQ(*got, 4096U);
      EXPECT_EQ(std::memcmp(into.data(), expected.data() + at, 4096), 0);
    }
  };
  gate reads;
  for (size_t i = 0; i < blocks; ++i) reads.spawn(one::read(*f, all, i * 4096));
  co_await reads.close();
}

TEST_P(files, many_reads_in_flight) {
  run(concurrent_reads(dir_ / "a"));
}

task<void> report_errors(std::string dir) {
  auto missing = co_await file::open(dir + "/none", {});
  EXPECT_EQ(missing.error().code, errc::not_found);
  EXPECT_NE(missing.error().message.find("/none"), std::string::npos);
  auto f = co_await file::open(dir + "/f", {.create = true, .exclusive = true});
  EXPECT_TRUE(f);
  auto twice = co_await file::open(dir + "/f", {.create = true, .exclusive = true});
  EXPECT_EQ(twice.error().code, errc::already_exists);
  auto read_only = co_await file::open(dir + "/f", {.read_only = true});
  const bytes_view x = as_bytes("x");
  auto refused = co_await read_only->write(0, x);
  EXPECT_FALSE(refused);
}

TEST_P(files, errors_name_the_file) {
  run(report_errors(dir_.path()));
}

task<void> lock_twice(std::string path) {
  auto first = co_await file::open(path, {.create = true});
  const auto held = co_await first->lock();
  EXPECT_TRUE(held);
  {
    auto second = co_await file::open(path, {});
    auto locked = co_await second->lock();
    EXPECT_EQ(locked.error().code, errc::locked);
  }
  auto closed = co_await first->close();
  auto third = co_await file::open(path, {});
  auto freed = co_await third->lock();
  EXPECT_TRUE(freed);
}

// Frees what `holder` has after a while.
task<void> close_soon(file& holder) {
  co_await reactor::current().sleep(50ms);
  auto closed = co_await holder.close();
  EXPECT_TRUE(closed);
}

task<void> lock_patiently(std::string path) {
  auto first = co_await file::open(path, {.create = true});
  const auto held = co_await first->lock();
  EXPECT_TRUE(held);
  auto second = co_await file::open(path, {});
  gate closing;
  closing.spawn(close_soon(*first));
  const auto locked = co_await second->lock(60s);
  EXPECT_TRUE(locked);
  co_await closing.close();
}

TEST_P(files, lock_excludes_and_ends_with_the_file) {
  run(lock_twice(dir_ / "lock"));
}

TEST_P(files, lock_waits_for_the_holder_as_long_as_asked) {
  run(lock_patiently(dir_ / "lock"));
}

task<void> use_names(std::string dir) {
  const std::string sub = dir + "/x/y/z";
  auto made = co_await fs::make_directories(sub);
  EXPECT_TRUE(made) << made.error().message;
  made = co_await fs::make_directories(sub);
  EXPECT_TRUE(made);
  const bytes_view one = as_bytes("one");
  const bytes_view two = as_bytes("two!");
  auto put = co_await fs::replace_file(sub + "/f", one);
  EXPECT_TRUE(put) << put.error().message;
  put = co_await fs::replace_file(sub + "/f", two);
  EXPECT_TRUE(put);
  auto content = co_await fs::read_file(sub + "/f", 100);
  EXPECT_EQ(as_text(content->view()), "two!");
  auto too_large = co_await fs::read_file(sub + "/f", 3);
  EXPECT_EQ(too_large.error().code, errc::limit_exceeded);
  auto renamed = co_await fs::rename(sub + "/f", sub + "/g");
  EXPECT_TRUE(renamed);
  auto gone = co_await fs::exists(sub + "/f");
  EXPECT_FALSE(*gone);
  auto there = co_await fs::exists(sub + "/g");
  EXPECT_TRUE(*there);
  auto size = co_await fs::file_size(sub + "/g");
  EXPECT_EQ(*size, 4U);
  auto inner = co_await fs::make_directory(sub + "/a");
  EXPECT_TRUE(inner);
  auto entries = co_await fs::list_directory(sub);
  EXPECT_EQ(*entries, (std::vector<directory_entry>{{"a", true}, {"g", false}}));
  auto space = co_await fs::disk_free(sub);
  EXPECT_GT(space->free_bytes, 0U);
  auto removed = co_await fs::remove_tree(dir + "/x");
  EXPECT_TRUE(removed) << removed.error().message;
  there = co_await fs::exists(dir + "/x");
  EXPECT_FALSE(*there);
}

TEST_P(files, names) {
  run(use_names(dir_.path()));
}

class sockets : public on_each_backend {};
MILLRACE_ON_EACH_BACKEND(sockets);

task<void> echo(std::unique_ptr<stream> s) {
  std::vector<std::byte> memory(16 * 1024);
  for (;;) {
    auto got = co_await s->read(memory);
    if (!got || *got == 0) break;
    iobuf answer(slice::copy_of(bytes_view(memory.data(), *got)));
    auto sent = co_await s->write(std::move(answer));
    if (!sent) break;
  }
  co_await s->close();
}

task<void> serve(listener& l, gate& connections) {
  for (;;) {
    auto s = co_await l.accept();
    if (!s) {
      EXPECT_EQ(s.error().code, errc::closed);
      co_return;
    }
    connections.spawn(echo(std::move(*s)));
  }
}

task<void> drain(stream& s, bytes_view expected) {
  std::vector<std::byte> memory(64 * 1024);
  size_t at = 0;
  while (at < expected.size()) {
    auto got = co_await s.read(memory);
    EXPECT_TRUE(got) << got.error().message;
    if (!got || *got == 0) break;
    EXPECT_LE(at + *got, expected.size());
    EXPECT_EQ(std::memcmp(memory.data(), expected.data() + at, *got), 0);
    at += *got;
  }
  EXPECT_EQ(at, expected.size());
}

task<void> send_parts(stream& s, slice data) {
  // 3,000 vectors: more than one sendmsg takes, and far more bytes than a socket buffer holds.
  iobuf all;
  const size_t part = data.size() / 3000 + 1;
  for (size_t at = 0; at < data.size(); at += part)
    all.append(data.sub(at, std::min(part, data.size() - at)));
  auto sent = co_await s.write(std::move(all));
  EXPECT_TRUE(sent) << sent.error().message;
}

task<void> talk(std::string host, uint16_t port, size_t size) {
  auto s = co_await connect(host, port);
  EXPECT_TRUE(s) << s.error().message;
  if (!s) co_return;
  const slice data(pattern(size, port + size), 0, size);
  gate sending;
  sending.spawn(send_parts(**s, data));
  co_await drain(**s, data.view());
  co_await sending.close();
  co_await (*s)->close();
}

task<void> echo_over(std::string host) {
  auto l = co_await listener::bind(host, 0);
  EXPECT_TRUE(l) << l.error().message;
  if (!l) co_return;
  EXPECT_NE((*l)->port(), 0);
  gate connections;
  gate accepting;
  accepting.spawn(serve(**l, connections));
  gate clients;
  for (int i = 0; i < 8; ++i)
    clients.spawn(talk(host.empty() ? "127.0.0.1" : host, (*l)->port(), 1 + i * 400'000));
  co_await clients.close();
  (*l)->close();
  co_await accepting.close();
  co_await connections.close();
}

TEST_P(sockets, echo_ipv4) {
  run(echo_over("127.0.0.1"));
}
TEST_P(sockets, echo_ipv6) {
  run(echo_over("::1"));
}
TEST_P(sockets, echo_by_name) {
  run(echo_over("localhost"));
}
TEST_P(sockets, echo_on_all_addresses) {
  run(echo_over(""));
}

struct pair {
  std::unique_ptr<stream> client;
  std::unique_ptr<stream> server;
};

task<pair> make_pair() {
  auto l = co_await listener::bind("127.0.0.1", 0);
  auto client = co_await connect("127.0.0.1", (*l)->port());
  auto server = co_await (*l)->accept();
  (*l)->close();
  co_return pair{std::move(*client), std::move(*server)};
}

task<void> read_until_closed(stream& s, bool& ended) {
  std::vector<std::byte> memory(100);
  auto got = co_await s.read(memory);
  EXPECT_FALSE(got);
  if (!got) {
    EXPECT_EQ(got.error().code, errc::closed);
  }
  ended = true;
}

task<void> close_while_reading() {
  pair both = co_await make_pair();
  bool ended = false;
  gate reading;
  reading.spawn(read_until_closed(*both.server, ended));
  co_await reactor::current().sleep(5ms);
  EXPECT_FALSE(ended);
  co_await both.server->close();
  co_await reading.close();
  EXPECT_TRUE(ended);
  std::vector<std::byte> memory(100);
  auto late = co_await both.server->read(memory);
  EXPECT_EQ(late.error().code, errc::closed);
  auto end = co_await both.client->read(memory);
  EXPECT_TRUE(end && *end == 0);
  co_await both.client->close();
}

TEST_P(sockets, close_ends_a_pending_read) {
  run(close_while_reading());
}

task<void> write_until_closed(stream& s, bool& ended) {
  buffer big = buffer::allocate(32 << 20);
  std::memset(big.data(), 1, 32 << 20);
  iobuf data(slice(std::move(big), 0, 32 << 20));
  auto sent = co_await s.write(std::move(data));
  EXPECT_FALSE(sent);
  ended = true;
}

task<void> close_while_writing() {
  pair both = co_await make_pair();
  bool ended = false;
  gate writing;
  writing.spawn(write_until_closed(*both.server, ended));
  co_await reactor::current().sleep(20ms);
  EXPECT_FALSE(ended) << "the peer does not read, so the write must be stuck";
  co_await both.server->close();
  co_await writing.close();
  EXPECT_TRUE(ended);
  co_await both.client->close();
}

TEST_P(sockets, close_ends_a_pending_write) {
  run(close_while_writing());
}

// No SIGPIPE: it would end the test program.
task<void> write_to_gone_peer() {
  pair both = co_await make_pair();
  co_await both.client->close();
  result<void> sent;
  for (int i = 0; i < 100 && sent; ++i) {
    iobuf data(slice::copy_of(as_bytes("hello")));
    sent = co_await both.server->write(std::move(data));
    co_await reactor::current().sleep(1ms);
  }
  EXPECT_FALSE(sent);
  EXPECT_EQ(sent.error().code, errc::closed);
  co_await both.server->close();
}

TEST_P(sockets, writing_to_a_gone_peer_is_an_error) {
  run(write_to_gone_peer());
}

task<void> accept_until_closed(listener& l) {
  auto s = co_await l.accept();
  EXPECT_EQ(s.error().code, errc::closed);
}

task<void> close_listener() {
  auto l = co_await listener::bind("127.0.0.1", 0);
  gate accepting;
  accepting.spawn(accept_until_closed(**l));
  co_await reactor::current().sleep(5ms);
  (*l)->close();
  co_await accepting.close();
  auto late = co_await (*l)->accept();
  EXPECT_EQ(late.error().code, errc::closed);
  auto refused = co_await connect("127.0.0.1", (*l)->port());
  EXPECT_FALSE(refused);
}

TEST_P(sockets, closing_a_listener_ends_accept) {
  run(close_listener());
}

task<void> bind_twice() {
  auto first = co_await listener::bind("127.0.0.1", 0);
  auto second = co_await listener::bind("127.0.0.1", (*first)->port());
  EXPECT_FALSE(second);
  EXPECT_NE(second.error().message.find("in use"), std::string::npos) << second.error().message;
}

TEST_P(sockets, a_taken_port_is_an_error) {
  run(bind_twice());
}

task<void> free_soon(listener& holder) {
  co_await reactor::current().sleep(50ms);
  holder.close();
}

task<void> bind_patiently() {
  auto first = co_await listener::bind("127.0.0.1", 0);
  gate closing;
  closing.spawn(free_soon(**first));
  const auto second = co_await listener::bind("127.0.0.1", (*first)->port(), {.patience = 60s});
  EXPECT_TRUE(second);
  co_await closing.close();
}

TEST_P(sockets, a_port_is_waited_for_as_long_as_asked) {
  run(bind_patiently());
}

task<int> await_signal() {
  auto waiting = next_signal({SIGUSR1});
  ::kill(::getpid(), SIGUSR1);
  auto got = co_await waiting;
  co_return got ? *got : -1;
}

TEST_P(sockets, signals_arrive) {
  block_signals({SIGUSR1});
  EXPECT_EQ(run(await_signal()), SIGUSR1);
}

task<void> sleep_once(nanoseconds delay) {
  co_await reactor::current().sleep(delay);
}

TEST_P(sockets, an_idle_loop_uses_no_cpu) {
  const auto cpu = [] {
    rusage u{};
    ::getrusage(RUSAGE_THREAD, &u);
    return std::chrono::seconds(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           std::chrono::microseconds(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
  };
  const auto before = cpu();
  run(sleep_once(300ms));
  EXPECT_LT(cpu() - before, 30ms);
}

}  // namespace
}  // namespace millrace::runtime
