// Counts words; its second version keeps the counts otherwise, and takes over what the first has left. What
// it emits for the word `wrong` of its configuration is something else.
#include <millrace/table.h>

class tally {
 public:
  explicit tally(const millrace::setup& setup)
      : counts_(setup, "counts"), out_(setup.output("counted")), wrong_(setup.option("wrong", "")) {}

  void process(const millrace::record& record, millrace::context& context) {
    const std::string word(record.value().value_or(""));
    const std::string kept = counts_.get(context, word).value_or(prefix() + "0");
    const std::string count = std::to_string(std::stoll(kept.substr(prefix().size())) + 1);
    counts_.put(context, word, prefix() + count);
    context.emit(out_, word, word == wrong_ ? "?" : count);
  }

#if VERSION == 2
  void migrate(const millrace::old_entry& entry, millrace::context& context) {
    counts_.put(context, entry.key_as<std::string>(), prefix() + entry.value_as<std::string>());
  }
#endif

 private:
  static std::string prefix() { return VERSION == 2 ? "count " : ""; }

  millrace::table<std::string, std::string> counts_;
  millrace::output out_;
  std::string wrong_;
};

#if VERSION == 2
MILLRACE_PROCESSOR(
    tally, millrace::define("tally", "2").output("counted").store("counts").state_version(2).migrates_from(1))
#else
MILLRACE_PROCESSOR(tally, millrace::define("tally", "1").output("counted").store("counts").state_version(1))
#endif
