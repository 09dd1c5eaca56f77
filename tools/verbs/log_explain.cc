#include <algorithm>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <optional>

#include "storage/layout.h"
#include "tools/log/describe.h"
#include "tools/log/index_check.h"
#include "tools/log/paths.h"
#include "tools/log/wal_scan.h"
#include "tools/migrate/data_directory.h"
#include "tools/text/table.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct log_explain_options {
  std::string topic;
  int32_t partition = 0;
  int64_t offset = 0;
  std::string data = "data";
  bool is_live_allowed = false;
};

// Where a record was found.
struct place {
  std::string file;
  log_file_kind kind = log_file_kind::segment;
  uint64_t position = 0;  // of the batch; in a write-ahead log, of its frame
  located_batch batch;
  std::optional<offset_entry> index;  // the last one at or before the batch: where a reader begins to look
  std::optional<time_entry> time;     // the first one that its time is not behind
};

std::string directory_of(const log_explain_options& options) {
  return fmt::format("{}/{}-{}", options.data, options.topic, options.partition);
}

result<void> add_index_entries(place& found) {
  const auto base = base_offset_of(found.file);
  std::vector<finding> ignored;  // `log verify` is there for those
  const auto beside = [&](std::string_view extension) {
    return std::filesystem::path(found.file).replace_extension(extension).string();
  };
  if (const std::string path = beside(".index"); base && std::filesystem::exists(path)) {
    const auto entries = load_offset_index(path, *base, ignored);
    if (!entries) return fail(entries.error());
    for (const offset_entry& e : *entries)
      if (e.position <= found.position) found.index = e;
  }
  if (const std::string path = beside(".timeindex"); base && std::filesystem::exists(path)) {
    const auto entries = load_time_index(path, *base, ignored);
    if (!entries) return fail(entries.error());
    const auto at = std::ranges::find_if(
        *entries, [&](const time_entry& e) { return e.timestamp_ms >= found.batch.header.max_timestamp; });
    if (at != entries->end()) found.time = *at;
  }
  return {};
}

bool covers(const protocol::batch_header& header, int64_t offset) {
  return header.base_offset <= offset && offset <= header.last_offset();
}

// The segment whose name says that it might hold the offset is the last one that begins at or before it.
result<std::optional<place>> look_in_segments(const log_explain_options& options) {
  std::string path;
  int64_t best = -1;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(directory_of(options), code)) {
    if (entry.path().extension() != ".log") continue;
    const auto base = base_offset_of(entry.path().string());
    if (!base || *base > options.offset || *base <= best) continue;
    best = *base;
    path = entry.path().string();
  }
  if (path.empty()) return std::nullopt;
  auto window = file_window::open(path);
  if (!window) return fail(window.error());
  segment_scan scan(*window);
  while (true) {
    const auto batch = scan.next();
    if (!batch) return fail(batch.error());
    if (!*batch || (*batch)->header.base_offset > options.offset) return std::nullopt;
    if (!covers((*batch)->header, options.offset)) continue;
    place found{.file = path, .position = (*batch)->position, .batch = **batch, .index = {}, .time = {}};
    MR_TRY(add_index_entries(found));
    return found;
  }
}

// The topic's id: beside its segments or, before there are any, in the broker's metadata. Nothing in a
// Kafka's directory, which has no write-ahead log.
result<std::optional<uuid>> id_of(const log_explain_options& options) {
  std::ifstream in(storage::layout::partition_metadata(directory_of(options)));
  const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (const auto id = storage::layout::parse_partition_metadata(text)) return id;
  if (!std::filesystem::exists(storage::layout::metadata_log(options.data))) return std::nullopt;
  const auto known = read_data_directory(options.data);
  if (!known) return fail(known.error());
  for (const auto& [id, topic] : known->state.topics)
    if (topic.name == options.topic) return id;
  return std::nullopt;
}

result<std::optional<place>> look_in_frames(const log_explain_options& options, const uuid& id,
                                            const std::string& path) {
  namespace wal = storage::wal;
  auto window = file_window::open(path);
  if (!window) return fail(window.error());
  wal_scan scan(*window);
  const auto is_used = scan.open();
  if (!is_used) return fail(is_used.error());
  while (*is_used) {
    const auto frame = scan.next();
    if (!frame) return fail(frame.error());
    if (!*frame) break;
    wal::entry_cursor entries((*frame)->bytes, (*frame)->header);
    while (const auto entry = entries.next()) {
      if (entry->kind != wal::entry_kind::batch) continue;
      const auto decoded = wal::decode_batch(entry->body);
      if (!decoded || decoded->id.topic != id || decoded->id.partition != options.partition) continue;
      const auto header = protocol::parse_batch(decoded->batch);
      if (!header || !covers(*header, options.offset)) continue;
      const bytes_view bytes = decoded->batch.first(header->size_bytes());
      return place{.file = path,
                   .kind = log_file_kind::wal,
                   .position = (*frame)->position,
                   .batch = {.position = (*frame)->position,
                             .header = *header,
                             .bytes = (*frame)->bytes.sub(bytes),
                             .is_intact = protocol::has_valid_crc(bytes)},
                   .index = {},
                   .time = {}};
    }
  }
  return std::nullopt;
}

