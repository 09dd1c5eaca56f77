// Counts words: each record's value is a text, and each of its words is emitted with how often it was seen so
// far in this partition. What it has counted is in the store `counts`, which the broker keeps, durably and
// exactly once.
#include <cstdint>
#include <millrace/table.h>
#include <string>

class word_count {
 public:
  explicit word_count(const millrace::setup& setup)
      : counts_(setup, "counts"), counted_(setup.output("counted")) {}

  void process(const millrace::record& record, millrace::context& context) {
    const auto text = record.value_as<std::string>();
    for (std::size_t from = 0; (from = text.find_first_not_of(" \t\r\n", from)) != std::string::npos;) {
      const std::size_t to = text.find_first_of(" \t\r\n", from);
      const std::string word = text.substr(from, to - from);
      const std::int64_t count = counts_.get(context, word).value_or(0) + 1;
      counts_.put(context, word, count);
      context.emit(counted_, word, std::to_string(count));
      from += word.size();
    }
  }

 private:
  millrace::table<std::string, std::int64_t> counts_;
  millrace::output counted_;
};

MILLRACE_PROCESSOR(
    word_count,
    millrace::define("word-count", "1.0").output("counted").store("counts").state_version(1).deterministic())
