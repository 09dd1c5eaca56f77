// Filter and map, as StreamsApp.java does: passes on the readings whose "temp" is at least `temp_min`, in
// capital letters. The first eight bytes stay as they are: the load's timestamp may be there.
#include <millrace/processor.h>
#include <string>

class mapper {
 public:
  explicit mapper(const millrace::setup& setup)
      : out_(setup.output("out")), temp_min_(setup.number("temp_min", 0)) {}

  void process(const millrace::record& record, millrace::context& context) {
    constexpr std::string_view field = "\"temp\":";
    const std::string_view value = record.value().value_or("");
    const std::size_t at = value.find(field);
    if (at == std::string_view::npos || at + field.size() + 2 > value.size()) return;
    const int temp = (value[at + field.size()] - '0') * 10 + (value[at + field.size() + 1] - '0');
    if (temp < temp_min_) return;
    std::string mapped(value);
    for (std::size_t i = 8; i < mapped.size(); ++i)
      if (mapped[i] >= 'a' && mapped[i] <= 'z') mapped[i] = static_cast<char>(mapped[i] - 'a' + 'A');
    context.emit(out_, record.key(), mapped);
  }

 private:
  millrace::output out_;
  std::int64_t temp_min_;
};

MILLRACE_PROCESSOR(mapper, millrace::define("mapper", "1").output("out").deterministic())
