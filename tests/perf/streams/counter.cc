// Counts records by key, as StreamsApp.java does, and emits each new count behind the first eight bytes of
// the record (the load's timestamp).
#include <millrace/table.h>
#include <string>

class counter {
 public:
  explicit counter(const millrace::setup& setup) : counts_(setup, "counts"), out_(setup.output("out")) {}

  void process(const millrace::record& record, millrace::context& context) {
    const std::string key(record.key().value_or(""));
    const std::int64_t count = counts_.get(context, key).value_or(0) + 1;
    counts_.put(context, key, count);
    context.emit(out_, key, std::string(record.value().value_or("").substr(0, 8)) + millrace::encode(count));
  }

 private:
  millrace::table<std::string, std::int64_t> counts_;
  millrace::output out_;
};

MILLRACE_PROCESSOR(counter, millrace::define("counter", "1").output("out").store("counts").deterministic())
