// Sums up amounts in windows of time, by key: records are {"amount": 12.5}, and once a window is over, its
// sum goes out for each key, as {"from": 1700000000000, "sum": 17.5, "count": 2}. Time is that of the
// records: a window is over when a record of a later time has come, and what comes for it afterwards goes to
// `late`.
//
//     config = { window_ms = "60000" }
#include <cstdint>
#include <millrace/json.h>
#include <millrace/table.h>
#include <string>

class window_sum {
 public:
  explicit window_sum(const millrace::setup& setup)
      : sums_(setup, "sums"),
        totals_(setup.output("totals")),
        late_(setup.output("late")),
        window_ms_(setup.number("window_ms", 60'000)) {
    if (window_ms_ < 1) throw millrace::failure("window_ms must be at least 1");
  }

  void process(const millrace::record& record, millrace::context& context) {
    if (record.timestamp_ms() < 0) throw millrace::failure("the record has no timestamp");
    const auto amount = record.value_as<millrace::json>()["amount"].number();
    const std::int64_t from = record.timestamp_ms() / window_ms_ * window_ms_;
    const std::string window =
        millrace::encode(millrace::ordered<std::int64_t>(from)) + std::string(record.key().value_or(""));
    if (!context.set_timer(from + window_ms_, window)) return context.emit(late_, record);
    millrace::json sum = sums_.get(context, window).value_or(millrace::json::object());
    sum["from"] = from;
    sum["sum"] = (sum["sum"].is_null() ? 0.0 : sum["sum"].number()) + amount;
    sum["count"] = (sum["count"].is_null() ? 0 : sum["count"].whole()) + 1;
    sums_.put(context, window, sum);
  }

  void timer(const millrace::timer& over, millrace::context& context) {
    const std::string window(over.key());
    const auto sum = sums_.get(context, window);
    if (!sum) throw millrace::failure("a window without a sum");
    sums_.erase(context, window);
    context.emit(totals_, std::string_view(window).substr(sizeof(std::int64_t)), millrace::encode(*sum));
    context.count("windows");
  }

 private:
  millrace::table<std::string, millrace::json> sums_;
  millrace::output totals_;
  millrace::output late_;
  std::int64_t window_ms_;
};

MILLRACE_PROCESSOR(window_sum, millrace::define("window-sum", "1.0")
                                   .output("totals")
                                   .output("late")
                                   .store("sums")
                                   .state_version(1)
                                   .timers()
                                   .deterministic())
