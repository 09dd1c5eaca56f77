// by_key: gives every record a new key, a field of its JSON value. Deployed with
//
//     outputs = { keyed = { topic = "orders.by-user", partition_by = "key" } }
//     config = { field = "user" }
//
// all records of one user meet in one partition, whichever partition of the input they came from, on
// whichever shard: what counts or joins by user can be attached there.
#include <millrace/json.h>
#include <millrace/processor.h>
#include <string>

class by_key {
 public:
  explicit by_key(const millrace::setup& setup)
      : keyed_(setup.output("keyed")), field_(setup.option("field", "id")) {}

  void process(const millrace::record& record, millrace::context& context) {
    const auto value = record.value_as<millrace::json>();
    const millrace::json& field = value[field_];
    if (field.is_null()) throw millrace::failure("\"" + field_ + "\" is missing");
    const std::string key = field.is_text() ? field.text() : millrace::encode(field);
    context.emit(keyed_, key, record.value());
  }

 private:
  millrace::output keyed_;
  std::string field_;
};

MILLRACE_PROCESSOR(by_key, millrace::define("by-key", "1.0").output("keyed").deterministic())
