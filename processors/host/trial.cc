#include "processors/host/trial.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

#include "base/bytes.h"
#include "base/sanitized.h"
#include "processors/host/deployment.h"
#include "processors/host/instance.h"
#include "processors/host/plugin.h"
#include "processors/host/stages.h"
#include "processors/isolation/child_process.h"
#include "processors/isolation/sandbox.h"
#include "processors/isolation/wire.h"

namespace millrace::processors {
namespace {

using clock = std::chrono::steady_clock;

// The child's descriptors: what to try on 0, what came of it on 3.
constexpr int task_fd = 0;
constexpr int report_fd = 3;
constexpr size_t report_bytes_max = 64 * 1024;
constexpr auto look_every = std::chrono::milliseconds(10);

// The report is one line for each step, so the last one says what the child was doing when it ended.
constexpr std::string_view step_loading = "loading";
constexpr std::string_view step_creating = "making a trial instance";
constexpr std::string_view step_done = "done";
// For code that is to run in another process only, two lines more: what is wrong with it, and what it is.
constexpr std::string_view told_wrong = "wrong ";
constexpr std::string_view told_code = "code ";

struct trial_settings {
  std::chrono::milliseconds patience{};
};
trial_settings& enabled() {
  static trial_settings settings;
  return settings;
}

// ---- What to try, from parent to child: texts, each behind its length ----

void put(std::string& out, std::string_view text) {
  const uint32_t size = static_cast<uint32_t>(text.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof(size));
  out.append(text);
}

void put(std::string& out, const std::map<std::string, std::string>& pairs) {
  put(out, std::to_string(pairs.size()));
  for (const auto& [name, value] : pairs) {
    put(out, name);
    put(out, value);
  }
}

class task_reader {
 public:
  explicit task_reader(std::string_view text) : rest_(text) {}

