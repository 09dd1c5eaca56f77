#include <fmt/format.h>
#include <unistd.h>

#include "tools/cli/terminal.h"
#include "tools/log/describe.h"
#include "tools/log/index_check.h"
#include "tools/log/paths.h"
#include "tools/log/wal_scan.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct log_dump_options {
  std::vector<std::string> paths;
  bool with_records = false;
  bool is_live_allowed = false;
};

// Prints one thing of a file, as text with its position or as an object with file and position.
class dumper {
 public:
  dumper(context& ctx, const log_dump_options& options, const std::string& path)
      : ctx_(ctx), with_records_(options.with_records), path_(path) {}

  void title(std::string_view what) {
    if (!ctx_.common.is_json)
      ctx_.out.write(fmt::format("{} ({})\n", styled(STDOUT_FILENO, style::bold, path_), what));
  }

  void line(uint64_t position, std::string_view text) {
    ctx_.out.write(fmt::format("{:>10}  {}\n", position, text));
  }

  template <class AddMembers>
  void object(std::string_view kind, uint64_t position, const AddMembers& add_members) {
    std::string text;
    json_writer json(text);
    json.begin_object().member("file", path_).member("kind", kind).member("position", position);
    add_members(json);
    json.end_object();
    ctx_.out.write(text + "\n");
  }

  // `prefix` stands before the text of a batch, as JSON members `add_prefix` before its own.
  template <class AddMembers>
  void batch(const located_batch& b, std::string_view prefix, const AddMembers& add_prefix) {
    if (ctx_.common.is_json) {
      object("batch", b.position, [&](json_writer& json) {
        add_prefix(json);
        add_batch_members(json, b.header, b.is_intact);
        if (with_records_ && b.is_intact) add_records(json.key("entries"), b);
      });
      return;
    }
    line(b.position, fmt::format("{}{}", prefix, batch_text(b.header, b.is_intact)));
    if (with_records_ && b.is_intact) ctx_.out.write(records_text(b, "              "));
  }

  void findings(const std::vector<finding>& found) {
    for (const finding& f : found) {
      if (ctx_.common.is_json) {
        object("finding", f.position, [&](json_writer& json) {
          json.member("severity", name_of(f.how_bad)).member("what", f.what);
        });
      } else {
        const style colour = f.how_bad == severity::corrupt ? style::red : style::yellow;
        line(f.position, styled(STDOUT_FILENO, colour, fmt::format("{}: {}", name_of(f.how_bad), f.what)));
      }
    }
  }

  bool is_over() const { return ctx_.out.is_closed(); }
  bool is_json() const { return ctx_.common.is_json; }

 private:
  context& ctx_;
  bool with_records_;
  const std::string& path_;
};

result<void> dump_segment(dumper& to, const log_file& file) {
  auto window = file_window::open(file.path);
  if (!window) return fail(window.error());
  to.title("segment");
  segment_scan scan(*window);
  while (!to.is_over()) {
    const auto batch = scan.next();
    if (!batch) return fail(batch.error());
    if (!*batch) break;
    to.batch(**batch, "", [](json_writer&) {});
  }
  to.findings(scan.findings());
  return {};
}

void dump_frame_entries(dumper& to, const located_frame& frame) {
  namespace wal = storage::wal;
  wal::entry_cursor entries(frame.bytes, frame.header);
  while (const auto entry = entries.next()) {
    if (entry->kind != wal::entry_kind::batch) {
      const std::string text = wal_entry_text(*entry);
      if (to.is_json()) {
        to.object("entry", frame.position, [&](json_writer& json) {
          json.member("lsn", frame.header.lsn.value()).member("what", text);
        });
      } else {
        to.line(frame.position, "  " + text);
      }
      continue;
    }
    const auto decoded = wal::decode_batch(entry->body);
    const auto header = decoded ? protocol::parse_batch(decoded->batch) : fail(errc::corruption, "too short");
    if (!header) {
      to.findings(
          {{.how_bad = severity::corrupt, .position = frame.position, .what = header.error().message}});
      continue;
    }
    const bytes_view bytes = decoded->batch.first(header->size_bytes());
    const bool is_again = entry->flags & wal::entry_flag_relogged;
    const located_batch batch{.position = frame.position,
                              .header = *header,
                              .bytes = frame.bytes.sub(bytes),
                              .is_intact = protocol::has_valid_crc(bytes)};
    const std::string topic = decoded->id.topic.to_string();
    to.batch(batch,
             fmt::format("  batch{}  {}[{}]  ", is_again ? " (again)" : "", topic, decoded->id.partition),
             [&](json_writer& json) {
               json.member("lsn", frame.header.lsn.value()).member("topic_id", topic);
               json.member("partition", decoded->id.partition).member("relogged", is_again);
             });
  }
}

