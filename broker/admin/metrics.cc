#include "broker/admin/metrics.h"

#include <cmath>
#include <functional>

namespace millrace::broker::admin {
namespace {

using processors::flow_status;

// Within the quotes of a label.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n')
      out += "\\n";
    else
      out += c;
  }
  return out;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

void begin(std::string& out, std::string_view name, std::string_view type, std::string_view help) {
  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

std::string labels(const processor_flow& flow) {
  return fmt::format("processor=\"{}\",partition=\"{}\"", escaped(flow.status.processor),
                     flow.status.partition);
}

struct figure {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  double (*value)(const flow_status&);
};

constexpr double count(uint64_t n) {
  return static_cast<double>(n);
}

constexpr figure figures[] = {
    {"millrace_processor_records_in_total", "counter", "Records processed.",
     [](const flow_status& s) { return count(s.counters.records_in); }},
    {"millrace_processor_bytes_in_total", "counter", "Keys and values of records processed.",
     [](const flow_status& s) { return count(s.counters.bytes_in); }},
    {"millrace_processor_records_out_total", "counter", "Records emitted.",
     [](const flow_status& s) { return count(s.counters.records_out); }},
    {"millrace_processor_bytes_out_total", "counter", "Batches written: outputs, changelogs, dead letters.",
     [](const flow_status& s) { return count(s.counters.bytes_out); }},
    {"millrace_processor_lag_records", "gauge", "Records of the input that are not processed yet.",
     [](const flow_status& s) { return static_cast<double>(s.lag); }},
    {"millrace_processor_position", "gauge", "Offset of the next record to process.",
     [](const flow_status& s) { return static_cast<double>(s.cursor); }},
    {"millrace_processor_errors_total", "counter", "Calls that failed for a record or a timer, each attempt.",
     [](const flow_status& s) { return count(s.counters.failures); }},
    {"millrace_processor_skipped_total", "counter", "Failed records that were passed over.",
     [](const flow_status& s) { return count(s.counters.records_skipped); }},
    {"millrace_processor_dead_total", "counter", "Failed records that went to the dead-letter topic.",
     [](const flow_status& s) { return count(s.counters.records_dead); }},
    {"millrace_processor_retries_total", "counter", "Attempts after the first.",
     [](const flow_status& s) { return count(s.counters.retries); }},
    {"millrace_processor_missed_total", "counter",
     "Records removed from the input before they were processed.",
     [](const flow_status& s) { return count(s.counters.records_missed); }},
    {"millrace_processor_restarts_total", "counter", "Instances made after the first.",
     [](const flow_status& s) { return s.counters.starts > 0 ? count(s.counters.starts - 1) : 0; }},
    {"millrace_processor_stalls_total", "counter", "Calls that held up their shard.",
     [](const flow_status& s) { return count(s.counters.stalls); }},
    {"millrace_processor_deaths_total", "counter", "Processes lost that ran its calls.",
     [](const flow_status& s) { return count(s.counters.deaths); }},
    {"millrace_processor_apart", "gauge", "1 while its calls run apart from the shard.",
     [](const flow_status& s) { return s.is_apart ? 1.0 : 0.0; }},
    {"millrace_processor_timers_fired_total", "counter", "Timers that fired.",
     [](const flow_status& s) { return count(s.counters.timers_fired); }},
    {"millrace_processor_timers_dropped_total", "counter", "Timers that failed and were passed over.",
     [](const flow_status& s) { return count(s.counters.timers_dropped); }},
    {"millrace_processor_state_entries", "gauge", "Entries of its stores.",
     [](const flow_status& s) { return count(s.state_entries); }},
    {"millrace_processor_state_bytes", "gauge", "Memory of its state.",
     [](const flow_status& s) { return count(s.state_bytes); }},
};

using flow_visitor = std::function<void(const processor_flow&)>;

void for_each_flow(const std::vector<processor_details>& all, const flow_visitor& visit) {
  for (const processor_details& d : all)
    for (const processor_flow& f : d.flows) visit(f);
}

// How long a record takes. A call takes several: each counts with its share.
void add_durations(std::string& out, const std::vector<processor_details>& all) {
  constexpr std::string_view name = "millrace_processor_record_seconds";
  begin(out, name, "histogram", "Time that a record took in the processor: its share of the call.");
  for_each_flow(all, [&](const processor_flow& f) {
    const processors::flow_counters& c = f.status.counters;
    const auto& bounds = processors::record_times::bounds_ns;
    uint64_t so_far = 0;
    for (size_t i = 0; i < bounds.size(); ++i) {
      so_far += c.times.counts[i];
      out += fmt::format("{}_bucket{{{},le=\"{}\"}} {}\n", name, labels(f),
                         static_cast<double>(bounds[i]) / 1e9, so_far);
    }
    so_far += c.times.counts.back();
    out += fmt::format("{}_bucket{{{},le=\"+Inf\"}} {}\n", name, labels(f), so_far);
    out += fmt::format("{}_sum{{{}}} {}\n", name, labels(f), static_cast<double>(c.busy_ns) / 1e9);
    out += fmt::format("{}_count{{{}}} {}\n", name, labels(f), so_far);
  });
}

void add_states(std::string& out, const std::vector<processor_details>& all) {
  constexpr std::string_view name = "millrace_processor_state";
  begin(out, name, "gauge", "1 for the state that each partition of a processor is in.");
  for_each_flow(all, [&](const processor_flow& f) {
    out += fmt::format("{}{{{},state=\"{}\"}} 1\n", name, labels(f), processors::name_of(f.status.state));
  });
  constexpr std::string_view info = "millrace_processor_info";
  begin(out, info, "gauge", "1 for each processor, with its code and its state as a whole.");
  for (const processor_details& d : all)
    out +=
        fmt::format("{}{{processor=\"{}\",code=\"{}\",version=\"{}\",content_hash=\"{}\",state=\"{}\"}} 1\n",
                    info, escaped(d.summary.name), escaped(d.summary.code), escaped(d.summary.version),
                    d.summary.content_hash, escaped(d.summary.state));
}

// What the processors count themselves. Their names may be anything, so they are a label.
void add_own(std::string& out, const std::vector<processor_details>& all) {
  constexpr std::string_view name = "millrace_processor_own";
  begin(out, name, "gauge", "What a processor counts itself, by the name it has given it.");
  for_each_flow(all, [&](const processor_flow& f) {
    for (const auto& [own, value] : f.status.metrics)
      out += fmt::format("{}{{{},name=\"{}\"}} {}\n", name, labels(f), escaped(own), number(value));
  });
}

}  // namespace

std::string metrics_text(const std::vector<processor_details>& processors) {
  std::string out;
  for (const figure& f : figures) {
    begin(out, f.name, f.type, f.help);
    for_each_flow(processors, [&](const processor_flow& flow) {
      out += fmt::format("{}{{{}}} {}\n", f.name, labels(flow), number(f.value(flow.status)));
    });
  }
  add_durations(out, processors);
  add_states(out, processors);
  add_own(out, processors);
  return out;
}

}  // namespace millrace::broker::admin
