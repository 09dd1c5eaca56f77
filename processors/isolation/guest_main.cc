#include "processors/isolation/guest_main.h"

#include <algorithm>
#include <deque>
#include <map>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include "processors/host/emissions.h"
#include "processors/host/host_table.h"
#include "processors/host/state.h"
#include "processors/isolation/channel.h"
#include "processors/isolation/sandbox.h"
#include "processors/isolation/wire.h"

namespace millrace::processors {
namespace {

// Beside what a call emits, what it changes counts towards its end.
constexpr uint64_t change_overhead_bytes = 40;

// The host, seen from the plugin: its functions send messages. The broker is the only judge of what they say;
// what is decided here as well is only what the plugin is told at once.
struct guest_world {
  channel line;
  std::shared_ptr<const plugin> code;
  wire_writer out;
  std::string in;
  std::deque<std::string> answers;  // the views that the plugin was given in this call point into them

  void say(wire type) {
    if (!line.send(static_cast<uint32_t>(type), out.text())) ::_exit(0);  // nobody listens any more
  }
  void flush() {
    if (!line.flush()) ::_exit(0);
  }
};

struct guest_instance {
  guest_world* world = nullptr;
  void* plugin = nullptr;
  emissions made;
  bool is_in_call = false;
  uint32_t record_count = 0;
  uint32_t last_cause = 0;  // of a change
  uint64_t changed_bytes = 0;
  uint64_t output_bytes_target = 0;
  int64_t stream_time = partition_state::no_time;
  std::optional<uint32_t> refused;  // the first record with a change that was refused
  volatile uint32_t stop = 0;
};

uint64_t size_of(const millrace_bytes& bytes) {
  return bytes.size > 0 ? static_cast<uint64_t>(bytes.size) : 0;
}

struct guest_functions {
  static guest_instance& of(millrace_scope* scope) { return *reinterpret_cast<guest_instance*>(scope); }

  static void ask_to_stop_if_large(guest_instance& self) {
    if (self.made.bytes() + self.changed_bytes >= self.output_bytes_target) self.stop = 1;
  }

  static int32_t emit(millrace_scope* scope, const millrace_emission* given) noexcept {
    guest_instance& self = of(scope);
    if (!self.is_in_call) return MILLRACE_NOT_IN_CALL;
    const int32_t status = self.made.add(given);
    ask_to_stop_if_large(self);
    if (status != MILLRACE_OK) return status;
    millrace_emission e{};
    std::memcpy(&e, given, std::min<size_t>(given->struct_size, sizeof(e)));
    wire_writer& out = self.world->out;
    out.clear();
    out.put(e.output);
    out.put(e.record);
    out.put(e.has_partition);
    out.put(e.partition);
    out.put(e.timestamp_ms);
    out.put(e.key);
    out.put(e.value);
    out.put(std::span(e.headers, e.header_count));
    self.world->say(wire::emit);
    return MILLRACE_OK;
  }

  static void log(millrace_scope* scope, int32_t level, const char* text, uint64_t size) noexcept {
    constexpr uint64_t line_bytes_max = 4000;
    if (!text) return;
    wire_writer& out = of(scope).world->out;
    out.clear();
    out.put(level);
    out.put(std::string_view(text, std::min(size, line_bytes_max)));
    of(scope).world->say(wire::log);
  }

  static void explain(millrace_scope* scope, const char* text, uint64_t size) noexcept {
    constexpr uint64_t explanation_bytes_max = 1000;
    wire_writer& out = of(scope).world->out;
    out.clear();
    out.put(text ? std::string_view(text, std::min(size, explanation_bytes_max)) : std::string_view());
    of(scope).world->say(wire::explain);
  }

  static int32_t may_use_state(const guest_instance& self) {
    if (!self.world->code->is_stateful()) return MILLRACE_UNKNOWN_STORE;
    return self.is_in_call ? MILLRACE_OK : MILLRACE_NOT_IN_CALL;
  }

  // Asks the host, and waits. The views stay until the call returns.
  static int32_t look_up(guest_instance& self, wire type, uint32_t store, const millrace_bytes& from,
                         int32_t is_behind, millrace_bytes* key, millrace_bytes* value) {
    if (store >= self.world->code->stores().size()) return MILLRACE_UNKNOWN_STORE;
    if (!partition_state::is_key(from)) return MILLRACE_INVALID_ARGUMENT;
    guest_world& world = *self.world;
    world.out.clear();
    world.out.put(store);
    world.out.put(is_behind);
    world.out.put(from);
    world.say(type);
    world.flush();
    uint32_t answered = 0;
    std::string& found = world.answers.emplace_back();
    if (!world.line.receive(answered, found)) ::_exit(0);
    wire_reader in(found);
    const auto status = in.get<int32_t>();
    const millrace_bytes found_key = in.bytes();
    if (key) *key = found_key;
    *value = in.bytes();
    return status;
  }

