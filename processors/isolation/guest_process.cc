#include "processors/isolation/guest_process.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <fmt/format.h>
#include <new>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "processors/isolation/guest_main.h"

namespace millrace::processors {
namespace {

// The largest thing a plugin may send: what one record may cause, with the sizes of its parts.
constexpr uint32_t message_bytes_max = 16 * 1024 * 1024;
// A plugin that goes on although it was asked to stop is ended here.
constexpr uint64_t call_bytes_max = 256 * 1024 * 1024;

std::string key_of(const deployed_processor& p) {
  std::string key = fmt::format("{} {}", p.code->path(), p.spec.process_bytes_max);
  for (const auto& [name, value] : p.spec.options) key += fmt::format("\n{}={}", name, value);
  return key;
}

}  // namespace

guest_process::~guest_process() {
  stop();
}

bool guest_process::start() {
  const descriptor shared(::memfd_create("processor", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  int life[2];
  if (shared.get() < 0 || ::ftruncate(shared.get(), channel_page::whole_bytes) != 0 ||
      // A guest that made it smaller would have the broker touch what is not there.
      ::fcntl(shared.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0 ||
      ::pipe2(life, O_CLOEXEC) != 0)
    return false;
  life_.reset(life[0]);
  const descriptor life_there(life[1]);
  guest_bell_.reset(::eventfd(0, EFD_CLOEXEC));
  host_bell_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  memory_ = ::mmap(nullptr, channel_page::whole_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shared.get(), 0);
  if (memory_ == MAP_FAILED) memory_ = nullptr;
  if (!memory_ || guest_bell_.get() < 0 || host_bell_.get() < 0) return false;
  auto* page = new (memory_) channel_page{};
  page->parent = ::getpid();
  const passed_descriptor given[] = {{shared.get(), guest_memory_fd},
                                     {guest_bell_.get(), guest_bell_fd},
                                     {host_bell_.get(), guest_host_bell_fd},
                                     {life_there.get(), guest_life_fd}};
  const auto child = start_child("millraced-processor", guest_argument, given);
  if (!child) return false;
  child_ = *child;
  channel_.emplace(channel_side::host, memory_, guest_bell_.get(), host_bell_.get(), life_.get());
  ++generation_;
  return true;
}

void guest_process::stop() {
  if (child_ > 0) {
    kill_child(child_);
    while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  child_ = -1;
  channel_.reset();
  if (memory_) ::munmap(memory_, channel_page::whole_bytes);
  memory_ = nullptr;
  guest_bell_.reset();
  host_bell_.reset();
  life_.reset();
  loaded_.clear();
}

bool guest_process::has_ended() const {
  pollfd life{life_.get(), 0, 0};
  return ::poll(&life, 1, 0) != 0;
}

std::optional<callee_trouble> guest_process::ensure(const deployed_processor& processor) {
  if (child_ > 0 && (loaded_ != key_of(processor) || has_ended())) stop();
  if (child_ > 0) {
    forget_ended();
    return std::nullopt;
  }
  {
    const std::lock_guard held(lock_);
    ended_.clear();
  }
  if (!start()) {
    const int code = errno;
    stop();
    return callee_trouble{trouble_kind::unavailable,
                          fmt::format("no process can be started for it: {}", std::strerror(code)), 0};
  }
  return load(processor);
}

std::optional<callee_trouble> guest_process::load(const deployed_processor& processor) {
  out_.clear();
  out_.put(processor.spec.process_bytes_max);
  out_.put(std::string_view(processor.code->path()));
  out_.put(std::string_view(processor.spec.library));
  out_.put(static_cast<uint32_t>(processor.spec.options.size()));
  for (const auto& [name, value] : processor.spec.options) {
    out_.put(std::string_view(name));
    out_.put(std::string_view(value));
  }
  explanation_.clear();
  const auto answered = call(wire::load, {nullptr, nullptr});
  if (!answered) {
    callee_trouble trouble = lost();
    trouble.kind = trouble_kind::unavailable;
    trouble.why += " while its library was loaded";
    return trouble;
  }
  if (answered->status != MILLRACE_OK) {
    stop();
    return callee_trouble{trouble_kind::unavailable,
                          fmt::format("its process cannot run it: {}", explanation_), 0};
  }
  loaded_ = key_of(processor);
  return std::nullopt;
}

// What the instances of flows that have ended leave there.
void guest_process::forget_ended() {
  std::vector<uint64_t> ended;
  {
    const std::lock_guard held(lock_);
    ended.swap(ended_);
  }
  for (const uint64_t instance : ended) {
    out_.clear();
    out_.put(instance);
    if (!call(wire::destroy, {nullptr, nullptr})) return;  // the next call finds it gone
  }
}

void guest_process::forget_later(uint64_t instance) {
  const std::lock_guard held(lock_);
  ended_.push_back(instance);
}

std::optional<guest_process::answer> guest_process::call(wire type, const receiver& to) {
  channel_->set_deadline(channel::clock::now() + deadline_);
  channel_->page().current.store(0);
  received_bytes_ = 0;
  if (!channel_->send(static_cast<uint32_t>(type), out_.text()) || !channel_->flush()) return std::nullopt;
  return serve(to);
}

std::optional<guest_process::answer> guest_process::serve(const receiver& to) {
  for (;;) {
    uint32_t type = 0;
    if (!channel_->receive(type, in_, message_bytes_max)) return std::nullopt;
    received_bytes_ += in_.size();
    if (received_bytes_ > call_bytes_max) return std::nullopt;
    if (static_cast<wire>(type) == wire::done) {
      wire_reader in(in_);
      answer a;
      a.status = in.get<int32_t>();
      a.records_done = in.get<uint32_t>();
      const auto has_refused = in.get<uint32_t>();
      const auto refused = in.get<uint32_t>();
      if (!in.ok()) return std::nullopt;
      if (has_refused != 0) a.refused = refused;
      return a;
    }
    if (!serve_one(static_cast<wire>(type), to)) return std::nullopt;
  }
}

// False: it makes no sense.
bool guest_process::serve_one(wire type, const receiver& to) {
  wire_reader in(in_);
  if (type == wire::explain) {
    const std::string_view text = in.text();
    explanation_ = text.substr(0, 1000);
    if (to.host && in.ok()) to.host->explain(to.scope, text.data(), text.size());
    return in.ok();
  }
  if (!to.host) return false;
  if (type == wire::emit) {
    headers_.clear();
    millrace_emission e{};
    e.struct_size = sizeof(e);
    e.output = in.get<uint32_t>();
    e.record = in.get<uint32_t>();
    e.has_partition = in.get<uint32_t>();
    e.partition = in.get<int32_t>();
    e.timestamp_ms = in.get<int64_t>();
    e.key = in.bytes();
    e.value = in.bytes();
    in.headers(headers_);
    e.headers = headers_.data();
    e.header_count = static_cast<uint32_t>(headers_.size());
    if (!in.ok()) return false;
    to.host->emit(to.scope, &e);
    return true;
  }
  if (type == wire::log) {
    const auto level = in.get<int32_t>();
    const std::string_view text = in.text();
    if (in.ok()) to.host->log(to.scope, level, text.data(), text.size());
    return in.ok();
  }
  if (type == wire::metric) {
    const auto kind = in.get<int32_t>();
    const std::string_view name = in.text();
    const auto value = in.get<double>();
    if (in.ok()) to.host->metric(to.scope, kind, name.data(), name.size(), value);
    return in.ok();
  }
  return serve_state(type, to, in);
}

bool guest_process::serve_state(wire type, const receiver& to, wire_reader& in) {
  if (type == wire::put) {
    millrace_change change{};
    change.struct_size = sizeof(change);
    change.store = in.get<uint32_t>();
    change.record = in.get<uint32_t>();
    change.key = in.bytes();
    change.value = in.bytes();
    if (in.ok()) to.host->state_put(to.scope, &change);
    return in.ok();
  }
  if (type == wire::timer_set || type == wire::timer_cancel) {
    millrace_timer timer{};
    timer.struct_size = sizeof(timer);
    timer.record = in.get<uint32_t>();
    timer.at_ms = in.get<int64_t>();
    timer.key = in.bytes();
    if (in.ok()) (type == wire::timer_set ? to.host->timer_set : to.host->timer_cancel)(to.scope, &timer);
    return in.ok();
  }
  if (type != wire::get && type != wire::seek) return false;
  const auto store = in.get<uint32_t>();
  const auto is_behind = in.get<int32_t>();
  const millrace_bytes from = in.bytes();
  if (!in.ok()) return false;
  millrace_bytes key{nullptr, -1};
  millrace_bytes value{nullptr, -1};
  const int32_t status = type == wire::get
                             ? to.host->state_get(to.scope, store, from, &value)
                             : to.host->state_seek(to.scope, store, from, is_behind, &key, &value);
  out_.clear();
  out_.put(status);
  out_.put(key);
  out_.put(value);
  return channel_->send(static_cast<uint32_t>(wire::found), out_.text()) && channel_->flush();
}

// Ends what is left of the process, and says what it died of.
callee_trouble guest_process::lost() {
  callee_trouble trouble{trouble_kind::died, {}, channel_->page().current.load()};
  switch (channel_->why()) {
    case channel::trouble::too_slow:
      trouble.why = fmt::format("it did not return within processor.deadline.ms = {}", deadline_.count());
      break;
    case channel::trouble::gone: {
      // It may have closed its end of the pipe, and live.
      int status = 0;
      pid_t ended = 0;
      for (int tries = 0; tries < 200 && ended == 0; ++tries) {
        ended = ::waitpid(child_, &status, WNOHANG);
        if (ended == 0) ::usleep(1000);
      }
      if (ended > 0) child_ = -1;
      trouble.why = ended > 0 ? "it " + describe_end(status) : "its process hung up";
      break;
    }
    default:
      trouble.why = received_bytes_ > call_bytes_max ? "it did not stop emitting when it was asked to"
                                                     : "its process sent what makes no sense";
  }
  stop();
  return trouble;
}

uint64_t guest_process::memory_bytes() const {
  FILE* file = std::fopen(fmt::format("/proc/{}/statm", child_).c_str(), "re");
  if (!file) return 0;
  unsigned long long pages = 0;
  const int found = std::fscanf(file, "%llu", &pages);
  std::fclose(file);
  return found == 1 ? pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

}  // namespace millrace::processors
