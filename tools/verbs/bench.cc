#include <fmt/format.h>
#include <unistd.h>

#include "tools/bench/load.h"
#include "tools/bench/own_topic.h"
#include "tools/bench/report.h"
#include "tools/cli/interrupt.h"
#include "tools/cli/terminal.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

constexpr uint64_t default_records = 200'000;
constexpr uint32_t latency_record_bytes = 100;

struct bench_options {
  load_options load;
  // Of the topic that is made where none is named.
  int32_t partitions = 6;
  int16_t replicas = -1;
  std::vector<std::string> configs;
  bool is_kept = false;
};

using load_run = result<load_result> (*)(const load_options&, const load_watch&);

std::string counted(uint64_t records) {
  return fmt::format("{} record{}", with_thousands(records), records == 1 ? "" : "s");
}

result<load_result> with_progress(const context& ctx, std::string_view label, load_run run,
                                  const load_options& load) {
  progress bar(label, !ctx.common.is_quiet);
  const uint64_t total = (load.warm_up_records + load.records) * load.record_bytes;
  return run(load, [&](const load_progress& so_far) { bar.update(so_far.bytes, total); });
}

// A benchmark on a topic that is there: `run`, and what it saw on standard output.
result<exit_code> measure(context& ctx, std::string_view kind, load_run run, const load_options& load) {
  auto seen = with_progress(ctx, kind, run, load);
  if (!seen) return fail(seen.error());
  const std::string head = fmt::format("{}: {} ({}), topic {}", kind, counted(seen->records),
                                       human_bytes(seen->bytes), load.topic);
  ctx.out.write(ctx.common.is_json ? load_as_json(kind, load, *seen) : load_as_text(head, load, *seen));
  if (seen->first_failure) return fail(*seen->first_failure);
  return interrupted() ? interrupted_exit_code() : exit_code::ok;
}

// Makes a topic where none is named, and removes it whatever became of `work`.
result<exit_code> on_a_topic(context& ctx, const bench_options& options, load_options load,
                             const std::function<result<exit_code>(const load_options&)>& work) {
  load.to = ctx.common.to;
  const interruptible finishing;
  if (!load.topic.empty()) return work(load);
  if (!load.derived.empty())
    return fail(errc::invalid_argument, "--derived wants a TOPIC, the input of a processor");
  const auto configs = parse_topic_configs(options.configs);
  if (!configs) return fail(configs.error());
  auto own = own_topic::make(
      load.to,
      {.name = {}, .partitions = options.partitions, .replicas = options.replicas, .configs = *configs});
  if (!own) return fail(own.error());
  load.topic = own->name();
  const auto done = work(load);
  if (options.is_kept) {
    tell(ctx, fmt::format("Topic {} stays.", own->name()));
  } else if (const auto removed = own->remove(); !removed) {
    tell(ctx, fmt::format("Topic {} is left behind: {}", own->name(), removed.error().message));
  }
  return done;
}

result<exit_code> run_produce_bench(context& ctx, const bench_options& options) {
  return on_a_topic(ctx, options, options.load,
                    [&](const load_options& load) { return measure(ctx, "produce", run_produce, load); });
}

result<exit_code> run_latency_bench(context& ctx, const bench_options& options) {
  load_options load = options.load;
  if (load.records == 0) load.records = load.rate > 0 ? load.rate * 10 : 1'000;
  return on_a_topic(ctx, options, load,
                    [&](const load_options& l) { return measure(ctx, "latency", run_latency, l); });
}

// How many records a topic has.
result<uint64_t> records_in(const load_options& load) {
  const auto client = handle::open(RD_KAFKA_CONSUMER, load.to, {});
  if (!client) return fail(client.error());
  const auto topic = find_topic(**client, load.topic);
  if (!topic) return fail(topic.error());
  const auto offsets = offsets_of(**client, *topic);
  if (!offsets) return fail(offsets.error());
  uint64_t records = 0;
  for (const offset_range& range : *offsets) records += static_cast<uint64_t>(range.count());
  if (records == 0) return fail(errc::invalid_argument, "topic '{}' has no records to read", load.topic);
  return records;
}

result<exit_code> run_consume_bench(context& ctx, const bench_options& options) {
  const bool is_own = options.load.topic.empty();
  load_options load = options.load;
  if (is_own && load.records == 0) load.records = default_records;
  return on_a_topic(ctx, options, load, [&](load_options l) -> result<exit_code> {
    if (is_own) {
      load_options fill = l;
      fill.batch_bytes = 128 * 1024;
      fill.linger_ms = 10;
      const auto filled = with_progress(ctx, "filling", run_produce, fill);
      if (!filled) return fail(filled.error());
      if (filled->first_failure) return fail(*filled->first_failure);
      if (interrupted()) return interrupted_exit_code();
    } else if (l.records == 0) {
      const auto there = records_in(l);
      if (!there) return fail(there.error());
      l.records = *there;
    }
    return measure(ctx, "consume", run_consume, l);
  });
}

CLI::Option* add_records(CLI::App& verb, bench_options& options, const std::string& what) {
  return verb.add_option("-n,--records", options.load.records, what)
      ->type_name("N")
      ->check(CLI::PositiveNumber);
}

void add_size(CLI::App& verb, bench_options& options, const std::string& what) {
  verb.add_option("-s,--size", options.load.record_bytes, what)
      ->type_name("BYTES")
      ->check(CLI::Range(1, 16'000'000))
      ->capture_default_str();
}

