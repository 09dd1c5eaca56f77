// The simulated disk against the real one: the same random program on both must see the same results.
#include <algorithm>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/prng.h"
#include "runtime/file.h"
#include "runtime/fs.h"
#include "runtime/sim/world.h"
#include "tests/runtime/fixture.h"

namespace millrace::runtime {
namespace {

// Performs `steps` random operations below `root` and writes down what each of them answered.
class program {
 public:
  program(uint64_t seed, std::string root) : random_(seed), root_(std::move(root)) {}

  task<std::string> run(int steps) {
    for (int i = 0; i < steps; ++i) {
      said_ += fmt::format("{}: ", i);
      co_await step();
      said_ += '\n';
    }
    open_.clear();
    co_return std::move(said_);
  }

 private:
  template <class T>
  void say(const result<T>& outcome) {
    said_ += outcome ? "ok" : std::string(name_of(outcome.error().code));
  }
  // Few names, so that operations meet.
  std::string name() { return fmt::format("{}/{}", random_.one_in(3) ? "/d" : "", random_.below(4)); }
  std::string path(const std::string& name) { return root_ + name; }

  task<void> step() {
    switch (random_.below(13)) {
      case 0:
      case 1:
        return open_one();
      case 2:
      case 3:
      case 4:
        return write_one();
      case 5:
        return read_one();
      case 6:
        return resize_one();
      case 7:
        return sync_one();
      case 8:
        return rename_one();
      case 9:
        return remove_one();
      case 10:
        return make_one();
      case 11:
        return list_one();
      default:
        return look_at_one();
    }
  }

  task<void> open_one() {
    const std::string chosen = name();
    open_options options;
    options.create = random_.one_in(2);
    options.exclusive = options.create && random_.one_in(4);
    options.truncate = random_.one_in(6);
    options.read_only = !options.create && !options.truncate && random_.one_in(4);
    said_ += fmt::format("open {} {}{}{}{} ", chosen, options.create, options.exclusive, options.truncate,
                         options.read_only);
    auto opened = co_await file::open(path(chosen), options);
    say(opened);
    if (opened) {
      if (open_.size() >= 4) open_.erase(open_.begin());
      open_.push_back(std::move(*opened));
    }
  }

  file* any_open() { return open_.empty() ? nullptr : &open_[random_.below(open_.size())]; }

  task<void> write_one() {
    file* f = any_open();
    const uint64_t at = random_.below(20'000);
    const std::string text(1 + random_.below(9'000), static_cast<char>('a' + random_.below(26)));
    const bool dsync = random_.one_in(3);
    said_ += fmt::format("write {}+{} ", at, text.size());
    if (!f) co_return;
    const bytes_view bytes = as_bytes(text);
    auto written = co_await f->write(at, bytes, {.dsync = dsync});
    // Writing to a file opened for reading is EBADF, which means the same as closed.
    say(written);
  }

  task<void> read_one() {
    file* f = any_open();
    const uint64_t at = random_.below(30'000);
    std::vector<std::byte> into(1 + random_.below(30'000));
    said_ += fmt::format("read {}+{} ", at, into.size());
    if (!f) co_return;
    auto got = co_await f->read(at, into);
    say(got);
    if (got)
      said_ += fmt::format(" {} {:x}", *got, std::hash<std::string_view>{}(as_text({into.data(), *got})));
  }

  task<void> resize_one() {
    file* f = any_open();
    const uint64_t size = random_.below(25'000);
    const bool by_allocate = random_.one_in(3);
    said_ += fmt::format("resize {} {} ", size, by_allocate);
    if (!f || size == 0) co_return;
    auto outcome = by_allocate ? f->allocate(0, size, allocate_mode::extend) : f->truncate(size);
    auto done = co_await outcome;
    // On a read-only descriptor the kernel's answers are of several kinds; that it refuses is what counts.
    said_ += done ? "ok" : "refused";
  }

  task<void> sync_one() {
    file* f = any_open();
    said_ += "sync ";
    if (!f) co_return;
    auto done = co_await f->sync_data();
    say(done);
    auto directory = co_await fs::sync_directory(root_);
    say(directory);
  }

  task<void> rename_one() {
    // Within one directory: that is what the simulator offers.
    const std::string directory = random_.one_in(3) ? "/d" : "";
    const std::string from = fmt::format("{}/{}", directory, random_.below(4));
    const std::string to = fmt::format("{}/{}", directory, random_.below(4));
    said_ += fmt::format("rename {} {} ", from, to);
    auto done = co_await fs::rename(path(from), path(to));
    said_ += done ? "ok" : "refused";
  }

  task<void> remove_one() {
    const std::string chosen = random_.one_in(5) ? "/d" : name();
    const bool as_directory = random_.one_in(4);
    said_ += fmt::format("remove {} {} ", chosen, as_directory);
    auto outcome = as_directory ? fs::remove_directory(path(chosen)) : fs::unlink(path(chosen));
    auto done = co_await outcome;
    said_ += done ? "ok" : "refused";
  }

  task<void> make_one() {
    const std::string chosen = random_.one_in(2) ? "/d" : name();
    said_ += fmt::format("make {} ", chosen);
    auto done = co_await fs::make_directory(path(chosen));
    say(done);
  }

  task<void> list_one() {
    const std::string chosen = random_.one_in(2) ? "/d" : "";
    said_ += fmt::format("list '{}' ", chosen);
    auto entries = co_await fs::list_directory(path(chosen));
    say(entries);
    if (!entries) co_return;
    for (const directory_entry& e : *entries)
      said_ += fmt::format(" {}{}", e.name, e.is_directory ? "/" : "");
  }

  task<void> look_at_one() {
    const std::string chosen = name();
    said_ += fmt::format("look {} ", chosen);
    auto content = co_await fs::read_file(path(chosen), 1 << 20);
    // A directory opens for reading on Linux and then does not read.
    said_ += content ? fmt::format("{} {:x}", content->size(),
                                   std::hash<std::string_view>{}(as_text(content->view())))
                     : "refused";
    auto there = co_await fs::exists(path(chosen));
    said_ += there && *there ? " there" : " gone";
  }

  prng random_;
  std::string root_;
  std::vector<file> open_;
  std::string said_;
};

TEST(sim_model, answers_like_a_real_file_system) {
  constexpr uint64_t seeds = 60;
  for (uint64_t seed = 0; seed < seeds; ++seed) {
    const temporary_directory dir;
    auto real = make_reactor(backend_choice::epoll);
    program on_disk(seed, dir.path());
    const std::string expected = real->run(on_disk.run(150));

    sim_world world(seed);
    world.disk().put_directory("/root");
    program in_memory(seed, "/root");
    const std::string found = world.run(in_memory.run(150));
    const auto differ = std::mismatch(found.begin(), found.end(), expected.begin(), expected.end());
    const size_t from = found.rfind('\n', static_cast<size_t>(differ.first - found.begin())) + 1;
    ASSERT_EQ(found.substr(from), expected.substr(from)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace::runtime
