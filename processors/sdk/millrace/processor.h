// millrace/processor.h: write a Millrace processor in C++.
//
//     #include <millrace/processor.h>
//
//     class shout {
//      public:
//       explicit shout(const millrace::setup& setup) : loud_(setup.output("loud")) {}
//
//       void process(const millrace::record& record, millrace::context& context) {
//         std::string text(record.value().value_or(""));
//         for (char& c : text) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
//         context.emit(loud_, record.key(), text);
//       }
//
//      private:
//       millrace::output loud_;
//     };
//
//     MILLRACE_PROCESSOR(shout, millrace::define("shout", "1.0").output("loud"))
//
// Compile with `g++ -std=c++17 -O2 -fPIC -shared -fvisibility=hidden -I PREFIX/include shout.cc -o shout.so`
// (g++ 12, clang 19, or newer). The broker makes one object of the class for each partition of the input
// topic and hands it every record of that partition, in order, exactly once in effect.
//
// All views (keys, values, headers, options) end with the call they came with. A thrown exception fails
// the record at hand: nothing it emitted or changed is kept, and the on_error policy decides what next.
// The rules that a processor keeps are at the head of millrace_processor.h; the two that matter most: no
// effects but emissions and changes of its stores, and results that depend on nothing but the records, the
// stores and the configuration. What is kept in members is gone after a restart; <millrace/table.h> is for
// what must stay. <millrace/serde.h> turns values into bytes and back.
//
// A class that has a member
//
//       void timer(const millrace::timer& due, millrace::context& context);
//
// and says .timers() in its definition gets calls at the stream times it has asked for with set_timer(). One
// with
//
//       void migrate(const millrace::old_entry& entry, millrace::context& context);
//
// and .state_version(3).migrates_from(1) in its definition takes over stores of versions 1 and 2: it gets
// each entry once, before the next record, and changes what has to be changed. All of that counts together,
// or none.
//
// One with .input("orders").input("users") in its definition gets records of several topics, one after
// another: record.is_from(setup.input("users")).
//
// Header-only over the C contract, without a variable of its own; compiled with -fvisibility=hidden, two
// versions of one processor live side by side in a broker.
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "definition.h"
#include "millrace_processor.h"
#include "record.h"

