// A processor that does harm as soon as it is loaded (MISCHIEF says what), or, of good will, once an instance
// is made with the option `at_create`.
#include <cstdlib>
#include <millrace/processor.h>
#include <string_view>
#include <unistd.h>

namespace {

void misbehave(std::string_view what) {
  if (what == "crash") *static_cast<volatile int*>(nullptr) = 1;
  if (what == "exit") std::exit(0);
  if (what == "hang")
    for (;;) pause();
}

class hostile_load {
 public:
  explicit hostile_load(const millrace::setup& setup) : out_(setup.output("out")) {
    misbehave(setup.option("at_create").value_or(""));
  }
  void process(const millrace::record& record, millrace::context& context) { context.emit(out_, record); }

 private:
  millrace::output out_;
};

[[maybe_unused]] const int mischief = (misbehave(MISCHIEF), 0);

}  // namespace

MILLRACE_PROCESSOR(hostile_load, millrace::define("hostile_load", "1.0").output("out"))
