// millrace/stream.h: processors in the manner of Kafka Streams.
//
//     #include <millrace/aggregates.h>
//     #include <millrace/json.h>
//     #include <millrace/stream.h>
//
//     using namespace std::chrono_literals;
//     using millrace::json;
//     using millrace::mean;
//
//     void build(millrace::topology& t) {
//       t.from<std::string, json>("readings")                          // key: the road
//           .filter([](const json& reading) { return reading["speed"].is_number(); })
//           .map_values([](const json& reading) { return reading["speed"].number(); })
//           .group_by_key()
//           .window(millrace::tumbling(1min), millrace::grace(10s))
//           .emit_on_close()
//           .aggregate("speeds", mean(), [](double speed, const mean& m) { return m.add(speed); })
//           .map_values([](const mean& m) { return m.value(); })
//           .to("averages");
//     }
//
//     MILLRACE_TOPOLOGY(build, "average-speed", "1.0")
//
// Functions get (key, value), or only the value if they take one argument. They are functions of what they
// get and nothing else, as rule 5 of millrace_processor.h wants it; to keep something, aggregate.
//
// A record keeps its timestamp; a result of several records has the largest of theirs, a result of a join the
// larger of the two, as in Kafka Streams. A key that a step has changed is no longer the one that put the
// record into its partition. What keeps state by key then wants the records sent to where they belong first,
// with .through("by-road"): what follows is a further stage of the processor. Where all records of a key are
// in one partition all the same, .group_by(f, millrace::within_partition), or select_key() likewise,
// says so.
//
// With several from() the processor has several inputs, and streams of different topics can be joined.
#pragma once

#include "grouped.h"
#include "ktable.h"
#include "stream_join.h"
#include "stream_steps.h"
#include "topology.h"
#include "windows.h"
