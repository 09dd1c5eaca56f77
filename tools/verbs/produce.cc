#include <chrono>
#include <fcntl.h>
#include <fmt/format.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/bench/clock.h"
#include "tools/cli/interrupt.h"
#include "tools/cli/pace.h"
#include "tools/cli/terminal.h"
#include "tools/kafka/producer.h"
#include "tools/text/escape.h"
#include "tools/text/json.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct produce_options {
  std::string topic;
  std::vector<std::string> files;
  std::string format = "lines";
  std::string delimiter = "\\n";
  std::string key_separator;
  std::optional<std::string> key;
  std::vector<std::string> headers;
  bool is_empty_null = false;
  int32_t partition = -1;
  std::string codec = "none";
  std::string acks = "all";
  std::string partitioner = "murmur2_random";
  uint64_t rate = 0;  // 0: as fast as it goes
  bool is_idempotent = false;
};

result<parse_rules> rules_of(const produce_options& options) {
  parse_rules rules{
      .fixed_key = options.key, .is_empty_null = options.is_empty_null, .partition = options.partition};
  rules.format = options.format == "json"    ? input_format::json
                 : options.format == "whole" ? input_format::whole
                                             : input_format::lines;
  auto separator = unescape(options.key_separator);
  if (!separator) return fail(separator.error());
  rules.key_separator = *std::move(separator);
  for (const std::string& text : options.headers) {
    const size_t equals = text.find('=');
    if (equals == 0) return fail(errc::invalid_argument, "--header wants NAME=VALUE, not '{}'", text);
    if (equals == std::string::npos) {
      rules.headers.emplace_back(text, std::nullopt);
    } else {
      rules.headers.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    }
  }
  return rules;
}

result<std::string> delimiter_of(const produce_options& options) {
  if (options.format == "whole") return std::string();
  auto delimiter = unescape(options.delimiter);
  if (delimiter && delimiter->empty()) {
    return fail(errc::invalid_argument,
                "--delimiter must not be empty; --format whole makes a file one record");
  }
  return delimiter;
}

class input_file {
 public:
  static result<input_file> open(const std::string& path) {
    if (path == "-") return input_file(STDIN_FILENO, "standard input");
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return fail(errc::io_error, "cannot open {}: {}", path, strerror(errno));
    return input_file(descriptor, path);
  }
  input_file(input_file&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)), name_(std::move(other.name_)) {}
  input_file& operator=(input_file&&) = delete;
  ~input_file() {
    if (descriptor_ > STDIN_FILENO) ::close(descriptor_);
  }

  int descriptor() const noexcept { return descriptor_; }
  const std::string& name() const noexcept { return name_; }
  // 0 if it is no regular file.
  uint64_t size_bytes() const {
    struct stat status = {};
    if (fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) return 0;
    return static_cast<uint64_t>(status.st_size);
  }

 private:
  input_file(int descriptor, std::string name) : descriptor_(descriptor), name_(std::move(name)) {}
  int descriptor_;
  std::string name_;
};

// Until the next record is due. Acknowledgements are taken in meanwhile.
void wait_for_turn(producer& to, std::optional<pace>& rate) {
  if (!rate) return;
  const int64_t due_ns = rate->next_due_ns(now_ns());
  for (int64_t left_ns = due_ns - now_ns(); left_ns > 0 && !interrupted(); left_ns = due_ns - now_ns()) {
    if (left_ns >= 1'000'000) {
      to.poll(static_cast<int>(std::min<int64_t>(left_ns / 1'000'000, 100)));
    } else {
      sleep_until_ns(due_ns);
    }
  }
}

// Sends every record of one input. An error names the input and the record in it.
result<void> send_all(producer& to, const input_file& from, record_parser& parser,
                      const std::string& delimiter, std::optional<pace>& rate, progress& bar) {
  split_reader reader(from.descriptor(), delimiter, [&] { to.poll(); });
  const uint64_t total_bytes = from.size_bytes();
  for (uint64_t number = 1; !interrupted(); ++number) {
    auto piece = reader.next();
    if (!piece) return fail(errc::io_error, "{}: {}", from.name(), piece.error().message);
    if (!*piece) return {};
    const auto record = parser.parse(**piece);
    if (!record)
      return fail(record.error().code, "{}, record {}: {}", from.name(), number, record.error().message);
    wait_for_turn(to, rate);
    MR_TRY(to.send(*record));
    bar.update(reader.bytes_read(), total_bytes);
  }
  return {};
}

void print_summary(context& ctx, const produce_options& options, const producer::totals& totals,
                   double seconds) {
  if (!ctx.common.is_json) {
    tell(ctx, fmt::format("{} record{} ({}) to {} in {:.2f} s{}", with_thousands(totals.records),
                          totals.records == 1 ? "" : "s", human_bytes(totals.bytes), options.topic, seconds,
                          totals.failed == 0 ? "" : fmt::format(", {} not", with_thousands(totals.failed))));
    return;
  }
  std::string text;
  json_writer json(text);
  json.begin_object().member("topic", options.topic).member("records", totals.records);
  json.member("bytes", totals.bytes).member("failed", totals.failed).member("seconds", seconds);
  json.key("partitions").begin_array();
  for (const auto& [id, partition] : totals.partitions) {
    json.begin_object().member("partition", id).member("records", partition.records);
    json.member("first_offset", partition.first_offset)
        .member("last_offset", partition.last_offset)
        .end_object();
  }
  json.end_array().end_object();
  ctx.out.write(text + "\n");
}

