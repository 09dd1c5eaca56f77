// A processor that does to its broker what the record says, unless it was configured to be good.
#include <cstdlib>
#include <millrace/processor.h>
#include <string_view>

class hostile {
 public:
  explicit hostile(const millrace::setup& setup)
      : out_(setup.output("out")), is_good_(setup.option("good").has_value()) {}

  void process(const millrace::record& record, millrace::context& context) {
    const std::string_view what = record.value().value_or("");
    if (!is_good_) misbehave(what);
    context.emit(out_, record);
  }

 private:
  static void misbehave(std::string_view what) {
    if (what == "crash") *static_cast<volatile int*>(nullptr) = 1;
    if (what == "abort") std::abort();
    if (what == "exit") std::exit(3);
    if (what == "overflow") recurse(1);
    if (what == "hang")
      for (volatile int n = 0;; n = n + 1) {
      }
  }
  static int recurse(int depth) {
    volatile char room[1024] = {};
    room[0] = static_cast<char>(depth);
    return depth == 0 ? 0 : recurse(depth + 1) + room[0];
  }

  millrace::output out_;
  bool is_good_;
};

MILLRACE_PROCESSOR(hostile, millrace::define("hostile", "1.0").output("out"))