namespace millrace {
inline namespace sdk_v1 {

// ---- What a processor is told, and what it can do ------------------------------------------------------

// A declared output; get it from setup::output() once, in the constructor.
class output {
 public:
  output() = default;

 private:
  friend class setup;
  friend class context;
  explicit output(std::uint32_t index) noexcept : index_(index) {}
  std::uint32_t index_ = UINT32_MAX;  // none: emitting to it fails
};

// A declared store; get it from setup::store() once, in the constructor.
class store {
 public:
  store() = default;

 private:
  friend class setup;
  friend class context;
  explicit store(std::uint32_t index) noexcept : index_(index) {}
  std::uint32_t index_ = UINT32_MAX;  // none: using it fails
};

// Lines for the broker's log; each carries the processor's name and partition.
class logger {
 public:
  logger(const millrace_host& host, millrace_scope* scope) noexcept : host_(&host), scope_(scope) {}

  void debug(std::string_view line) const noexcept { write(MILLRACE_LOG_DEBUG, line); }
  void info(std::string_view line) const noexcept { write(MILLRACE_LOG_INFO, line); }
  void warn(std::string_view line) const noexcept { write(MILLRACE_LOG_WARN, line); }
  void error(std::string_view line) const noexcept { write(MILLRACE_LOG_ERROR, line); }

 private:
  void write(millrace_log_level level, std::string_view line) const noexcept {
    host_->log(scope_, level, line.data(), line.size());
  }
  const millrace_host* host_;
  millrace_scope* scope_;
};

// What the constructor of a processor gets. Valid during the constructor only.
class setup {
 public:
  setup(const millrace_setup& raw, const definition& shape, logger log) noexcept
      : raw_(&raw), shape_(&shape), log_(log) {}

  // Of the input; outputs go to the partition with the same number.
  std::int32_t partition() const noexcept { return raw_->partition; }
  // The name under which it was deployed.
  std::string_view processor_name() const noexcept { return detail::text_of(raw_->processor_name); }
  std::string_view input_topic() const noexcept { return detail::text_of(raw_->input_topic); }
  const logger& log() const noexcept { return log_; }
  // Of a processor with several stages, the one that this is.
  std::size_t stage() const noexcept { return stage_of(*raw_); }
  static std::size_t stage_of(const millrace_setup& raw) noexcept {
    return raw.struct_size >= offsetof(millrace_setup, stage) + sizeof(raw.stage) ? raw.stage : 0;
  }

  // The configured text; nothing if the key is absent.
  std::optional<std::string_view> option(std::string_view key) const noexcept {
    const char* at = reinterpret_cast<const char*>(raw_->options);
    for (std::uint32_t i = 0; i < raw_->option_count; ++i, at += raw_->option_stride) {
      const auto& pair = *reinterpret_cast<const millrace_option*>(at);
      if (detail::text_of(pair.key) == key) return detail::text_of(pair.value);
    }
    return std::nullopt;
  }
  std::string_view option(std::string_view key, std::string_view otherwise) const noexcept {
    return option(key).value_or(otherwise);
  }
  // Calls visit(key, text) for each, in the order of the keys.
  template <class Visit>
  void each_option(Visit visit) const {
    const char* at = reinterpret_cast<const char*>(raw_->options);
    for (std::uint32_t i = 0; i < raw_->option_count; ++i, at += raw_->option_stride) {
      const auto& pair = *reinterpret_cast<const millrace_option*>(at);
      visit(detail::text_of(pair.key), detail::text_of(pair.value));
    }
  }
  // The configured whole number; throws if it is not one.
  std::int64_t number(std::string_view key, std::int64_t otherwise) const {
    const auto text = option(key);
    if (!text) return otherwise;
    std::int64_t value = 0;
    const auto [end, code] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (code != std::errc{} || end != text->data() + text->size())
      throw failure("option " + std::string(key) + " = \"" + std::string(*text) + "\" is not a whole number");
    return value;
  }

  // Throws if the definition does not declare it.
  millrace::input input(std::string_view name) const {
    for (std::size_t i = 0; i < shape_->input_count(); ++i)
      if (name == shape_->inputs()[i]) return millrace::input(static_cast<std::uint32_t>(i));
    throw failure("the definition declares no input \"" + std::string(name) + "\"");
  }
  millrace::output output(std::string_view name) const {
    for (std::size_t i = 0; i < shape_->output_count(); ++i)
      if (name == shape_->outputs()[i]) return millrace::output(static_cast<std::uint32_t>(i));
    throw failure("the definition declares no output \"" + std::string(name) + "\"");
  }
  millrace::store store(std::string_view name) const {
    for (std::size_t i = 0; i < shape_->store_count(); ++i)
      if (name == shape_->stores()[i]) return millrace::store(static_cast<std::uint32_t>(i));
    throw failure("the definition declares no store \"" + std::string(name) + "\"");
  }

 private:
  const millrace_setup* raw_;
  const definition* shape_;
  logger log_;
};

// An entry of a store. A view: valid until the store changes, at most until process() returns.
struct entry {
  std::string_view key;
  std::string_view value;
};

// What process() and timer() work with besides the record.
class context {
 public:
  context(const millrace_host& host, millrace_scope* scope) noexcept
      : host_(&host), scope_(scope), log_(host, scope) {}
  context(const context&) = delete;
  context& operator=(const context&) = delete;

  // Appends a record to an output. The bytes are copied before it returns. Throws if the broker refuses it
  // (too much output for one record); the input record then counts as failed.
  void emit(output to, const emission& what) {
    append(to, what.key_, what.value_, what.timestamp_ms_, what.headers_.data(), what.headers_.size());
  }
  void emit(output to, maybe_bytes key, maybe_bytes value) {
    append(to, key, value, MILLRACE_INHERIT_TIMESTAMP, nullptr, 0);
  }
  // The record as it is. (Its headers only if the definition says reads_headers().)
  void emit(output to, const record& what) {
    append(to, what.key(), what.value(), MILLRACE_INHERIT_TIMESTAMP, what.headers().data(),
           what.headers().size());
  }

  // The same to a partition of the processor's choice. Only to an output that the deployment declares with
  // partition_by = "processor"; to one of its partition_count(output) partitions.
  void emit_to(output to, std::int32_t partition, const emission& what) {
    append(to, what.key_, what.value_, what.timestamp_ms_, what.headers_.data(), what.headers_.size(),
           &partition);
  }
  void emit_to(output to, std::int32_t partition, maybe_bytes key, maybe_bytes value) {
    append(to, key, value, MILLRACE_INHERIT_TIMESTAMP, nullptr, 0, &partition);
  }
  void emit_to(output to, std::int32_t partition, const record& what) {
    append(to, what.key(), what.value(), MILLRACE_INHERIT_TIMESTAMP, what.headers().data(),
           what.headers().size(), &partition);
  }
  // Of the topic of such an output; 0 for others.
  std::int32_t partition_count(output of) const noexcept {
    if (!knows(offsetof(millrace_host, partition_count) + sizeof(host_->partition_count))) return 0;
    return host_->partition_count(scope_, of.index_);
  }

  // ---- Stores. Changes count at once, and are taken back if the record fails.
  // What is stored under `key`, valid until the store changes; nothing if there is nothing.
  maybe_bytes get(store from, std::string_view key) const {
    millrace_bytes value{nullptr, -1};
    check("get", host_->state_get(scope_, from.index_, detail::to_abi(key), &value));
    return detail::from_abi(value);
  }
  void put(store into, std::string_view key, std::string_view value) { change(into, key, value); }
  void erase(store from, std::string_view key) { change(from, key, std::nullopt); }
  // The first entry whose key is `key` or behind it, or (next_behind) behind it, in the order of bytes.
  std::optional<entry> first_from(store in, std::string_view key) const { return seek(in, key, 0); }
  std::optional<entry> next_behind(store in, std::string_view key) const { return seek(in, key, 1); }

  // ---- Time. The stream time is the largest timestamp among the records of the partition so far.
  // Nothing before the first record that has one, and without .timers() in the definition.
  std::optional<std::int64_t> stream_time_ms() const noexcept {
    if (!knows(offsetof(millrace_host, stream_time) + sizeof(host_->stream_time))) return std::nullopt;
    const std::int64_t at = host_->stream_time(scope_);
    if (at == INT64_MIN) return std::nullopt;
    return at;
  }
  // timer() is called, once, before the first record that carries the stream time to `at_ms` or beyond.
  // False, and nothing set, if it is there already.
  bool set_timer(std::int64_t at_ms, std::string_view key) {
    const millrace_timer raw{sizeof(raw), record_, at_ms, detail::to_abi(key)};
    const std::int32_t status = host_->timer_set(scope_, &raw);
    if (status == MILLRACE_TIME_PASSED) return false;
    check("set_timer", status);
    return true;
  }
  void cancel_timer(std::int64_t at_ms, std::string_view key) {
    const millrace_timer raw{sizeof(raw), record_, at_ms, detail::to_abi(key)};
    check("cancel_timer", host_->timer_cancel(scope_, &raw));
  }

  // ---- Figures for the operator, by name. They count work, repeated work after a crash included.
  void count(std::string_view name, double by = 1) const noexcept { measure(MILLRACE_METRIC_ADD, name, by); }
  void gauge(std::string_view name, double value) const noexcept {
    measure(MILLRACE_METRIC_SET, name, value);
  }

  const logger& log() const noexcept { return log_; }

 private:
  template <class>
  friend class processor_adapter;

  // Whether the broker's table is this long: older brokers have shorter ones.
  bool knows(std::size_t table_bytes) const noexcept { return host_->struct_size >= table_bytes; }

  void measure(std::int32_t kind, std::string_view name, double value) const noexcept {
    if (knows(offsetof(millrace_host, metric) + sizeof(host_->metric)))
      host_->metric(scope_, kind, name.data(), name.size(), value);
  }

  static void check(const char* what, std::int32_t status) {
    if (status == MILLRACE_OK || status == MILLRACE_NOT_FOUND) return;
    throw failure(std::string(what) + ": " + reason_of(status));
  }

  void change(store where, std::string_view key, maybe_bytes value) {
    const millrace_change raw{sizeof(raw), where.index_,        record_,
                              0,           detail::to_abi(key), detail::to_abi(value)};
    check(value ? "put" : "erase", host_->state_put(scope_, &raw));
  }

  std::optional<entry> seek(store in, std::string_view key, std::int32_t is_behind) const {
    millrace_bytes found{nullptr, -1};
    millrace_bytes value{nullptr, -1};
    check("seek", host_->state_seek(scope_, in.index_, detail::to_abi(key), is_behind, &found, &value));
    if (found.size < 0) return std::nullopt;
    return entry{detail::text_of(found), detail::text_of(value)};
  }

  void append(output to, const maybe_bytes& key, const maybe_bytes& value, std::int64_t timestamp_ms,
              const millrace_header* headers, std::size_t header_count,
              const std::int32_t* partition = nullptr) {
    millrace_emission raw{};
    raw.struct_size = sizeof(raw);
    raw.output = to.index_;
    raw.record = record_;
    raw.header_count = static_cast<std::uint32_t>(header_count);
    raw.timestamp_ms = timestamp_ms;
    raw.key = detail::to_abi(key);
    raw.value = detail::to_abi(value);
    raw.headers = headers;
    raw.has_partition = partition ? 1 : 0;
    raw.partition = partition ? *partition : 0;
    if (const std::int32_t status = host_->emit(scope_, &raw); status != MILLRACE_OK)
      throw failure(std::string("emit: ") + reason_of(status));
  }

  static const char* reason_of(std::int32_t status) noexcept {
    switch (status) {
      case MILLRACE_UNKNOWN_OUTPUT:
        return "the output was not declared";
      case MILLRACE_UNKNOWN_STORE:
        return "the store was not declared";
      case MILLRACE_TOO_LARGE:
        return "the outputs and changes of one record are larger than the broker allows";
      case MILLRACE_UNKNOWN_PARTITION:
        return "the output has no such partition, or does not leave the choice to the processor";
      case MILLRACE_STATE_FULL:
        return "the state of the processor has reached its limit";
      case MILLRACE_NOT_IN_CALL:
        return "not possible here";
      case MILLRACE_INVALID_ARGUMENT:
        return "the broker refuses it as malformed";
      default:
        return "the broker refuses it";
    }
  }

  const millrace_host* host_;
  millrace_scope* scope_;
  logger log_;
  std::uint32_t record_ = 0;
};

// ---- From the class to the C table ---------------------------------------------------------------------

// Puts a class behind the C functions; catches everything. Shape::value is the definition.
template <class Traits>
class processor_adapter {
 public:
  using processor_type = typename Traits::type;

  static const millrace_processor* table() noexcept { return &table_; }

 private:
  struct instance {
    instance(const millrace_host& host, millrace_scope* scope, const setup& from)
        : scope(scope), host(&host), ctx(host, scope), processor(make(from)) {}

    static processor_type make(const setup& from) {
      if constexpr (std::is_constructible_v<processor_type, const setup&>)
        return processor_type(from);
      else
        return processor_type();
    }

    millrace_scope* scope;
    const millrace_host* host;
    context ctx;
    processor_type processor;
  };

  static void explain(const millrace_host* host, millrace_scope* scope, std::string_view why) noexcept {
    host->explain(scope, why.data(), why.size());
  }

  static std::int32_t create(const millrace_host* host, millrace_scope* scope, const millrace_setup* raw,
                             void** out) noexcept {
    try {
      const definition& shape = shape_at_run_time<Traits>(*raw, 0);
      const setup from(*raw, shape, logger(*host, scope));
      *out = new instance(*host, scope, from);
      return MILLRACE_OK;
    } catch (const std::exception& e) {
      explain(host, scope, e.what());
    } catch (...) {
      explain(host, scope, "the constructor threw something that is not a std::exception");
    }
    return MILLRACE_ERROR;
  }

  // Traits whose outputs and stores become known only when the object is loaded, or depend on the
  // configuration or the stage, have shape_for().
  template <class T>
  static auto shape_at_run_time(const millrace_setup& from, int) -> decltype(T::shape_for(from)) {
    return T::shape_for(from);
  }
  template <class T>
  static const definition& shape_at_run_time(const millrace_setup&, long) {
    return T::shape;
  }

  static void destroy(void* at) noexcept { delete static_cast<instance*>(at); }

  // Runs `body`; what it throws becomes an error with its reason.
  template <class Body>
  static std::int32_t guarded(instance& self, const char* what, Body body) noexcept {
    try {
      body();
      return MILLRACE_OK;
    } catch (const std::exception& e) {
      explain(self.host, self.scope, e.what());
    } catch (...) {
      explain(self.host, self.scope, what);
    }
    return MILLRACE_ERROR;
  }

  static std::int32_t process(void* at, const millrace_call* call) noexcept {
    auto& self = *static_cast<instance*>(at);
    constexpr std::size_t with_current = offsetof(millrace_call, current) + sizeof(call->current);
    volatile std::uint32_t* current = call->struct_size >= with_current ? call->current : nullptr;
    const char* raw = static_cast<const char*>(call->records);
    std::uint32_t done = 0;
    const std::int32_t status = guarded(self, "process() threw something that is not a std::exception", [&] {
      do {
        self.ctx.record_ = done;
        if (current) *current = done;
        const record one(*reinterpret_cast<const millrace_record*>(raw));
        self.processor.process(one, self.ctx);
        raw += call->record_stride;
      } while (++done < call->record_count && *call->stop == 0);
    });
    *call->records_done = done;
    return status;
  }

  static std::int32_t fire(void* at, const millrace_timer_call* call) noexcept {
    if constexpr (has_timer<processor_type>::value) {
      auto& self = *static_cast<instance*>(at);
      return guarded(self, "timer() threw something that is not a std::exception", [&] {
        self.ctx.record_ = call->record;
        self.processor.timer(timer(*call), self.ctx);
      });
    } else {
      return MILLRACE_ERROR;
    }
  }

  static std::int32_t migrate(void* at, const millrace_migration* raw) noexcept {
    if constexpr (has_migrate<processor_type>::value) {
      auto& self = *static_cast<instance*>(at);
      return guarded(self, "migrate() threw something that is not a std::exception", [&] {
        self.ctx.record_ = 0;
        if (raw->store >= Traits::shape.store_count()) throw failure("the store was not declared");
        self.processor.migrate(old_entry(*raw, Traits::shape.stores()[raw->store]), self.ctx);
      });
    } else {
      return MILLRACE_ERROR;
    }
  }

  template <class T, class = void>
  struct has_migrate : std::false_type {};
  template <class T>
  struct has_migrate<T, std::void_t<decltype(std::declval<T&>().migrate(
                            std::declval<const old_entry&>(), std::declval<context&>()))>> : std::true_type {
  };
  static constexpr bool migrates = Traits::shape.migrates();
  static_assert(!migrates || has_migrate<processor_type>::value,
                "the definition says migrates_from(), so the class needs migrate(const millrace::old_entry&, "
                "millrace::context&)");
  static_assert(migrates || !has_migrate<processor_type>::value,
                "the class has migrate(): say migrates_from() in its definition");

  template <class T, class = void>
  struct has_timer : std::false_type {};
  template <class T>
  struct has_timer<
      T, std::void_t<decltype(std::declval<T&>().timer(std::declval<timer>(), std::declval<context&>()))>>
      : std::true_type {};
  static constexpr bool needs_timers = (Traits::shape.needs() & MILLRACE_NEEDS_TIMERS) != 0;
  static_assert(!needs_timers || has_timer<processor_type>::value,
                "the definition says timers(), so the class needs timer(const millrace::timer&, "
                "millrace::context&)");
  static_assert(needs_timers || !has_timer<processor_type>::value,
                "the class has timer(): say timers() in its definition");

  static const millrace_processor table_;
};

template <class Traits>
const millrace_processor processor_adapter<Traits>::table_ = {
    sizeof(millrace_processor),
    MILLRACE_PROCESSOR_ABI_VERSION,
    Traits::shape.name(),
    Traits::shape.version(),
    Traits::shape.needs(),
    Traits::shape.traits(),
    Traits::shape.state_version(),
    static_cast<std::uint32_t>(Traits::shape.output_count()),
    Traits::shape.outputs().data(),
    &processor_adapter::create,
    &processor_adapter::destroy,
    &processor_adapter::process,
    static_cast<std::uint32_t>(Traits::shape.store_count()),
    0,
    Traits::shape.stores().data(),
    needs_timers ? &processor_adapter::fire : nullptr,
    Traits::shape.migrates_from(),
    0,
    migrates ? &processor_adapter::migrate : nullptr,
    nullptr,
    nullptr,
    static_cast<std::uint32_t>(Traits::shape.input_count()),
    0,
    Traits::shape.inputs().data(),
    0,
    0,
    nullptr,
};

}  // namespace sdk_v1
}  // namespace millrace

// Makes the shared object's one exported symbol from a class and its definition:
//
//     MILLRACE_PROCESSOR(my_class, millrace::define("my-name", "1.0").output("first").output("second"))
//
// Once in a shared object, outside any namespace.
#define MILLRACE_PROCESSOR(class_name, ...)                                                           \
  namespace {                                                                                         \
  struct millrace_processor_traits {                                                                  \
    using type = class_name;                                                                          \
    static constexpr ::millrace::definition shape = __VA_ARGS__;                                      \
  };                                                                                                  \
  }                                                                                                   \
  extern "C" MILLRACE_PROCESSOR_EXPORT const millrace_processor* millrace_processor_entry(uint32_t) { \
    return ::millrace::processor_adapter<millrace_processor_traits>::table();                         \
  }