result<exit_code> run(context& ctx, const produce_options& options) {
  auto rules = rules_of(options);
  if (!rules) return fail(rules.error());
  const auto delimiter = delimiter_of(options);
  if (!delimiter) return fail(delimiter.error());
  std::vector<input_file> inputs;
  for (const std::string& path : options.files.empty() ? std::vector<std::string>{"-"} : options.files) {
    auto input = input_file::open(path);
    if (!input) return fail(input.error());
    inputs.push_back(*std::move(input));
  }
  auto to = producer::open(ctx.common.to, {.topic = options.topic,
                                           .acks = options.acks,
                                           .codec = options.codec,
                                           .partitioner = options.partitioner,
                                           .is_idempotent = options.is_idempotent});
  if (!to) return fail(to.error());
  if (options.files.empty() && isatty(STDIN_FILENO) == 1) tell(ctx, "One record a line; Ctrl-D ends.");

  const interruptible finishing;
  const auto start = std::chrono::steady_clock::now();
  progress bar("produced", !ctx.common.is_quiet);
  record_parser parser(*std::move(rules));
  std::optional<pace> rate;
  if (options.rate > 0) rate.emplace(options.rate);
  result<void> sent;
  for (const input_file& input : inputs) {
    sent = send_all(**to, input, parser, *delimiter, rate, bar);
    if (!sent || interrupted()) break;
  }
  const result<void> finished = (*to)->finish();
  bar.clear();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  print_summary(ctx, options, (*to)->so_far(), seconds);
  if (!sent) return fail(sent.error());
  if (!finished) return fail(finished.error());
  return interrupted() ? interrupted_exit_code() : exit_code::ok;
}

}  // namespace

void add_produce(CLI::App& root, context& ctx) {
  const auto declare = [&](CLI::App& verb, produce_options& options) {
    verb.add_option("TOPIC", options.topic, "Where to")->required();
    verb.add_option("FILE", options.files, "Files to read, - for standard input (the default)");
    verb.add_option(
            "-f,--format", options.format,
            "lines: a record each; json: an object each, as `consume --json` prints; whole: a file each")
        ->check(CLI::IsMember({"lines", "json", "whole"}))
        ->capture_default_str();
    verb.add_option("-D,--delimiter", options.delimiter, "What ends a record")->capture_default_str();
    verb.add_option("-k,--key-separator", options.key_separator, "Text before it is the key, e.g. : or \\t")
        ->type_name("SEP");
    verb.add_option("--key", options.key, "The key of every record");
    verb.add_option("-H,--header", options.headers, "A header of every record; may be repeated")
        ->type_name("NAME=VALUE")
        ->allow_extra_args(false);
    verb.add_flag("-Z,--null", options.is_empty_null, "An empty key or value means null");
    verb.add_option("-p,--partition", options.partition, "The partition (default: by key, or any)")
        ->type_name("N")
        ->check(CLI::NonNegativeNumber);
    verb.add_option("-z,--codec", options.codec, "Compression of batches")
        ->check(CLI::IsMember({"none", "gzip", "snappy", "lz4", "zstd"}))
        ->capture_default_str();
    verb.add_option("--acks", options.acks, "Acknowledgement to wait for")
        ->check(CLI::IsMember({"0", "1", "all", "-1"}))
        ->capture_default_str();
    verb.add_option(
            "--partitioner", options.partitioner,
            "Which partition a key goes to, by librdkafka's names; murmur2_random is what Java clients do")
        ->check(CLI::IsMember({"murmur2_random", "murmur2", "consistent_random", "consistent", "fnv1a_random",
                               "fnv1a", "random"}))
        ->capture_default_str();
    verb.add_option("--rate", options.rate, "So many records per second (default: as fast as it goes)")
        ->type_name("N")
        ->check(CLI::PositiveNumber);
    verb.add_flag("--idempotent", options.is_idempotent,
                  "Neither double nor reorder records when a connection breaks (takes 0.5 s to begin)");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(verb,
                 "  echo hello | millrace produce events\n"
                 "  millrace produce events access.log --codec zstd\n"
                 "  printf 'alice\\t42\\n' | millrace produce scores --key-separator '\\t'\n"
                 "  millrace produce events replay.txt --rate 500\n"
                 "  millrace produce blobs photo.jpg --format whole --header type=image/jpeg\n"
                 "  millrace consume a --exit --json | millrace produce b --format json");
  };
  add_verb<produce_options>(root, ctx, "produce", "Write records from files or standard input", declare, run);
}

}  // namespace millrace::tools