  std::string text() {
    uint32_t size = 0;
    if (rest_.size() < sizeof(size)) return fail_();
    std::memcpy(&size, rest_.data(), sizeof(size));
    rest_.remove_prefix(sizeof(size));
    if (rest_.size() < size) return fail_();
    std::string found(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return found;
  }
  std::map<std::string, std::string> pairs() {
    std::map<std::string, std::string> found;
    const size_t count = std::strtoul(text().c_str(), nullptr, 10);
    for (size_t i = 0; i < count && is_good_; ++i) {
      std::string name = text();
      found[std::move(name)] = text();
    }
    return found;
  }
  bool is_good() const { return is_good_; }

 private:
  std::string fail_() {
    is_good_ = false;
    return {};
  }
  std::string_view rest_;
  bool is_good_ = true;
};

// ---- What code is, from child to parent ----

std::string encode_description(const plugin::description& code) {
  wire_writer out;
  out.put(std::string_view(code.name));
  out.put(std::string_view(code.version));
  out.put(code.needs);
  out.put(code.traits);
  out.put(code.state_version);
  out.put<uint32_t>(code.migrates_from ? 1 : 0);
  out.put(code.migrates_from.value_or(0));
  for (const auto* names : {&code.outputs, &code.stores, &code.inputs}) {
    out.put(static_cast<uint32_t>(names->size()));
    for (const std::string& name : *names) out.put(std::string_view(name));
  }
  out.put(std::string_view(code.topology));
  out.put(std::string_view(code.topology_graph));
  return std::string(out.text());
}

std::optional<plugin::description> decode_description(std::string_view bytes) {
  wire_reader in(bytes);
  plugin::description code;
  code.name = in.text();
  code.version = in.text();
  code.needs = in.get<uint64_t>();
  code.traits = in.get<uint64_t>();
  code.state_version = in.get<uint32_t>();
  const bool does_migrate = in.get<uint32_t>() != 0;
  const auto migrates_from = in.get<uint32_t>();
  if (does_migrate) code.migrates_from = migrates_from;
  for (auto* names : {&code.outputs, &code.stores, &code.inputs})
    for (uint32_t n = in.count(sizeof(int64_t)); n > 0 && in.ok(); --n) names->emplace_back(in.text());
  code.topology = in.text();
  code.topology_graph = in.text();
  return in.ok() ? std::optional(std::move(code)) : std::nullopt;
}

std::string to_hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

std::optional<std::string> from_hex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned value = 0;
    const auto [end, code] = std::from_chars(&text[i], &text[i] + 2, value, 16);
    if (code != std::errc{} || end != &text[i] + 2) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

std::string task_of(const processor_spec& spec, const std::string& copy) {
  std::string text;
  put(text, copy);
  put(text, std::to_string(enabled().patience.count()));
  put(text, spec.library);
  put(text, shown_name(spec));
  put(text, spec.input);
  put(text, spec.outputs);
  put(text, spec.options);
  put(text, spec.isolated == isolation::process ? std::to_string(spec.process_bytes_max) : "");
  return text;
}

// ---- The child ----

void report(std::string_view step) {
  const std::string text = fmt::format("{}\n", step);
  for (size_t done = 0; done < text.size();) {
    const ssize_t n = ::write(report_fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

void limit(int what, rlim_t most) {
  rlimit now{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(what), &now) != 0) return;
  now.rlim_cur = std::min(now.rlim_max, most);
  now.rlim_max = now.rlim_cur;
  ::setrlimit(static_cast<__rlimit_resource_t>(what), &now);
}

void limit_myself(std::chrono::milliseconds patience) {
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_NOFILE, 256);
  limit(RLIMIT_CPU, static_cast<rlim_t>(patience.count() / 1000 + 2));
  if (!is_sanitized) limit(RLIMIT_AS, rlim_t{8} << 30);
}

std::string read_task() {
  std::string text;
  std::array<char, 64 * 1024> piece;
  for (;;) {
    const ssize_t n = ::read(task_fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(piece.data(), static_cast<size_t>(n));
  }
}

// ---- The parent ----

std::optional<pid_t> start_trial(const std::string& task, int report_to) {
  const descriptor input(::memfd_create("trial", MFD_CLOEXEC));
  if (input.get() < 0 ||
      ::write(input.get(), task.data(), task.size()) != static_cast<ssize_t>(task.size()) ||
      ::lseek(input.get(), 0, SEEK_SET) != 0)
    return std::nullopt;
  const passed_descriptor given[] = {{input.get(), task_fd}, {report_to, report_fd}};
  return start_child("millraced-trial", trial_argument, given);
}

// Takes what is there; false at the end of the pipe.
bool take_report(int fd, std::string& into) {
  std::array<char, 4096> piece;
  for (;;) {
    const ssize_t n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno == EAGAIN;
    if (n == 0) return false;
    if (into.size() < report_bytes_max) into.append(piece.data(), static_cast<size_t>(n));
  }
}

struct ending {
  int status = 0;  // as waitpid() tells it
  bool was_too_slow = false;
  std::string report;
};

ending await_child(pid_t child, int report_from) {
  ending seen;
  const auto deadline = clock::now() + enabled().patience;
  bool is_open = true;
  for (;;) {
    const pid_t ended = ::waitpid(child, &seen.status, WNOHANG);
    if (ended != 0 && !(ended < 0 && errno == EINTR)) break;
    if (clock::now() >= deadline && !seen.was_too_slow) {
      seen.was_too_slow = true;
      kill_child(child);
    }
    pollfd ready{is_open ? report_from : -1, POLLIN, 0};
    ::poll(&ready, 1, static_cast<int>(look_every.count()));
    if (is_open) is_open = take_report(report_from, seen.report);
  }
  ::kill(-child, SIGKILL);  // what it may have started itself
  if (is_open) take_report(report_from, seen.report);
  return seen;
}

// Why the child has not come to its last step.
std::string describe(const ending& seen, std::string_view step) {
  if (seen.was_too_slow) return fmt::format("it was still {} after {} ms", step, enabled().patience.count());
  return fmt::format("it {} while {}", describe_end(seen.status), step);
}

}  // namespace

namespace {

// What a report that is whole tells.
result<trial_outcome> outcome_of(std::string_view report) {
  trial_outcome outcome;
  while (!report.empty()) {
    const std::string_view line = report.substr(0, report.find('\n'));
    report.remove_prefix(std::min(report.size(), line.size() + 1));
    if (line.starts_with(told_wrong)) return fail(errc::invalid_config, "{}", line.substr(told_wrong.size()));
    if (!line.starts_with(told_code)) continue;
    const auto bytes = from_hex(line.substr(told_code.size()));
    auto code = bytes ? decode_description(*bytes) : std::nullopt;
    if (!code) return fail(errc::malformed, "what its trial says of it cannot be read");
    outcome.code = std::move(*code);
  }
  return outcome;
}

}  // namespace

void enable_trials(std::string program, std::chrono::milliseconds patience) {
  set_child_program(std::move(program));
  enabled() = {patience};
}

result<trial_outcome> try_out(const processor_spec& spec, const std::string& copy) {
  if (!has_child_program()) return trial_outcome{};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return fail(errc::io_error, "there is no pipe to try it out: {}", std::strerror(errno));
  const descriptor report_from(ends[0]);
  descriptor report_to(ends[1]);
  ::fcntl(report_from.get(), F_SETFL, O_NONBLOCK);
  const auto child = start_trial(task_of(spec, copy), report_to.get());
  report_to.reset();
  if (!child) return fail(errc::io_error, "no process can be started to try it out");
  const ending seen = await_child(*child, report_from.get());

  std::string_view step = seen.report;
  step = step.substr(0, std::min(step.rfind('\n'), step.size()));
  step = step.substr(step.rfind('\n') + 1);
  if (step == step_done) return outcome_of(seen.report);
  return fail(trial_died, "{}", describe(seen, step.empty() ? "starting" : step));
}

namespace {

result<void> try_stage(const processor_spec& spec, std::shared_ptr<const plugin> code) {
  deployed_processor p;
  p.input_topics = {spec.input};
  p.output_topics.resize(code->outputs().size());
  p.spec = spec;
  p.code = std::move(code);
  partition_state nothing(static_cast<uint32_t>(p.code->stores().size()), std::make_shared<state_memory>(0));
  auto made = instance::create(p, 0, &nothing);
  if (!made) return fail(made.error());
  return {};
}

// Makes an instance of each stage and destroys it.
result<void> try_instance(const processor_spec& spec, const std::shared_ptr<const plugin>& code) {
  report(step_creating);
  for (const auto& stage : stages_of(code)) MR_TRY(try_stage(spec, stage));
  return {};
}
// What is wrong the broker will see for itself.
void try_here(processor_spec spec, const std::string& copy) {
  report(step_loading);
  auto code = plugin::open({.given = spec.library, .path = copy, .content_hash = {}}, spec.options);
  if (code) static_cast<void>(try_instance(spec, *code));
}

// All that the broker will ever know of it.
void try_in_sandbox(processor_spec spec, const std::string& copy) {
  report(step_loading);
  const auto complain = [](const std::string& why) { report(fmt::format("{}{}", told_wrong, why)); };
  if (const std::string why = enter_sandbox(sandbox_stage::loading); !why.empty()) return complain(why);
  auto code = plugin::open({.given = spec.library, .path = copy, .content_hash = {}}, spec.options);
  if (!code) return complain(code.error().message);
  if (!(*code)->further_stages().empty())
    return complain("it has several stages: isolation = \"inline\" or \"thread\" are possible");
  if (const std::string why = enter_sandbox(sandbox_stage::running); !why.empty()) return complain(why);
  report(fmt::format("{}{}", told_code, to_hex(encode_description((*code)->describe()))));
  const auto tried = try_instance(spec, *code);
  if (!tried) complain(tried.error().message);
}

}  // namespace

int run_trial() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::string text = read_task();
  task_reader task(text);
  const std::string copy = task.text();
  const std::chrono::milliseconds patience(std::strtol(task.text().c_str(), nullptr, 10));
  processor_spec spec;
  spec.library = task.text();
  spec.name = task.text();
  spec.input = task.text();
  spec.outputs = task.pairs();
  spec.options = task.pairs();
  const std::string process_bytes_max = task.text();
  if (!task.is_good() || ::fcntl(report_fd, F_GETFD) < 0) return 2;
  limit_myself(patience);
  if (process_bytes_max.empty()) {
    try_here(std::move(spec), copy);
  } else {
    limit_resources(std::strtoull(process_bytes_max.c_str(), nullptr, 10));
    try_in_sandbox(std::move(spec), copy);
  }
  report(step_done);
  ::_exit(0);
}

}  // namespace millrace::processors
