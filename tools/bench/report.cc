#include "tools/bench/report.h"

#include <array>
#include <fmt/format.h>
#include <unistd.h>
#include <utility>

#include "tools/cli/terminal.h"
#include "tools/text/json.h"

namespace millrace::tools {

namespace {

struct quantile_name {
  std::string_view member, title;
  double q;
};
constexpr std::array quantiles = {quantile_name{"p50", "p50", 0.5}, quantile_name{"p90", "p90", 0.9},
                                  quantile_name{"p99", "p99", 0.99}, quantile_name{"p99_9", "p99.9", 0.999},
                                  quantile_name{"max", "max", 1.0}};

double per_second(uint64_t amount, double seconds) {
  return seconds > 0 ? static_cast<double>(amount) / seconds : 0;
}

void add_latency(json_writer& json, std::string_view name, samples& latency) {
  json.key(name);
  if (latency.count() == 0) {
    json.null();
    return;
  }
  json.begin_object();
  for (const quantile_name& one : quantiles) json.member(one.member, latency.quantile(one.q));
  json.end_object();
}

std::string latency_line(samples& latency, std::string_view until) {
  if (latency.count() == 0) return "";
  std::string line = fmt::format("  {:<8}", "latency");
  for (const quantile_name& one : quantiles)
    line += fmt::format(" {} {:.2f} ms ", one.title, latency.quantile(one.q) / 1000);
  return line + fmt::format("until {}\n", until);
}

}  // namespace

std::string load_as_json(std::string_view kind, const load_options& options, load_result& seen) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("kind", kind).member("topic", options.topic);
  json.member("records", seen.records).member("failed", seen.failed).member("bytes", seen.bytes);
  json.member("warm_up_records", options.warm_up_records).member("clients", options.clients);
  json.key("rate");
  options.rate > 0 ? json.value(options.rate) : json.null();
  json.member("seconds", seen.seconds).member("client_cpu_seconds", seen.client_cpu_seconds);
  json.member("records_per_second", per_second(seen.records, seen.seconds));
  json.member("mib_per_second", per_second(seen.bytes, seen.seconds) / (1 << 20));
  add_latency(json, "ack_latency_us", seen.ack_latency);
  add_latency(json, "end_to_end_latency_us", seen.end_to_end_latency);
  json.end_object();
  return text + "\n";
}

std::string load_as_text(std::string_view head, const load_options& options, load_result& seen) {
  std::string text = fmt::format("{} in {:.2f} s\n", styled(STDOUT_FILENO, style::bold, head), seen.seconds);
  const auto whole = [](double number) { return static_cast<uint64_t>(number + 0.5); };
  const std::string wanted =
      options.rate > 0 ? fmt::format(" of {} wanted", with_thousands(options.rate)) : "";
  text += fmt::format("  {:<8} {} records/s{}, {}/s\n", "rate",
                      with_thousands(whole(per_second(seen.records, seen.seconds))), wanted,
                      human_bytes(whole(per_second(seen.bytes, seen.seconds))));
  text += latency_line(seen.ack_latency, "acknowledged");
  text += latency_line(seen.end_to_end_latency, "consumed");
  text += fmt::format("  {:<8} {:.2f} CPU-seconds\n", "client", seen.client_cpu_seconds);
  if (seen.failed > 0) text += fmt::format("  {:<8} {} records\n", "failed", with_thousands(seen.failed));
  return text;
}

}  // namespace millrace::tools
