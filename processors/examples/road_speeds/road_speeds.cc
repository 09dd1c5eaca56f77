// The average speed on each road in each minute, from records that no key or another one brings into their
// partitions: {"road": "A1", "speed": 87.5}. through() sends each record to the partition of its road, by way
// of a topic between the two stages of this processor, so that all of a road meet.
#include <chrono>
#include <millrace/aggregates.h>
#include <millrace/json.h>
#include <millrace/stream.h>
#include <string>
#include <utility>

using millrace::json;
using millrace::mean;
using road_in_time = millrace::windowed<std::string>;

void build(millrace::topology& t) {
  t.from<json>("readings")
      .select_key([](const json& reading) { return reading["road"].text(); })
      .through("by-road")
      .group_by_key()
      .window(millrace::tumbling(std::chrono::minutes(1)), millrace::grace(std::chrono::seconds(10)))
      .emit_on_close()
      .aggregate("speeds", mean(), [](const json& r, const mean& m) { return m.add(r["speed"].number()); })
      .map([](const road_in_time& road, const mean& speed) {
        json average = json::object();
        average["from"] = road.window.start_ms;
        average["speed"] = speed.value();
        average["readings"] = speed.count();
        return std::pair(road.key, average);
      })
      .to("averages");
}

MILLRACE_TOPOLOGY(build, "road-speeds", "1.0")
