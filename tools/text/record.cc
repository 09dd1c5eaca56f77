#include "tools/text/record.h"

#include "tools/text/json.h"

namespace millrace::tools {

void append_json(std::string& out, const record_view& record) {
  json_writer json(out);
  json.begin_object();
  json.member("topic", record.topic).member("partition", record.partition).member("offset", record.offset);
  json.key("timestamp");
  record.timestamp_ms < 0 ? json.null() : json.value(record.timestamp_ms);
  json.member("timestamp_type", record.is_append_time ? "append" : "create");
  json.bytes_member("key", record.key);
  json.bytes_member("value", record.value);
  json.key("headers").begin_array();
  for (const header_view& header : record.headers) {
    json.begin_object().member("name", header.name).bytes_member("value", header.value).end_object();
  }
  json.end_array().end_object();
}

}  // namespace millrace::tools
