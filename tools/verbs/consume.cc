#include <unistd.h>

#include "tools/cli/interrupt.h"
#include "tools/cli/live_rate.h"
#include "tools/cli/terminal.h"
#include "tools/kafka/consumer.h"
#include "tools/text/record_filter.h"
#include "tools/text/record_format.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct consume_options {
  std::string topic;
  std::string from;  // empty: beginning, or the group's position
  std::vector<int32_t> partitions;
  uint64_t count = 0;  // 0: no limit
  bool exit_at_end = false;
  bool is_followed = false;
  std::string to;  // empty: without end
  std::vector<std::string> filters;
  std::string format = "%s\\n";
  std::string render = "raw";
  std::string group;
  std::string isolation = "read_committed";
};

result<consumer::settings> settings_of(const consume_options& options) {
  if (!options.group.empty() && !options.partitions.empty()) {
    return fail(errc::invalid_argument,
                "--partition and --group exclude each other: a group shares out the partitions");
  }
  const std::string from = !options.from.empty()   ? options.from
                           : options.group.empty() ? "beginning"
                                                   : "stored";
  const auto position = start_position::parse(from);
  if (!position) return fail(position.error());
  if (!options.group.empty() && position->as_reset_policy().empty()) {
    return fail(errc::invalid_argument,
                "with --group, --from may be beginning or end: where to begin when nothing is committed yet");
  }
  if (options.group.empty() && position->is_stored()) {
    return fail(errc::invalid_argument, "--from stored needs --group: whose position?");
  }
  if (options.is_followed && (options.exit_at_end || !options.to.empty())) {
    return fail(errc::invalid_argument, "--follow goes on at the end; it excludes --exit and --to");
  }
  std::optional<start_position> until;
  if (!options.to.empty()) {
    const auto parsed = start_position::parse(options.to);
    if (!parsed) return fail(parsed.error());
    if (!options.group.empty() || parsed->is_stored()) {
      return fail(
          errc::invalid_argument,
          "--to is an offset, end, -N or @TIME, and excludes --group: a group reads on from where it is");
    }
    until = *parsed;
  }
  return consumer::settings{.topic = options.topic,
                            .group = options.group,
                            .partitions = options.partitions,
                            .from = *position,
                            .until = until,
                            .isolation = options.isolation,
                            .is_bounded = options.exit_at_end || until.has_value()};
}

rendering rendering_of(std::string_view name) {
  if (name == "hex") return rendering::hex;
  return name == "auto" ? rendering::either : rendering::raw;
}

result<exit_code> run(context& ctx, const consume_options& options) {
  const auto settings = settings_of(options);
  if (!settings) return fail(settings.error());
  const auto format = record_format::parse(options.format, rendering_of(options.render));
  if (!format) return fail(format.error());
  const auto filter = record_filter::parse(options.filters);
  if (!filter) return fail(filter.error());
  auto from = consumer::open(ctx.common.to, *settings);
  if (!from) return fail(from.error());

  const interruptible finishing;
  uint64_t records = 0;
  uint64_t bytes = 0;
  // Whoever fills a file wants to know that it grows.
  const bool is_long_work = isatty(STDOUT_FILENO) != 1;
  live_rate rate((options.is_followed || is_long_work) && !ctx.common.is_quiet,
                 std::chrono::seconds(options.is_followed ? 0 : 1));
  const auto is_enough = [&] { return options.count > 0 && records == options.count; };
  const auto print = [&](const record_view& record) {
    if (!filter->matches(record)) return !ctx.out.is_closed();
    std::string& out = ctx.out.buffer();
    if (ctx.common.is_json) {
      append_json(out, record);
      out += '\n';
    } else {
      format->append(out, record);
    }
    bytes += record.key.value_or("").size() + record.value.value_or("").size();
    ++records;
    rate.make_way();
    ctx.out.committed();
    return !is_enough() && !ctx.out.is_closed();
  };
  while (!is_enough() && !ctx.out.is_closed() && !interrupted()) {
    if (settings->is_bounded && (*from)->is_at_end()) break;
    MR_TRY((*from)->poll(100, print));
    // Whoever waits behind a pipe sees each record at once; and only what was written out is done with.
    MR_TRY(ctx.out.flush());
    if (!ctx.out.is_closed()) (*from)->mark_done();
    rate.update(records, bytes);
  }
  rate.clear();
  MR_TRY((*from)->close());
  if (isatty(STDERR_FILENO) == 1 && !ctx.common.is_json) {
    tell(ctx, styled(STDERR_FILENO, style::dim,
                     with_thousands(records) + (records == 1 ? " record" : " records")));
  }
  return interrupted() ? interrupted_exit_code() : exit_code::ok;
}

}  // namespace

