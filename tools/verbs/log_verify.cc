#include <chrono>
#include <filesystem>
#include <fmt/format.h>
#include <thread>
#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/log/verify.h"
#include "tools/text/json.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct log_verify_options {
  std::vector<std::string> paths;
  bool is_deep = false;
  bool is_strict = false;
  bool is_live_allowed = false;
};

// An index is verified with its segment.
std::vector<std::string> with_segments_for_indexes(std::vector<std::string> paths) {
  for (std::string& path : paths) {
    const std::filesystem::path file(path);
    if (file.extension() == ".index" || file.extension() == ".timeindex") {
      path = std::filesystem::path(file).replace_extension(".log").string();
    }
  }
  return paths;
}

std::string as_json(const file_report& report) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("file", report.path).member("kind", report.kind).member("bytes", report.bytes);
  if (report.kind == "wal") json.member("frames", report.frames);
  json.member("batches", report.batches).member("records", report.records);
  for (const auto& [name, number] : {std::pair("first", report.first), {"last", report.last}}) {
    json.key(name);
    number < 0 ? json.null() : json.value(number);
  }
  json.key("findings").begin_array();
  for (const finding& f : report.findings) {
    json.begin_object().member("severity", name_of(f.how_bad)).member("file", f.file);
    json.member("position", f.position).member("what", f.what).end_object();
  }
  json.end_array().end_object();
  return text + "\n";
}

std::string as_text(const file_report& report) {
  const severity worst = report.worst();
  const style colour = worst == severity::corrupt ? style::red
                       : worst == severity::torn  ? style::yellow
                                                  : style::green;
  const std::string_view word = worst == severity::note ? "ok" : name_of(worst);
  std::string text =
      fmt::format("{} {}: ", styled(STDOUT_FILENO, colour, fmt::format("{:7}", word)), report.path);
  if (report.first < 0) {
    text += report.bytes == 0 ? "empty\n" : "nothing in it\n";
  } else if (report.kind == "wal") {
    text += fmt::format("frames {}-{}, {} batches, {} records\n", report.first, report.last, report.batches,
                        report.records);
  } else {
    text += fmt::format("offsets {}-{}, {} batches, {} records\n", report.first, report.last, report.batches,
                        report.records);
  }
  for (const finding& f : report.findings) {
    text += fmt::format(
        "        {} at {}{}: {}\n", name_of(f.how_bad), f.position,
        f.file == report.path ? "" : " of " + std::filesystem::path(f.file).filename().string(), f.what);
  }
  return text;
}

// A broker at work may recycle, roll or delete the very file that is being read. What is damage on disk is
// still there a moment later; what was a glimpse of a write in progress is not.
constexpr int live_readings = 3;
constexpr auto live_pause = std::chrono::milliseconds(100);

// nullopt: a broker deleted the file meanwhile.
result<std::optional<file_report>> verify_live(const log_file& file, const verify_options& how) {
  for (int reading = 1;; ++reading) {
    auto report = verify_file(file, how);
    std::error_code ignored;
    if (!report && !std::filesystem::exists(file.path, ignored)) return std::nullopt;
    const bool is_settled = report && report->worst() != severity::corrupt;
    if (is_settled || reading == live_readings) {
      if (!report) return fail(report.error());
      return *std::move(report);
    }
    std::this_thread::sleep_for(live_pause);
  }
}

result<exit_code> run(context& ctx, const log_verify_options& options) {
  const std::vector<std::string> paths = with_segments_for_indexes(options.paths);
  const auto files = find_log_files(paths, /*with_indexes=*/false);
  if (!files) return fail(files.error());
  if (!options.is_live_allowed) MR_TRY(refuse_if_live(paths));

  uint64_t total_bytes = 0;
  for (const log_file& file : *files) {
    std::error_code ignored;
    if (const auto size = std::filesystem::file_size(file.path, ignored); !ignored) total_bytes += size;
  }
  uint64_t done_bytes = 0, records = 0, torn = 0, corrupt = 0;
  progress bar("verified", !ctx.common.is_quiet);
  for (const log_file& file : *files) {
    const verify_options how{.is_deep = options.is_deep, .on_progress = [&](uint64_t bytes) {
                               bar.update(done_bytes + bytes, total_bytes);
                             }};
    result<std::optional<file_report>> seen =
        options.is_live_allowed ? verify_live(file, how) : verify_file(file, how);
    if (!seen) return fail(seen.error());
    if (!*seen) continue;
    const file_report& report = **seen;
    done_bytes += report.bytes;
    records += report.records;
    torn += report.worst() == severity::torn ? 1 : 0;
    corrupt += report.worst() == severity::corrupt ? 1 : 0;
    bar.clear();
    ctx.out.write(ctx.common.is_json ? as_json(report) : as_text(report));
    if (ctx.out.is_closed()) return exit_code::ok;
  }
  MR_TRY(ctx.out.flush());
  if (!ctx.common.is_json) {
    tell(ctx, fmt::format("{} file{}, {}, {} records: {} corrupt, {} with a torn tail", files->size(),
                          files->size() == 1 ? "" : "s", human_bytes(done_bytes), with_thousands(records),
                          corrupt, torn));
  }
  return corrupt > 0 || (options.is_strict && torn > 0) ? exit_code::failure : exit_code::ok;
}

}  // namespace

void add_log_verify(CLI::App& log, context& ctx) {
  const auto declare = [&](CLI::App& verb, log_verify_options& options) {
    verb.add_option("PATH", options.paths, "Segments, WAL files, or directories of them")->required();
    verb.add_flag("--deep", options.is_deep, "Decompress and walk every record, too");
    verb.add_flag("--strict", options.is_strict,
                  "A torn tail is a failure, too (after a clean stop there is none)");
    verb.add_flag("--live", options.is_live_allowed, "Read even while a broker uses the directory");
    add_output_options(verb, ctx);
    add_examples(
        verb,
        "  millrace log verify data                            # everything in a data directory\n"
        "  millrace log verify data/events-0 --deep --strict\n"
        "  millrace log verify data/events-0/00000000000000000000.log --json\n"
        "\nReads only. Exit code 1 if anything is corrupt. A torn tail is what a crash leaves: the broker\n"
        "cuts it off when it starts, and nothing acknowledged is in it.");
  };
  add_verb<log_verify_options>(log, ctx, "verify", "Check files for damage", declare, run);
}

}  // namespace millrace::tools
