// A processor that does to its broker what the record says, unless it was configured to be good.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <millrace/processor.h>
#include <new>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

class hostile {
 public:
  explicit hostile(const millrace::setup& setup)
      : out_(setup.output("out")), is_good_(setup.option("good").has_value()) {}

  void process(const millrace::record& record, millrace::context& context) {
    const std::string_view what = record.value().value_or("");
    if (!is_good_) misbehave(what, record, context);
    context.emit(out_, record);
  }

 private:
  void misbehave(std::string_view what, const millrace::record& record, millrace::context& context) {
    if (what == "crash") *static_cast<volatile int*>(nullptr) = 1;
    if (what == "abort") std::abort();
    if (what == "exit") std::exit(3);
    if (what == "kill") std::raise(SIGKILL);
    if (what == "overflow") recurse(1);
    if (what == "smash") smash();
    if (what == "dangle") dangle(record);
    if (what == "leak") leak();
    if (what == "throw") throw std::string("something that is no exception");
    if (what == "flood") flood(context);
    if (what == "nowhere") context.emit(millrace::output(), "to", "an output that is not there");
    if (what == "socket") open_door();
    if (what == "slow") std::this_thread::sleep_for(std::chrono::milliseconds(50));
    if (what == "hang")
      for (volatile int n = 0;; n = n + 1) {
      }
  }

  static int recurse(int depth) {
    volatile char room[1024] = {};
    room[0] = static_cast<char>(depth);
    return depth == 0 ? 0 : recurse(depth + 1) + room[0];
  }

  // Writes over everything between here and its caller's callers.
  static void smash() {
    volatile char here[16] = {};
    for (int i = 0; i < 64 * 1024; ++i) const_cast<volatile char*>(&here[0])[i] = 0x41;
  }

  // Through a pointer to memory that it was only lent: the batch that the record is part of.
  static void dangle(const millrace::record& record) {
    char* lent = const_cast<char*>(record.value()->data());
    for (int i = -40; i < 40; ++i) lent[i] ^= 0x55;
  }

  // Ten gigabytes, each page touched.
  static void leak() {
    constexpr size_t piece = 64u << 20;
    for (size_t got = 0; got < 10'000'000'000; got += piece) {
      volatile char* leaked = new char[piece];
      for (size_t at = 0; at < piece; at += 4096) leaked[at] = 1;
    }
  }

  // A gigabyte of output.
  void flood(millrace::context& context) const {
    const std::string piece(1'000'000, 'x');
    for (int i = 0; i < 1000; ++i) context.emit(out_, "flood", piece);
  }

  // What it may not do in a process of its own.
  static void open_door() {
    if (::socket(AF_INET, SOCK_STREAM, 0) >= 0 || ::fork() == 0) std::abort();
    if (std::FILE* file = std::fopen("hostile-was-here", "w")) std::fclose(file);
  }

  millrace::output out_;
  bool is_good_;
};

MILLRACE_PROCESSOR(hostile, millrace::define("hostile", "1.0").output("out"))