void add_clients(CLI::App& verb, bench_options& options) {
  verb.add_option("--clients", options.load.clients,
                  "So many clients share the work, a thread and a connection each")
      ->type_name("N")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

void add_codec(CLI::App& verb, bench_options& options) {
  verb.add_option("-z,--codec", options.load.codec, "Compression of batches")
      ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
      ->capture_default_str();
}

void add_producing(CLI::App& verb, bench_options& options) {
  verb.add_option("--acks", options.load.acks, "Acknowledgement to wait for")
      ->check(CLI::IsMember({"0", "1", "all", "-1"}))
      ->capture_default_str();
  add_codec(verb, options);
  verb.add_option("--rate", options.load.rate,
                  "Records per second, on a fixed schedule: latency counts from when a record was due")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb.add_option("--keys", options.load.keys, "So many different keys in each partition (default: no keys)")
      ->type_name("N")
      ->check(CLI::PositiveNumber);
  verb.add_option("--warm-up", options.load.warm_up_records, "So many records first, which are in no figure")
      ->type_name("N")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
}

void add_topic(CLI::App& verb, bench_options& options, const std::string& what) {
  verb.add_option("TOPIC", options.load.topic, what);
  constexpr const char* group = "The topic that is made where none is named";
  verb.add_option("-p,--partitions", options.partitions, "Its partitions")
      ->type_name("N")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str()
      ->group(group);
  verb.add_option("-r,--replicas", options.replicas, "Copies of each (default: the broker's)")
      ->type_name("N")
      ->check(CLI::Range(1, 1000))
      ->group(group);
  verb.add_option("-c,--config", options.configs, "A setting of it; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->group(group);
  verb.add_flag("--keep", options.is_kept, "Leave it there")->group(group);
}

void declare_produce(CLI::App& verb, bench_options& options) {
  options.load.records = default_records;
  add_topic(verb, options, "A topic to write to (default: one of its own, removed afterwards)");
  add_records(verb, options, "How many records")->capture_default_str();
  add_size(verb, options, "Size of a record's value");
  verb.add_option("--batch-bytes", options.load.batch_bytes, "Size of a batch at most")
      ->type_name("BYTES")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb.add_option("--batch-records", options.load.batch_records, "Records in a batch at most")
      ->type_name("N")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  verb.add_option("--linger", options.load.linger_ms, "How long to wait for a fuller batch")
      ->type_name("MS")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  add_producing(verb, options);
  add_clients(verb, options);
}

void declare_consume(CLI::App& verb, bench_options& options) {
  add_topic(verb, options, "A topic to read (default: one of its own, filled first and removed afterwards)");
  add_records(verb, options,
              fmt::format("How many records (default: all there are; {} of its own)",
                          with_thousands(default_records)));
  add_size(verb, options, "Size of a value in a topic of its own");
  add_codec(verb, options);
  verb.add_option("--isolation", options.load.isolation,
                  "Whether records of open and aborted transactions count")
      ->check(CLI::IsMember({"read_committed", "read_uncommitted"}))
      ->capture_default_str();
  add_clients(verb, options);
}

void declare_latency(CLI::App& verb, bench_options& options) {
  options.load.record_bytes = latency_record_bytes;
  add_topic(verb, options, "A topic to write to and read (default: one of its own, removed afterwards)");
  add_records(verb, options, "How many records (default: 1,000; with --rate, of ten seconds)");
  add_size(verb, options, "Size of a record's value, 16 at least");
  add_producing(verb, options);
  verb.add_option("--derived", options.load.derived, "Read this topic, which a processor makes of TOPIC")
      ->type_name("TOPIC");
}

}  // namespace

void add_bench(CLI::App& root, context& ctx) {
  CLI::App* bench = root.add_subcommand("bench", "Measure how fast a cluster takes and gives records");
  bench->require_subcommand(1);
  const auto with = [&ctx](void (*declare)(CLI::App&, bench_options&), std::string examples) {
    return [&ctx, declare, examples = std::move(examples)](CLI::App& verb, bench_options& options) {
      declare(verb, options);
      add_output_options(verb, ctx);
      add_connection_options(verb, ctx);
      add_examples(verb, examples);
    };
  };
  add_verb<bench_options>(
      *bench, ctx, "produce", "Write records as fast as it goes, or at a rate; how many a second, how late",
      with(declare_produce,
           "  millrace bench produce                              # 200,000 records of 1 KiB\n"
           "  millrace bench produce --size 100 --batch-bytes 131072 --linger 10 --codec zstd\n"
           "  millrace bench produce --rate 5000 --batch-records 1 --linger 0 --records 50000\n"
           "  millrace bench produce events --clients 4 --json | jq .records_per_second"),
      run_produce_bench);
  add_verb<bench_options>(*bench, ctx, "consume", "Read records from the beginning as fast as it goes",
                          with(declare_consume,
                               "  millrace bench consume                    # of a topic made for it\n"
                               "  millrace bench consume events             # all there is in this one\n"
                               "  millrace bench consume events --clients 4 --json | jq .mib_per_second"),
                          run_consume_bench);
  add_verb<bench_options>(
      *bench, ctx, "latency", "Measure the time from writing a record to reading it",
      with(declare_latency,
           "  millrace bench latency                              # one record at a time\n"
           "  millrace bench latency --rate 2000 --records 20000  # on a fixed schedule\n"
           "  millrace bench latency readings --derived readings.clean --rate 1000"),
      run_latency_bench);
}

}  // namespace millrace::tools