  static int32_t state_get(millrace_scope* scope, uint32_t store, millrace_bytes key,
                           millrace_bytes* value) noexcept {
    guest_instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!value) return MILLRACE_INVALID_ARGUMENT;
    *value = {nullptr, -1};
    return look_up(self, wire::get, store, key, 0, nullptr, value);
  }

  static int32_t state_seek(millrace_scope* scope, uint32_t store, millrace_bytes from, int32_t is_behind,
                            millrace_bytes* key, millrace_bytes* value) noexcept {
    guest_instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!key || !value) return MILLRACE_INVALID_ARGUMENT;
    *key = *value = {nullptr, -1};
    return look_up(self, wire::seek, store, from, is_behind != 0, key, value);
  }

  static int32_t refuse(guest_instance& self, uint32_t record, int32_t status) {
    self.refused = std::min(self.refused.value_or(record), record);
    return status;
  }
  // Whether a change may name this record; notes it.
  static bool is_cause(guest_instance& self, uint32_t record) {
    if (record >= self.record_count || record < self.last_cause) {
      refuse(self, self.last_cause, MILLRACE_OUT_OF_ORDER);
      return false;
    }
    self.last_cause = record;
    return true;
  }

  static int32_t state_put(millrace_scope* scope, const millrace_change* change) noexcept {
    guest_instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!change || change->struct_size < sizeof(millrace_change))
      return refuse(self, self.last_cause, MILLRACE_INVALID_ARGUMENT);
    if (!is_cause(self, change->record)) return MILLRACE_OUT_OF_ORDER;
    if (change->store >= self.world->code->stores().size())
      return refuse(self, change->record, MILLRACE_UNKNOWN_STORE);
    if (!partition_state::is_key(change->key) || !partition_state::is_value(change->value))
      return refuse(self, change->record, MILLRACE_INVALID_ARGUMENT);
    wire_writer& out = self.world->out;
    out.clear();
    out.put(change->store);
    out.put(change->record);
    out.put(change->key);
    out.put(change->value);
    self.world->say(wire::put);
    self.changed_bytes += change_overhead_bytes + size_of(change->key) + size_of(change->value);
    ask_to_stop_if_large(self);
    return MILLRACE_OK;
  }

  static int32_t timer_set(millrace_scope* scope, const millrace_timer* timer) noexcept {
    return change_timer(scope, timer, wire::timer_set);
  }
  static int32_t timer_cancel(millrace_scope* scope, const millrace_timer* timer) noexcept {
    return change_timer(scope, timer, wire::timer_cancel);
  }
  static int32_t change_timer(millrace_scope* scope, const millrace_timer* timer, wire how) {
    guest_instance& self = of(scope);
    if (const int32_t no = may_use_state(self)) return no;
    if (!timer || timer->struct_size < sizeof(millrace_timer) || !self.world->code->needs_timers())
      return refuse(self, self.last_cause, MILLRACE_INVALID_ARGUMENT);
    if (!is_cause(self, timer->record)) return MILLRACE_OUT_OF_ORDER;
    if (timer->at_ms < 0 || !partition_state::is_key(timer->key))
      return refuse(self, timer->record, MILLRACE_INVALID_ARGUMENT);
    if (how == wire::timer_set && timer->at_ms <= self.stream_time) return MILLRACE_TIME_PASSED;
    wire_writer& out = self.world->out;
    out.clear();
    out.put(timer->record);
    out.put(timer->at_ms);
    out.put(timer->key);
    self.world->say(how);
    self.changed_bytes += change_overhead_bytes + size_of(timer->key);
    ask_to_stop_if_large(self);
    return MILLRACE_OK;
  }

  static int64_t stream_time(millrace_scope* scope) noexcept {
    const guest_instance& self = of(scope);
    return self.is_in_call ? self.stream_time : partition_state::no_time;
  }

  static int32_t metric(millrace_scope* scope, int32_t kind, const char* name, uint64_t size,
                        double value) noexcept {
    constexpr uint64_t name_bytes_max = 100;
    if (!name || size == 0 || size > name_bytes_max ||
        (kind != MILLRACE_METRIC_ADD && kind != MILLRACE_METRIC_SET))
      return MILLRACE_INVALID_ARGUMENT;
    wire_writer& out = of(scope).world->out;
    out.clear();
    out.put(kind);
    out.put(std::string_view(name, size));
    out.put(value);
    of(scope).world->say(wire::metric);
    return MILLRACE_OK;
  }

  static int32_t partition_count(millrace_scope* scope, uint32_t output) noexcept {
    const guest_instance& self = of(scope);
    return self.is_in_call ? self.made.partition_count(output) : 0;
  }
};

