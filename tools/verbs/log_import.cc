#include <filesystem>
#include <fmt/format.h>

#include "storage/layout.h"
#include "tools/cli/terminal.h"
#include "tools/log/paths.h"
#include "tools/migrate/disk.h"
#include "tools/migrate/import.h"
#include "tools/text/json.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct log_import_options {
  std::vector<std::string> log_dirs;
  std::string data_dir;
  std::vector<std::string> topics;
  std::vector<std::string> configs;
  bool is_dry_run = false;
  bool keeps_aborted = false;
};

result<import_request> request_of(const log_import_options& options) {
  import_request request{.log_dirs = options.log_dirs, .data_dir = options.data_dir};
  request.is_dry_run = options.is_dry_run;
  request.keeps_aborted = options.keeps_aborted;
  for (const std::string& text : options.topics) {
    const size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (!request.topics.emplace(name, equals == text.npos ? name : text.substr(equals + 1)).second)
      return fail(errc::invalid_argument, "--topic names {} twice", name);
  }
  for (const std::string& text : options.configs) {
    const size_t equals = text.find('=');
    if (equals == text.npos || equals == 0)
      return fail(errc::invalid_argument, "--config {} has not the form KEY=VALUE", text);
    request.configs[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return request;
}

std::string as_json(const import_report& report, bool is_dry_run) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("imported", !is_dry_run).key("topics").begin_array();
  for (const imported_topic& t : report.topics) {
    json.begin_object().member("name", t.created.name).member("name_there", t.name_there);
    json.member("id", t.created.id.to_string()).member("id_kept", t.is_id_kept);
    json.member("partitions", t.created.partitions).member("batches", t.batches).member("records", t.records);
    json.member("bytes", t.bytes).member("aborted_transactions", t.aborted_transactions);
    json.member("records_left_out", t.records_left_out).member("torn_bytes", t.torn_bytes);
    json.key("configs").begin_array();
    for (const auto& [key, value] : t.created.config)
      json.begin_object().member("name", key).member("value", value).end_object();
    json.end_array().key("without_effect").begin_array();
    for (const left_out_config& c : t.without_effect)
      json.begin_object().member("name", c.key).member("value", c.value).member("why", c.why).end_object();
    json.end_array().key("remarks").begin_array();
    for (const std::string& remark : t.remarks) json.value(remark);
    json.end_array().end_object();
  }
  json.end_array().key("remarks").begin_array();
  for (const std::string& remark : report.remarks) json.value(remark);
  json.end_array().end_object();
  return text + "\n";
}

std::string as_text(const import_report& report) {
  std::string text;
  for (const imported_topic& t : report.topics) {
    text += fmt::format("{}{}: {} partition{}, {} records, {}{}\n", t.created.name,
                        t.created.name == t.name_there ? "" : fmt::format(" (there {})", t.name_there),
                        t.created.partitions, t.created.partitions == 1 ? "" : "s", with_thousands(t.records),
                        human_bytes(t.bytes), t.is_id_kept ? "" : ", with a new topic id");
    for (const auto& [key, value] : t.created.config) text += fmt::format("  {}={}\n", key, value);
    for (const left_out_config& c : t.without_effect)
      text += fmt::format("  without effect: {}={}: {}\n", c.key, c.value, c.why);
    if (t.aborted_transactions > 0 && t.records_left_out > 0)
      text += fmt::format("  {} records of {} aborted transactions are left out; offsets stay as they are\n",
                          with_thousands(t.records_left_out), with_thousands(t.aborted_transactions));
    if (t.aborted_transactions > 0 && t.records_left_out == 0)
      text +=
          fmt::format("  {} aborted transactions: their records are visible to everybody (--keep-aborted)\n",
                      with_thousands(t.aborted_transactions));
    for (const std::string& remark : t.remarks) text += fmt::format("  {}\n", remark);
  }
  for (const std::string& remark : report.remarks) text += fmt::format("{}\n", remark);
  return text;
}

result<exit_code> run(context& ctx, const log_import_options& options) {
  auto request = request_of(options);
  if (!request) return fail(request.error());
  MR_TRY(refuse_if_live(options.log_dirs));
  std::error_code code;
  if (!options.is_dry_run) std::filesystem::create_directories(options.data_dir, code);
  if (code) return fail(errc::io_error, "cannot create {}: {}", options.data_dir, code.message());
  MR_TRY(refuse_if_live({options.data_dir}));
  // From here on no broker can start on either side.
  std::vector<directory_lock> locks;
  for (const std::string& log_dir : options.log_dirs) {
    auto lock = directory_lock::take(log_dir + "/.lock", /*may_create=*/false);
    if (!lock) return fail(lock.error());
    locks.push_back(std::move(*lock));
  }
  auto lock = directory_lock::take(storage::layout::metadata_log(options.data_dir), !options.is_dry_run);
  if (!lock) return fail(lock.error());
  locks.push_back(std::move(*lock));

  auto report = plan_import(*request);
  if (!report) return fail(report.error());
  {
    progress bar(options.is_dry_run ? "checked" : "copied", !ctx.common.is_quiet);
    MR_TRY(run_import(*request, *report, [&bar](uint64_t done, uint64_t total) { bar.update(done, total); }));
  }
  ctx.out.write(ctx.common.is_json ? as_json(*report, options.is_dry_run) : as_text(*report));
  MR_TRY(ctx.out.flush());
  if (!ctx.common.is_json)
    tell(ctx, options.is_dry_run
                  ? "nothing was written; without --dry-run this is what would be imported"
                  : fmt::format("copied; millraced adopts it when it next starts on {}", options.data_dir));
  return exit_code::ok;
}

}  // namespace

void add_log_import(CLI::App& log, context& ctx) {
  const auto declare = [&](CLI::App& verb, log_import_options& options) {
    verb.add_option("KAFKA_LOG_DIR", options.log_dirs, "The directories of Kafka's log.dirs")->required();
    verb.add_option("-d,--data", options.data_dir, "Data directory of Millrace (log.dirs)")->required();
    verb.add_option("-t,--topic", options.topics, "Only this topic, under another name if one is given")
        ->type_name("NAME[=NEWNAME]");
    verb.add_option("-c,--config", options.configs, "Configuration of the topics, over what Kafka's says")
        ->type_name("KEY=VALUE");
    verb.add_flag("--dry-run", options.is_dry_run, "Check everything, write nothing");
    verb.add_flag("--keep-aborted", options.keeps_aborted,
                  "Keep records of aborted and open transactions, visible to everybody");
    add_output_options(verb, ctx);
    add_examples(
        verb,
        "  millrace log import /var/lib/kafka/data --data data --dry-run\n"
        "  millrace log import /disk1/kafka /disk2/kafka --data data\n"
        "  millrace log import /var/lib/kafka/data --data data --topic orders --topic events=events.old\n"
        "\nBoth brokers must be stopped. Offsets, timestamps, keys, headers and compressed batches stay as\n"
        "they are; without --topic, committed offsets of consumer groups come along.");
  };
  add_verb<log_import_options>(log, ctx, "import", "Take over the topics of a Kafka, offsets intact", declare,
                               run);
}

}  // namespace millrace::tools
