#include "broker/admin/json_forms.h"

namespace millrace::broker::admin {

using nlohmann::json;

namespace {

json json_of(const processors::flow_counters& c) {
  return {{"records_in", c.records_in},
          {"bytes_in", c.bytes_in},
          {"records_out", c.records_out},
          {"bytes_out", c.bytes_out},
          {"busy_seconds", static_cast<double>(c.busy_ns) / 1e9},
          {"errors", c.failures},
          {"skipped", c.records_skipped},
          {"dead", c.records_dead},
          {"retries", c.retries},
          {"restarts", c.starts > 0 ? c.starts - 1 : 0},
          {"missed", c.records_missed},
          {"timers_fired", c.timers_fired},
          {"timers_dropped", c.timers_dropped},
          {"inline_calls", c.inline_calls},
          {"late_calls", c.late_calls},
          {"deaths", c.deaths},
          {"apart_calls", c.apart_calls},
          {"stalls", c.stalls}};
}

json json_of(const processor_flow& flow) {
  const processors::flow_status& s = flow.status;
  json all{{"partition", s.partition},     {"shard", flow.shard},
           {"state", name_of(s.state)},    {"why", s.why_paused},
           {"position", s.cursor},         {"lag", s.lag},
           {"is_apart", s.is_apart},       {"state_entries", s.state_entries},
           {"state_bytes", s.state_bytes}, {"counters", json_of(s.counters)},
           {"metrics", s.metrics}};
  if (s.processor != flow.processor) all["stage"] = s.processor;
  if (s.until) all["until"] = *s.until;
  for (const processors::input_position& one : s.inputs)
    all["inputs"].push_back({{"topic", one.topic}, {"position", one.cursor}, {"lag", one.lag}});
  for (const processors::compared_output& c : s.compared)
    all["compared"].push_back({{"output", c.output},
                               {"shadow_topic", c.shadow_topic},
                               {"live_topic", c.live_topic},
                               {"live_from", c.live_from}});
  return all;
}

}  // namespace

json json_of(const deploy_outcome& outcome) {
  return {{"name", outcome.name},
          {"code", outcome.code},
          {"version", outcome.version},
          {"content_hash", outcome.content_hash},
          {"notes", outcome.notes}};
}

json json_of(const processor_summary& s) {
  return {{"name", s.name},
          {"from_file", s.is_from_file},
          {"code", s.code},
          {"version", s.version},
          {"content_hash", s.content_hash},
          {"role", s.role},
          {"of", s.of},
          {"input", s.input},
          {"inputs", s.inputs},
          {"outputs", s.outputs},
          {"state", s.state},
          {"why", s.why},
          {"partitions", s.partitions},
          {"lag", s.lag},
          {"records_in", s.records_in},
          {"records_out", s.records_out}};
}

json json_of(const processor_details& d) {
  json all = json_of(d.summary);
  all["library"] = d.library;
  all["config"] = d.options;
  all["on_error"] = d.on_error;
  all["isolation"] = d.isolation;
  all["dead_letter"] = d.dead_letter;
  all["changelogs"] = d.changelogs;
  all["repartitions"] = d.repartitions;
  all["topology"] = d.topology;
  all["topology_graph"] = d.topology_graph;
  all["state_bytes"] = d.state_bytes;
  all["state_bytes_max"] = d.state_bytes_max;
  all["deployed_at_ms"] = d.deployed_at_ms;
  all["versions"] = json::array();
  for (const processor_version& v : d.versions)
    all["versions"].push_back({{"content_hash", v.content_hash},
                               {"library", v.library},
                               {"config", v.options},
                               {"deployed_at_ms", v.deployed_at_ms}});
  all["flows"] = json::array();
  for (const processor_flow& f : d.flows) all["flows"].push_back(json_of(f));
  return all;
}

result<replay_request> replay_request_of(std::string_view text) {
  replay_request request;
  if (text.empty()) return request;
  const json parsed = json::parse(text, nullptr, false);
  if (!parsed.is_object()) return fail(errc::malformed, "the request: a JSON object is expected");
  for (const auto& [key, value] : parsed.items()) {
    std::string* into = key == "name"     ? &request.name
                        : key == "from"   ? &request.from
                        : key == "to"     ? &request.to
                        : key == "suffix" ? &request.suffix
                                          : nullptr;
    if (into) {
      if (value.is_string())
        *into = value.get<std::string>();
      else if (value.is_number_integer())
        *into = value.dump();
      else
        return fail(errc::invalid_config, "the request: {}: a string is expected", key);
      continue;
    }
    if (key != "into" || !value.is_object())
      return fail(errc::invalid_config,
                  "the request: {}: there are name, from, to, suffix, and a table into of outputs and topics",
                  key);
    for (const auto& [output, topic] : value.items()) {
      if (!topic.is_string())
        return fail(errc::invalid_config, "the request: into.{}: a string is expected", output);
      request.into[output] = topic.get<std::string>();
    }
  }
  return request;
}

std::string to_text(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace millrace::broker::admin