result<void> dump_wal(dumper& to, const log_file& file) {
  auto window = file_window::open(file.path);
  if (!window) return fail(window.error());
  wal_scan scan(*window);
  const auto is_used = scan.open();
  if (!is_used) return fail(is_used.error());
  to.title(*is_used ? fmt::format("write-ahead log of shard {}, use {:016x}", scan.file_header().shard,
                                  scan.file_header().generation)
                    : std::string("write-ahead log, not in use"));
  while (*is_used && !to.is_over()) {
    const auto frame = scan.next();
    if (!frame) return fail(frame.error());
    if (!*frame) break;
    const auto& header = (*frame)->header;
    if (to.is_json()) {
      to.object("frame", (*frame)->position, [&](json_writer& json) {
        json.member("lsn", header.lsn.value())
            .member("bytes", header.bytes)
            .member("entries", header.entries);
        json.member("wall_clock", header.wall_clock_ms);
      });
    } else {
      to.line((*frame)->position,
              fmt::format("frame {}  {} B  {}", header.lsn.value(), header.bytes,
                          header.entries == 0   ? "seal"
                          : header.entries == 1 ? "1 entry"
                                                : fmt::format("{} entries", header.entries)));
    }
    dump_frame_entries(to, **frame);
  }
  to.findings(scan.findings());
  return {};
}

result<void> dump_index(dumper& to, const log_file& file) {
  const auto base = base_offset_of(file.path);
  if (!base) return fail(errc::invalid_argument, "{} has no offset for a name", file.path);
  std::vector<finding> found;
  if (file.kind == log_file_kind::offset_index) {
    to.title("offset index");
    const auto entries = load_offset_index(file.path, *base, found);
    if (!entries) return fail(entries.error());
    for (size_t i = 0; i < entries->size(); ++i) {
      const offset_entry& entry = (*entries)[i];
      if (to.is_json()) {
        to.object("offset_entry", i * 8, [&](json_writer& json) {
          json.member("offset", entry.offset).member("log_position", entry.position);
        });
      } else {
        to.line(i * 8, fmt::format("offset {}  position {}", entry.offset, entry.position));
      }
    }
  } else {
    to.title("time index");
    const auto entries = load_time_index(file.path, *base, found);
    if (!entries) return fail(entries.error());
    for (size_t i = 0; i < entries->size(); ++i) {
      const time_entry& entry = (*entries)[i];
      if (to.is_json()) {
        to.object("time_entry", i * 12, [&](json_writer& json) {
          json.member("timestamp", entry.timestamp_ms).member("offset", entry.offset);
        });
      } else {
        to.line(i * 12, fmt::format("time {}  offset {}", entry.timestamp_ms, entry.offset));
      }
    }
  }
  to.findings(found);
  return {};
}

result<exit_code> run(context& ctx, const log_dump_options& options) {
  const auto files = find_log_files(options.paths, /*with_indexes=*/false);
  if (!files) return fail(files.error());
  if (!options.is_live_allowed) MR_TRY(refuse_if_live(options.paths));
  for (const log_file& file : *files) {
    dumper to(ctx, options, file.path);
    switch (file.kind) {
      case log_file_kind::segment:
        MR_TRY(dump_segment(to, file));
        break;
      case log_file_kind::wal:
        MR_TRY(dump_wal(to, file));
        break;
      default:
        MR_TRY(dump_index(to, file));
    }
    if (to.is_over()) break;
  }
  return exit_code::ok;
}

}  // namespace

void add_log_dump(CLI::App& log, context& ctx) {
  const auto declare = [&](CLI::App& verb, log_dump_options& options) {
    verb.add_option("PATH", options.paths, "Segments, indexes, WAL files, or directories of them")
        ->required();
    verb.add_flag("-r,--records", options.with_records, "Show the records in each batch, too");
    verb.add_flag("--live", options.is_live_allowed, "Read even while a broker uses the directory");
    add_output_options(verb, ctx);
    add_examples(verb,
                 "  millrace log dump data/events-0\n"
                 "  millrace log dump data/events-0/00000000000000000000.log --records\n"
                 "  millrace log dump data/events-0/00000000000000000000.timeindex\n"
                 "  millrace log dump data/wal.0 --json | jq -c 'select(.kind == \"frame\")'");
  };
  add_verb<log_dump_options>(log, ctx, "dump", "Show what is in segments, indexes and write-ahead logs",
                             declare, run);
}

}  // namespace millrace::tools