// The messages of the host, one after another.
class guest_loop {
 public:
  explicit guest_loop(guest_world& world) : world_(world) {}

  // One message; false at the end.
  bool serve_next() {
    uint32_t type = 0;
    if (!world_.line.receive(type, world_.in)) return false;
    wire_reader in(world_.in);
    switch (static_cast<wire>(type)) {
      case wire::create:
        create(in);
        break;
      case wire::destroy:
        destroy(in.get<uint64_t>());
        break;
      case wire::process:
        process(in);
        break;
      case wire::timer:
        timer(in);
        break;
      case wire::migrate:
        migrate(in);
        break;
      default:
        return false;
    }
    return world_.line.why() == channel::trouble::none;
  }

  void done(int32_t status, uint32_t records_done = 0, std::optional<uint32_t> refused = std::nullopt) {
    world_.out.clear();
    world_.out.put(status);
    world_.out.put(records_done);
    world_.out.put<uint32_t>(refused ? 1 : 0);
    world_.out.put(refused.value_or(0));
    world_.say(wire::done);
    world_.flush();
    world_.answers.clear();
  }

 private:
  static millrace_scope* scope_of(guest_instance& i) { return reinterpret_cast<millrace_scope*>(&i); }

  void create(wire_reader& in) {
    const auto id = in.get<uint64_t>();
    guest_instance& made = instances_[id];
    made.world = &world_;
    millrace_setup setup{};
    setup.struct_size = sizeof(setup);
    setup.partition = in.get<int32_t>();
    setup.processor_name = in.bytes();
    setup.input_topic = in.bytes();
    std::vector<millrace_option> options;
    for (uint32_t n = in.get<uint32_t>(); n > 0 && in.ok(); --n) {
      const millrace_bytes key = in.bytes();
      options.push_back({key, in.bytes()});
    }
    setup.options = options.data();
    setup.option_count = static_cast<uint32_t>(options.size());
    setup.option_stride = sizeof(millrace_option);
    const int32_t status =
        world_.code->table().create(&host_table<guest_functions>, scope_of(made), &setup, &made.plugin);
    if (status != MILLRACE_OK) instances_.erase(id);
    done(status);
  }

  void destroy(uint64_t id) {
    if (const auto at = instances_.find(id); at != instances_.end()) {
      world_.code->table().destroy(at->second.plugin);
      instances_.erase(at);
    }
    done(MILLRACE_OK);
  }

  // What process, timer and migrate begin with; null if the host has lost its mind.
  guest_instance* begin(wire_reader& in, uint32_t& outputs) {
    const auto at = instances_.find(in.get<uint64_t>());
    if (at == instances_.end()) return nullptr;
    guest_instance& self = at->second;
    self.output_bytes_target = in.get<uint64_t>();
    self.stream_time = in.get<int64_t>();
    outputs = in.get<uint32_t>();
    std::vector<output_route> routes(outputs);
    for (output_route& route : routes) {
      route.partitions = in.get<int32_t>();
      if (route.partitions > 0) route.by = partitioning::processor;
    }
    self.made.set_routes(std::move(routes), 0);
    self.last_cause = 0;
    self.changed_bytes = 0;
    self.refused.reset();
    self.stop = 0;
    return &self;
  }

  std::optional<uint32_t> first_refused(const guest_instance& self) {
    const uint32_t first =
        std::min(self.made.failed_record().value_or(UINT32_MAX), self.refused.value_or(UINT32_MAX));
    return first == UINT32_MAX ? std::nullopt : std::optional(first);
  }

