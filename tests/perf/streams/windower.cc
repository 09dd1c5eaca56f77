// Counts records by key and minute, as StreamsApp.java does, and emits each new count.
#include <chrono>
#include <millrace/stream.h>
#include <string>

using namespace std::chrono_literals;

void build(millrace::topology& t) {
  t.from<std::string, millrace::raw>("in")
      .group_by_key()
      .window(millrace::tumbling(1min), millrace::grace(10s))
      .count("counts")
      .to("out");
}

MILLRACE_TOPOLOGY(build, "windower", "1.0")
