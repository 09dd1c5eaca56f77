#include <fmt/format.h>

#include "storage/layout.h"
#include "tools/cli/terminal.h"
#include "tools/log/paths.h"
#include "tools/migrate/disk.h"
#include "tools/migrate/export.h"
#include "tools/text/json.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct log_export_options {
  std::string data_dir;
  std::vector<std::string> topics;
  std::vector<std::string> log_dirs;
  bool is_forced = false;
};

std::string as_json(const std::vector<exported_partition>& done) {
  std::string text;
  json_writer json(text);
  json.begin_array();
  for (const exported_partition& p : done) {
    json.begin_object()
        .member("topic", p.topic)
        .member("partition", p.partition)
        .member("directory", p.directory);
    json.member("records", p.records).member("bytes", p.bytes).member("first_offset", p.log_start);
    json.member("next_offset", p.log_end).end_object();
  }
  json.end_array();
  return text + "\n";
}

result<exit_code> run(context& ctx, const log_export_options& options) {
  MR_TRY(refuse_if_live(options.log_dirs));
  MR_TRY(refuse_if_live({options.data_dir}));
  // From here on no broker can start on either side.
  std::vector<directory_lock> locks;
  for (const std::string& log_dir : options.log_dirs) {
    auto lock = directory_lock::take(log_dir + "/.lock", /*may_create=*/false);
    if (!lock) return fail(lock.error());
    locks.push_back(std::move(*lock));
  }
  auto lock = directory_lock::take(storage::layout::metadata_log(options.data_dir), /*may_create=*/false);
  if (!lock) return fail(lock.error());
  locks.push_back(std::move(*lock));

  const export_request request{.data_dir = options.data_dir,
                               .topics = options.topics,
                               .log_dirs = options.log_dirs,
                               .is_forced = options.is_forced};
  result<std::vector<exported_partition>> done;
  {
    progress bar("written", !ctx.common.is_quiet);
    done = run_export(request, [&bar](uint64_t bytes, uint64_t total) { bar.update(bytes, total); });
  }
  if (!done) return fail(done.error());
  if (ctx.common.is_json) {
    ctx.out.write(as_json(*done));
  } else {
    for (const exported_partition& p : *done)
      ctx.out.write(fmt::format("{}-{}: offsets {} to {}, {} records, {}\n", p.topic, p.partition,
                                p.log_start, p.log_end, with_thousands(p.records), human_bytes(p.bytes)));
  }
  MR_TRY(ctx.out.flush());
  if (!ctx.common.is_json) tell(ctx, "written; Kafka serves it when it next starts");
  return exit_code::ok;
}

}  // namespace

void add_log_export(CLI::App& log, context& ctx) {
  const auto declare = [&](CLI::App& verb, log_export_options& options) {
    verb.add_option("TOPIC", options.topics,
                    "Topics to write out; they exist in Kafka, with as many partitions")
        ->required();
    verb.add_option("-d,--data", options.data_dir, "Data directory of Millrace (log.dirs)")->required();
    verb.add_option("--to", options.log_dirs, "A directory of Kafka's log.dirs; name all of them")
        ->required()
        ->expected(1)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
        ->type_name("KAFKA_LOG_DIR");
    verb.add_flag("--force", options.is_forced, "Replace logs that are not empty");
    add_output_options(verb, ctx);
    add_examples(
        verb,
        "  millrace log export --data data orders payments --to /var/lib/kafka/data\n"
        "  millrace log export --data data orders --to /disk1/kafka --to /disk2/kafka --force\n"
        "\nBoth brokers must have been stopped cleanly. Offsets and batches stay as they are; leader epochs\n"
        "and sequence numbers of idempotent producers begin anew in Kafka.");
  };
  add_verb<log_export_options>(log, ctx, "export", "Write topics into the directories of a Kafka", declare,
                               run);
}

}  // namespace millrace::tools
