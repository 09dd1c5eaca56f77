// The average speed on each road in each minute: records are {"speed": 87.5} with the road as their key, and
// once a minute is over, and the ten seconds behind it for those that come late, its average goes out as
// {"from": 1700000040000, "speed": 91.2, "readings": 14}. What comes later still goes to `late`.
#include <chrono>
#include <cstdint>
#include <millrace/aggregates.h>
#include <millrace/json.h>
#include <millrace/stream.h>
#include <string>
#include <utility>

using millrace::json;
using millrace::mean;
using road_in_time = millrace::windowed<std::string>;

void build(millrace::topology& t) {
  t.from<std::string, json>("readings")
      .filter([](const json& reading) { return !reading["speed"].is_null(); })
      .group_by_key()
      .window(millrace::tumbling(std::chrono::minutes(1)), millrace::grace(std::chrono::seconds(10)))
      .emit_on_close()
      .late_to("late")
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

MILLRACE_TOPOLOGY(build, "average-speed", "1.0")
