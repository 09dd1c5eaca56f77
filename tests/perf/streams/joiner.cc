// Joins records with a table by their key, as StreamsApp.java does: both values, one behind the other.
#include <millrace/stream.h>
#include <string>

void build(millrace::topology& t) {
  const auto table = t.from<std::string, std::string>("table").to_table("table");
  t.from<std::string, std::string>("records")
      .join(table, [](const std::string& record, const std::string& entry) { return record + entry; })
      .to("out");
}

MILLRACE_TOPOLOGY(build, "joiner", "1.0")