  void process(wire_reader& in) {
    uint32_t outputs = 0;
    guest_instance* self = begin(in, outputs);
    if (!self) return done(MILLRACE_ERROR);
    const auto count = in.get<uint32_t>();
    records_.clear();
    headers_.clear();
    std::vector<size_t> headers_at;
    for (uint32_t i = 0; i < count; ++i) {
      millrace_record r{};
      r.offset = in.get<int64_t>();
      r.timestamp_ms = in.get<int64_t>();
      r.input = in.get<uint32_t>();
      r.key = in.bytes();
      r.value = in.bytes();
      headers_at.push_back(headers_.size());
      in.headers(headers_);
      r.header_count = static_cast<uint32_t>(headers_.size() - headers_at.back());
      records_.push_back(r);
    }
    for (uint32_t i = 0; i < count; ++i)
      if (records_[i].header_count > 0) records_[i].headers = &headers_[headers_at[i]];
    self->record_count = count;
    self->made.begin(count, outputs);
    uint32_t records_done = 0;
    millrace_call call{};
    call.struct_size = sizeof(call);
    call.record_count = count;
    call.records = records_.data();
    call.record_stride = sizeof(millrace_record);
    call.records_done = &records_done;
    call.stop = &self->stop;
    call.current = reinterpret_cast<volatile uint32_t*>(&world_.line.page().current);
    self->is_in_call = true;
    const int32_t status = world_.code->table().process(self->plugin, &call);
    self->is_in_call = false;
    done(status, records_done, first_refused(*self));
  }

  void timer(wire_reader& in) {
    uint32_t outputs = 0;
    guest_instance* self = begin(in, outputs);
    if (!self) return done(MILLRACE_ERROR);
    millrace_timer_call call{};
    call.struct_size = sizeof(call);
    call.at_ms = in.get<int64_t>();
    call.key = in.bytes();
    self->record_count = 1;
    self->made.begin(1, outputs);
    self->is_in_call = true;
    const int32_t status = world_.code->table().timer(self->plugin, &call);
    self->is_in_call = false;
    done(status, 0, first_refused(*self));
  }

  void migrate(wire_reader& in) {
    uint32_t outputs = 0;
    guest_instance* self = begin(in, outputs);
    if (!self || !world_.code->table().migrate) return done(MILLRACE_ERROR);
    millrace_migration entry{};
    entry.struct_size = sizeof(entry);
    entry.from_version = in.get<uint32_t>();
    entry.store = in.get<uint32_t>();
    entry.key = in.bytes();
    entry.value = in.bytes();
    self->record_count = 1;
    self->made.begin(0, 0);  // so that none is taken
    self->is_in_call = true;
    const int32_t status = world_.code->table().migrate(self->plugin, &entry);
    self->is_in_call = false;
    done(status, 0, first_refused(*self));
  }

  guest_world& world_;
  std::map<uint64_t, guest_instance> instances_;
  std::vector<millrace_record> records_;
  std::vector<millrace_header> headers_;
};

// Loads the code, inside of the sandbox; why not, otherwise.
std::string load(guest_world& world, const guest_opener& open) {
  uint32_t type = 0;
  if (!world.line.receive(type, world.in) || static_cast<wire>(type) != wire::load) ::_exit(0);
  wire_reader in(world.in);
  limit_resources(in.get<uint64_t>());
  const std::string path(in.text());
  const std::string library(in.text());
  plugin::options given;
  for (uint32_t n = in.get<uint32_t>(); n > 0 && in.ok(); --n) {
    std::string key(in.text());
    given[std::move(key)] = std::string(in.text());
  }
  if (std::string why = enter_sandbox(sandbox_stage::loading); !why.empty()) return why;
  auto code = open(path, library, given);
  if (!code) return code.error().message;
  world.code = std::move(*code);
  return enter_sandbox(sandbox_stage::running);
}

}  // namespace

result<std::shared_ptr<const plugin>> open_library(const std::string& path, const std::string& library,
                                                   const plugin::options& given) {
  return plugin::open({.given = library, .path = path, .content_hash = {}}, given);
}

int run_guest(const guest_opener& open) {
  void* memory =
      ::mmap(nullptr, channel_page::whole_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, guest_memory_fd, 0);
  if (memory == MAP_FAILED) return 2;
  if (!end_with_parent(static_cast<channel_page*>(memory)->parent)) return 0;
  guest_world world{.line = channel(channel_side::guest, memory, guest_bell_fd, guest_host_bell_fd, -1),
                    .code = {},
                    .out = {},
                    .in = {},
                    .answers = {}};
  guest_loop loop(world);
  const std::string why = load(world, open);
  if (!why.empty()) {
    world.out.clear();
    world.out.put(std::string_view(why));
    world.say(wire::explain);
  }
  loop.done(why.empty() ? MILLRACE_OK : MILLRACE_ERROR);
  if (!why.empty()) ::_exit(0);
  while (loop.serve_next()) {
  }
  ::_exit(0);
}

}  // namespace millrace::processors