void add_consume(CLI::App& root, context& ctx) {
  const auto declare = [&](CLI::App& verb, consume_options& options) {
    verb.add_option("TOPIC", options.topic, "What to read")->required();
    verb.add_option("-o,--from,--offset", options.from,
                    "beginning, end, an offset, -N (the last N of each partition) or @TIME\n"
                    "(default: beginning; with --group, where the group stands)")
        ->type_name("WHERE");
    verb.add_option("-p,--partition", options.partitions, "Only this partition; may be repeated")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber)
        ->allow_extra_args(false);
    verb.add_option("-n,--count", options.count, "Stop after so many records")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
    verb.add_option(
            "--to", options.to,
            "Stop before this offset, @TIME or -N, and at the end there is now at the latest (end: there)")
        ->type_name("WHERE");
    verb.add_option("--filter", options.filters,
                    "Only records for which this holds; may be repeated: key~REGEX, value=TEXT,\n"
                    "header:NAME!=TEXT, value.json.path>=NUMBER; = != ~ !~ < <= > >=, or just: it is there")
        ->type_name("EXPRESSION")
        ->type_size(1)
        ->allow_extra_args(false);
    verb.add_flag("-e,--exit", options.exit_at_end, "Stop at the end instead of waiting for more");
    verb.add_flag("-F,--follow", options.is_followed,
                  "Wait for more at the end (as without --exit), and show on a terminal how fast it comes");
    verb.add_option("-f,--format", options.format,
                    "%k key, %s value, %h headers, %t topic, %p partition, %o offset, %T timestamp in ms,\n"
                    "%K and %S lengths (-1: null), %R value length as 4 bytes; \\n \\t \\xHH")
        ->capture_default_str();
    verb.add_option("--render", options.render,
                    "Keys and values in the format: raw bytes, hex, or auto: hex if they cannot be read")
        ->type_name("HOW")
        ->check(CLI::IsMember({"raw", "hex", "auto"}))
        ->capture_default_str();
    verb.add_option(
        "-g,--group", options.group,
        "Read as a member of this group and commit its position; what --filter leaves out counts\n"
        "as read, too");
    verb.add_option("--isolation", options.isolation,
                    "Whether to show records of open and aborted transactions")
        ->check(CLI::IsMember({"read_committed", "read_uncommitted"}))
        ->capture_default_str();
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(
        verb,
        "  millrace consume events                              # all there is, then what comes\n"
        "  millrace consume events --from -10 --exit            # the last ten of each partition\n"
        "  millrace consume events --from @2026-01-31T12:00:00Z --count 100\n"
        "  millrace consume events --from end -f '%p:%o %T %k=%s\\n'\n"
        "  millrace consume events --from end --follow > new.txt   # and the rate in the terminal\n"
        "  millrace consume events --exit --json | jq -r .value\n"
        "  millrace consume events --from 1000 --to 2000 --filter 'value.user.id=42' --filter 'key~^eu-'\n"
        "  millrace consume events --group billing");
  };
  add_verb<consume_options>(root, ctx, "consume", "Read records", declare, run);
}

}  // namespace millrace::tools