result<std::optional<place>> look_in_wal(const log_explain_options& options) {
  const auto id = id_of(options);
  if (!id) return fail(id.error());
  if (!*id) return std::nullopt;
  const auto files = find_log_files({options.data}, /*with_indexes=*/false);
  if (!files) return fail(files.error());
  for (const log_file& file : *files) {
    if (file.kind != log_file_kind::wal) continue;
    auto found = look_in_frames(options, **id, file.path);
    if (!found || *found) return found;
  }
  return std::nullopt;
}

void print_text(output& out, const log_explain_options& options, const place& found) {
  const protocol::batch_header& h = found.batch.header;
  const bool is_segment = found.kind == log_file_kind::segment;
  out.write(fmt::format("{} [{}] offset {}\n", options.topic, options.partition, options.offset));
  const auto line = [&](std::string_view what, const std::string& text) {
    out.write(fmt::format("  {:<11}{}\n", what, text));
  };
  line("file",
       fmt::format("{} ({})", found.file, is_segment ? "segment" : "write-ahead log; not in a segment yet"));
  line("position", is_segment ? fmt::format("{}, {} bytes", found.position, h.size_bytes())
                              : fmt::format("in the frame at {}, {} bytes", found.position, h.size_bytes()));
  line("batch", batch_text(h, found.batch.is_intact));
  line("producer",
       h.has_producer()
           ? fmt::format("id {}, epoch {}, sequence {}", h.producer_id, h.producer_epoch,
                         (h.base_sequence + (options.offset - h.base_offset)) & 0x7fffffff)  // they wrap
           : "not idempotent");
  if (is_segment) {
    line("index",
         found.index
             ? fmt::format("offset {} at position {}: a reader scans {} bytes from there",
                           found.index->offset, found.index->position, found.position - found.index->position)
             : fmt::format("no entry before it: a reader scans {} bytes from the beginning", found.position));
    line("timeindex", found.time ? fmt::format("time {} is reached by offset {}", found.time->timestamp_ms,
                                               found.time->offset)
                                 : "no entry as late as it");
  }
  const std::string record = record_text(found.batch, options.offset);
  line("record", record.empty() ? "not there any more: compacted away, or aborted" : record);
}

void print_json(output& out, const log_explain_options& options, const place& found) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("topic", options.topic).member("partition", options.partition);
  json.member("offset", options.offset).member("file", found.file);
  json.member("kind", found.kind == log_file_kind::segment ? "segment" : "wal")
      .member("position", found.position);
  json.key("batch").begin_object();
  add_batch_members(json, found.batch.header, found.batch.is_intact);
  json.end_object().key("index_entry");
  if (found.index)
    json.begin_object()
        .member("offset", found.index->offset)
        .member("position", found.index->position)
        .end_object();
  else
    json.null();
  json.key("time_entry");
  if (found.time)
    json.begin_object()
        .member("timestamp", found.time->timestamp_ms)
        .member("offset", found.time->offset)
        .end_object();
  else
    json.null();
  json.key("record");
  if (!add_record(json, found.batch, options.offset)) json.null();
  json.end_object();
  out.write(text + "\n");
}

result<exit_code> run(context& ctx, const log_explain_options& options) {
  if (!std::filesystem::is_directory(options.data))
    return fail(errc::not_found, "there is no directory {}; --data names the broker's", options.data);
  if (!options.is_live_allowed) MR_TRY(refuse_if_live({options.data}));
  auto found = look_in_segments(options);
  if (found && !*found) found = look_in_wal(options);
  if (!found) return fail(found.error());
  if (!*found)
    return fail(errc::not_found,
                "no file in {} holds offset {} of {} [{}]; `millrace log dump {}` shows what is there",
                options.data, options.offset, options.topic, options.partition, directory_of(options));
  if (ctx.common.is_json)
    print_json(ctx.out, options, **found);
  else
    print_text(ctx.out, options, **found);
  return (*found)->batch.is_intact ? exit_code::ok : exit_code::failure;
}

}  // namespace

void add_log_explain(CLI::App& log, context& ctx) {
  const auto declare = [&](CLI::App& verb, log_explain_options& options) {
    verb.add_option("TOPIC", options.topic, "Name of the topic")->required();
    verb.add_option("PARTITION", options.partition, "Number of the partition")
        ->required()
        ->check(CLI::NonNegativeNumber);
    verb.add_option("OFFSET", options.offset, "Offset of the record")
        ->required()
        ->check(CLI::NonNegativeNumber);
    verb.add_option("-d,--data", options.data, "The broker's data directory (log.dirs)")
        ->type_name("DIR")
        ->capture_default_str();
    verb.add_flag("--live", options.is_live_allowed, "Read even while a broker uses the directory");
    add_output_options(verb, ctx);
    add_examples(verb,
                 "  millrace log explain events 0 1234\n"
                 "  millrace log explain events 0 1234 --data /var/lib/kafka --live");
  };
  add_verb<log_explain_options>(
      log, ctx, "explain", "Show where a record lies: file, position, batch, index entries", declare, run);
}

}  // namespace millrace::tools
