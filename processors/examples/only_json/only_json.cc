// A validator: deployed with on_error = "reject" it lets only JSON objects into its topic, and a producer of
// anything else gets an error that says what is wrong with which record. `config = { required = "id,name" }`
// names members that must be there.
#include <millrace/json.h>
#include <millrace/processor.h>
#include <string>
#include <string_view>
#include <vector>

class only_json {
 public:
  explicit only_json(const millrace::setup& setup) {
    std::string_view names = setup.option("required", "");
    while (!names.empty()) {
      const std::string_view name = names.substr(0, names.find(','));
      required_.emplace_back(name);
      names.remove_prefix(name.size() < names.size() ? name.size() + 1 : names.size());
    }
  }

  void process(const millrace::record& record, millrace::context&) {
    const auto value = record.value_as<millrace::json>();
    if (!value.is_object()) throw millrace::failure("the value is not a JSON object");
    for (const std::string& name : required_)
      if (value[name].is_null()) throw millrace::failure("\"" + name + "\" is missing");
  }

 private:
  std::vector<std::string> required_;
};

MILLRACE_PROCESSOR(only_json, millrace::define("only-json", "1.0").deterministic())
