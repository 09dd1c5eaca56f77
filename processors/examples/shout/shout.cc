// shout: upper-cases the value of every record. The smallest useful processor.
#include <cctype>
#include <millrace/processor.h>
#include <string>

class shout {
 public:
  explicit shout(const millrace::setup& setup) : loud_(setup.output("loud")) {}

  void process(const millrace::record& record, millrace::context& context) {
    std::string text(record.value().value_or(""));
    for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    context.emit(loud_, record.key(), text);
  }

 private:
  millrace::output loud_;
};

MILLRACE_PROCESSOR(shout, millrace::define("shout", "1.0").output("loud").deterministic())
