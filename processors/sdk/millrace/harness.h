// millrace/harness.h: a broker for one processor on one partition, inside a test.
//
//     #include "word_count.cc"                      // the processor, with its MILLRACE_PROCESSOR
//     #include <millrace/harness.h>
//
//     TEST(word_count, counts) {
//       millrace::harness h(millrace_processor_entry(MILLRACE_PROCESSOR_ABI_VERSION));
//       h.clock_ms = 1'700'000'000'000;             // timestamp of what is fed from here on
//       h.feed("k", "one two");
//       h.clock_ms += 60'000;
//       h.feed("k", "two");
//       EXPECT_EQ(h.values("counted"), (std::vector<std::string>{"1", "1", "2"}));
//       EXPECT_EQ(h.store("counts").size(), 2);
//     }
//
// It plays the broker through the C contract alone, so it needs neither a broker nor its libraries, and works
// for a processor in a shared object as well. Records that fail are dropped as on_error = "skip" would, and
// can be looked at. There is no clock but the records' timestamps: timers fire when a record is fed that
// carries the time on.
//
// A processor of several stages runs whole: after each call, what it has sent from one stage to the next is
// processed there, in this same partition.
//
// Results must not depend on where calls begin and end. feed_all() cuts the records into calls at random, by
// `seed`; run the same records under several seeds and compare.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "millrace_processor.h"
#include "partition.h"
#include "serde.h"

namespace millrace {
inline namespace sdk_v1 {

class harness {
 public:
  using optional_bytes = std::optional<std::string>;
  using options = std::map<std::string, std::string>;
  using content = std::map<std::string, std::string>;

  struct input {
    optional_bytes key;
    optional_bytes value;
    std::int64_t timestamp_ms = -1;
    std::vector<std::pair<std::string, optional_bytes>> headers;
    std::string from{};  // with several inputs: which one it comes from
  };
  struct emitted {
    std::string output;
    optional_bytes key;
    optional_bytes value;
    std::int64_t timestamp_ms = -1;
    std::vector<std::pair<std::string, optional_bytes>> headers;
    std::int32_t partition = 0;  // of the output's topic
  };
  struct failed {
    std::int64_t offset = 0;
    std::string why;
    bool is_timer = false;  // a timer that the record made due
    std::string from{};     // with several inputs: the one of the record
  };

  // Makes an instance; throws millrace::failure, with its reason, if it does not start.
  explicit harness(const millrace_processor* table, const options& configured = {},
                   std::int32_t partition = 0, const std::string& name = "processor",
                   const std::string& input_topic = "input")
      : harness(table, configured, partition, name, input_topic, 0) {
    for (std::uint32_t i = 0; i < table_.further_stage_count; ++i) {
      further_.emplace_back(
          new harness(table_.further_stages[i], configured, partition, name, input_topic, i + 1));
      further_.back()->whole_ = this;
    }
  }
  ~harness() {
    if (is_created_) table_.destroy(instance_);
  }
  harness(const harness&) = delete;
  harness& operator=(const harness&) = delete;

  // Deploys an output with partition_by = "key" or "processor", to a topic of so many partitions. Without it
  // records go to the partition with the input's number.
  void partition_by_key(std::string_view output, std::int32_t partitions) {
    set_route(output, {partitions, false});
  }
  void partition_by_processor(std::string_view output, std::int32_t partitions) {
    set_route(output, {partitions, true});
  }

  // The timestamp that feed() gives to records.
  std::int64_t clock_ms = 0;

  // Processes one record.
  void feed(optional_bytes key, optional_bytes value) {
    feed(input{std::move(key), std::move(value), clock_ms, {}});
  }
  void feed(const input& record) { call({&record, 1}); }
  // The same from one of several inputs. They are processed in the order in which they are fed.
  void feed(std::string_view from, optional_bytes key, optional_bytes value) {
    feed(input{std::move(key), std::move(value), clock_ms, {}, std::string(from)});
  }

  // Processes them all, in calls of random length; each has records of one input.
  void feed_all(const std::vector<input>& records, std::uint64_t seed = 1) {
    for (std::size_t at = 0; at < records.size();) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      const std::size_t most = std::min<std::size_t>(records.size() - at, 1 + (seed >> 33) % 7);
      std::size_t count = 1;
      while (count < most && records[at + count].from == records[at].from) ++count;
      call({records.data() + at, count});
      at += count;
    }
  }

  // Everything emitted so far, in order; with `output`, to that output.
  const std::vector<emitted>& output() const { return emitted_; }
  std::vector<emitted> output(std::string_view name) const {
    std::vector<emitted> found;
    for (const emitted& e : emitted_)
      if (e.output == name) found.push_back(e);
    return found;
  }
  // The values emitted to an output; null as "<null>".
  std::vector<std::string> values(std::string_view name) const {
    std::vector<std::string> found;
    for (const emitted& e : output(name)) found.push_back(e.value.value_or("<null>"));
    return found;
  }
  const content& store(std::string_view name) const {
    const harness* const owner = owner_of(name);
    return owner->stores_[owner->store_number(name)];
  }
  // Puts an entry into a store, as an earlier version of the processor may have left it.
  void leave(std::string_view store, std::string key, std::string value) {
    harness* const owner = owner_of(store);
    owner->stores_.at(owner->store_number(store))[std::move(key)] = std::move(value);
  }
  // Takes over what is in the stores from that state_version, as the broker does. Throws millrace::failure,
  // and everything is as it was, if the processor cannot.
  void migrate(std::uint32_t from_version) {
    if (!table_.migrate || from_version < table_.migrates_from || from_version >= table_.state_version)
      throw failure("the processor does not migrate state of version " + std::to_string(from_version));
    for (std::uint32_t store = 0; store < table_.store_count; ++store) {
      const content before = stores_[store];
      for (const auto& [key, unused] : before) {
        const auto now = stores_[store].find(key);
        if (now == stores_[store].end()) continue;
        const std::string value = now->second;
        millrace_migration entry{sizeof(entry), from_version, store, 0, view(key), view(value)};
        begin(1);
        is_migrating_ = true;
        const std::int32_t status = table_.migrate(instance_, &entry);
        is_in_call_ = is_migrating_ = false;
        if (status == MILLRACE_OK && !refused_) continue;
        while (!changes_.empty()) undo_last();
        throw failure(reason(status));
      }
    }
    changes_.clear();
  }
  // Timers that wait: time and key.
  const std::set<std::pair<std::int64_t, std::string>>& timers() const { return timers_; }
  const std::vector<failed>& failures() const { return failures_; }
  const std::vector<std::string>& log() const { return log_; }
  const std::map<std::string, double>& metrics() const { return metrics_; }
  // Gives the next record (of the first input) that offset.
  void start_at(std::int64_t offset) { next_offsets_[0] = offset; }
  // Offset of the next record.
  std::int64_t next_offset() const { return next_offsets_[0]; }
  std::int64_t next_offset(std::string_view from) const {
    const harness* const reader = reader_of(from);
    return reader ? reader->next_offset(from) : next_offsets_[input_number(from)];
  }

 private:
  // One stage of it.
  harness(const millrace_processor* table, const options& configured, std::int32_t partition,
          const std::string& name, const std::string& input_topic, std::uint32_t stage) {
    if (!table) throw failure("the processor does not work with this version of the contract");
    if (table->abi_version != MILLRACE_PROCESSOR_ABI_VERSION)
      throw failure("the processor was built for ABI " + std::to_string(table->abi_version) + ", not " +
                    std::to_string(MILLRACE_PROCESSOR_ABI_VERSION));
    std::memcpy(&table_, table, std::min<std::size_t>(table->struct_size, sizeof(table_)));
    if (!table_.create || !table_.destroy || !table_.process)
      throw failure("the processor's table lacks a function");
    if (needs_timers() && !table_.timer)
      throw failure("the processor needs timers, and its table lacks timer");
    stores_.resize(table_.store_count);
    next_offsets_.resize(std::max<std::size_t>(table_.input_count, 1));
    routes_.resize(table_.output_count);
    partition_ = partition;
    std::vector<millrace_option> all;
    for (const auto& [key, value] : configured) all.push_back({view(key), view(value)});
    millrace_setup setup{};
    setup.struct_size = sizeof(setup);
    setup.partition = partition;
    setup.processor_name = view(name);
    setup.input_topic = view(input_topic);
    setup.options = all.data();
    setup.option_count = static_cast<std::uint32_t>(all.size());
    setup.option_stride = sizeof(millrace_option);
    setup.stage = stage;
    if (table_.create(&host(), scope(), &setup, &instance_) != MILLRACE_OK)
      throw failure("the processor does not start: " + why_);
    is_created_ = true;
  }

  // 0 partitions: by the input's number.
  struct route {
    std::int32_t partitions = 0;
    bool is_processors_choice = false;
  };
  struct span {
    const input* first;
    std::size_t count;
  };
  // What is taken back if the record `cause` fails.
  struct change {
    std::uint32_t cause;
    std::function<void()> undo;
  };

  static millrace_bytes view(const std::string& text) {
    return {text.data(), static_cast<std::int64_t>(text.size())};
  }
  static millrace_bytes view(const optional_bytes& bytes) {
    return bytes ? view(*bytes) : millrace_bytes{nullptr, -1};
  }
  static optional_bytes copy(const millrace_bytes& bytes) {
    if (bytes.size < 0) return std::nullopt;
    return std::string(bytes.data, static_cast<std::size_t>(bytes.size));
  }
  bool needs_timers() const { return (table_.needs & MILLRACE_NEEDS_TIMERS) != 0; }
  millrace_scope* scope() { return reinterpret_cast<millrace_scope*>(this); }
  static harness& of(millrace_scope* scope) { return *reinterpret_cast<harness*>(scope); }

  static bool has(const char* const* names, std::uint32_t count, std::string_view name) {
    return std::find(names, names + count, name) != names + count;
  }
  bool has_output(std::string_view name) const { return has(table_.outputs, table_.output_count, name); }
  // The stage that has a store of that name; the first if none has.
  harness* owner_of(std::string_view store) const {
    for (const auto& stage : further_)
      if (has(stage->table_.stores, stage->table_.store_count, store)) return stage.get();
    return const_cast<harness*>(this);
  }
  // The further stage that has an input of that name; null if none has.
  harness* reader_of(std::string_view input) const {
    for (const auto& stage : further_)
      if (has(stage->table_.inputs, stage->table_.input_count, input)) return stage.get();
    return nullptr;
  }

  void call(span records) {
    harness* const reader = records.count > 0 ? reader_of(records.first->from) : nullptr;
    (reader ? *reader : *this).process_call(records);
    if (further_.empty()) return;
    std::vector<emitted> sent = take_new(reported_, *this);
    for (const auto& stage : further_) {
      // Stages send to later ones only.
      std::vector<emitted> kept;
      for (emitted& one : sent) {
        if (!has(stage->table_.inputs, stage->table_.input_count, one.output)) {
          kept.push_back(std::move(one));
          continue;
        }
        const input next{std::move(one.key), std::move(one.value), one.timestamp_ms, std::move(one.headers),
                         one.output};
        stage->process_call({&next, 1});
      }
      sent = std::move(kept);
      for (emitted& one : take_new(0, *stage)) sent.push_back(std::move(one));
    }
    for (emitted& one : sent) emitted_.push_back(std::move(one));
    causes_.resize(emitted_.size(), settled);
    reported_ = emitted_.size();
  }
  // What a stage has emitted behind the first `known`.
  static std::vector<emitted> take_new(std::size_t known, harness& stage) {
    std::vector<emitted> taken(std::make_move_iterator(stage.emitted_.begin() + known),
                               std::make_move_iterator(stage.emitted_.end()));
    stage.emitted_.resize(known);
    stage.causes_.resize(known);
    return taken;
  }
  void set_route(std::string_view output, const route& way) {
    for (const auto& stage : further_)
      if (stage->has_output(output)) stage->set_route(output, way);
    if (further_.empty() || has_output(output)) routes_.at(output_number(output)) = way;
  }

  void process_call(span records) {
    // With timers each record is a call of its own, behind the timers that it makes due.
    if (needs_timers()) {
      for (std::size_t i = 0; i < records.count; ++i) {
        const std::int64_t before = stream_time_;
        if (records.first[i].timestamp_ms > stream_time_) stream_time_ = records.first[i].timestamp_ms;
        changes_.push_back({0, [this, before] { stream_time_ = before; }});
        fire_timers(records.first[i].from);
        process({records.first + i, 1});
      }
      return;
    }
    process(records);
  }

  void fire_timers(const std::string& from) {
    while (!timers_.empty() && timers_.begin()->first <= stream_time_) {
      const auto due = *timers_.begin();
      timers_.erase(timers_.begin());
      changes_.push_back({0, [this, due] { timers_.insert(due); }});
      const std::size_t changed = changes_.size();
      const std::size_t sent = emitted_.size();
      millrace_timer_call raw{sizeof(raw), 0, due.first, view(due.second)};
      begin(1);
      const std::int32_t status = table_.timer(instance_, &raw);
      is_in_call_ = false;
      if (status == MILLRACE_OK && !refused_) continue;
      while (changes_.size() > changed) undo_last();
      emitted_.resize(sent);
      causes_.resize(sent);
      whole_->failures_.push_back({next_offsets_[input_number(from)], reason(status), true, from});
    }
  }

  // Processes all of them; those that fail are passed over.
  void process(span records) {
    const std::size_t number = records.count > 0 ? input_number(records.first->from) : 0;
    std::int64_t& next_offset = next_offsets_[number];
    while (records.count > 0) {
      std::vector<millrace_record> raw(records.count);
      std::vector<std::vector<millrace_header>> headers(records.count);
      for (std::size_t i = 0; i < records.count; ++i) {
        const input& r = records.first[i];
        if (table_.traits & MILLRACE_READS_HEADERS)
          for (const auto& [key, value] : r.headers) headers[i].push_back({view(key), view(value)});
        raw[i] = {next_offset + static_cast<std::int64_t>(i),
                  r.timestamp_ms,
                  view(r.key),
                  view(r.value),
                  headers[i].data(),
                  static_cast<std::uint32_t>(headers[i].size()),
                  static_cast<std::uint32_t>(number)};
      }
      inputs_ = &records;
      std::uint32_t done = 0;
      volatile std::uint32_t stop = 0;
      volatile std::uint32_t current = 0;
      millrace_call one{};
      one.struct_size = sizeof(one);
      one.record_count = static_cast<std::uint32_t>(records.count);
      one.records = raw.data();
      one.record_stride = sizeof(millrace_record);
      one.records_done = &done;
      one.stop = &stop;
      one.current = &current;
      begin(one.record_count);
      const std::int32_t status = table_.process(instance_, &one);
      is_in_call_ = false;
      bool has_failed = status != MILLRACE_OK;
      if (done > records.count || (status == MILLRACE_OK ? done == 0 : done == records.count))
        throw failure("the processor returned status " + std::to_string(status) + " with " +
                      std::to_string(done) + " of " + std::to_string(records.count) +
                      " records done, which cannot be");
      if (refused_ && (*refused_ < done || !has_failed)) {
        done = *refused_;
        has_failed = true;
      }
      while (!changes_.empty() && changes_.back().cause >= done && done < records.count) undo_last();
      while (!causes_.empty() && causes_.back() != settled && causes_.back() >= done) {
        emitted_.pop_back();
        causes_.pop_back();
      }
      for (std::uint32_t& cause : causes_) cause = settled;
      changes_.clear();
      if (has_failed)
        whole_->failures_.push_back({next_offset + done, reason(status), false, records.first->from});
      const std::uint32_t behind = done + (has_failed ? 1 : 0);
      next_offset += behind;
      records.first += behind;
      records.count -= behind;
    }
    inputs_ = nullptr;
  }

  void begin(std::uint32_t count) {
    count_ = count;
    refused_.reset();
    why_.clear();
    is_in_call_ = true;
  }
  void undo_last() {
    changes_.back().undo();
    changes_.pop_back();
  }
  std::string reason(std::int32_t status) const {
    if (!why_.empty()) return why_;
    return status != MILLRACE_OK ? "status " + std::to_string(status) : "an emission or a change was refused";
  }
  std::int32_t refuse(std::uint32_t record, std::int32_t status) {
    if (record >= count_) record = 0;
    if (!refused_ || record < *refused_) refused_ = record;
    return status;
  }

  // ---- What the processor calls ----
  static std::int32_t emit(millrace_scope* s, const millrace_emission* e) {
    harness& self = of(s);
    if (!self.is_in_call_) return MILLRACE_NOT_IN_CALL;
    if (self.is_migrating_) return self.refuse(0, MILLRACE_NOT_IN_CALL);
    if (e->record >= self.count_ ||
        (!self.causes_.empty() && self.causes_.back() != settled && e->record < self.causes_.back()))
      return self.refuse(e->record, MILLRACE_OUT_OF_ORDER);
    if (e->output >= self.table_.output_count) return self.refuse(e->record, MILLRACE_UNKNOWN_OUTPUT);
    const route& way = self.routes_[e->output];
    const bool has_choice = e->struct_size >= sizeof(*e) && e->has_partition;
    if (has_choice && (!way.is_processors_choice || e->partition < 0 || e->partition >= way.partitions))
      return self.refuse(e->record, MILLRACE_UNKNOWN_PARTITION);
    emitted made{
        self.table_.outputs[e->output], copy(e->key), copy(e->value), e->timestamp_ms, {}, self.partition_};
    if (has_choice)
      made.partition = e->partition;
    else if (way.partitions > 0)
      made.partition =
          made.key ? partition_for_key(*made.key, way.partitions) : self.partition_ % way.partitions;
    if (e->timestamp_ms == MILLRACE_INHERIT_TIMESTAMP) made.timestamp_ms = self.timestamp_of(e->record);
    for (std::uint32_t i = 0; i < e->header_count; ++i)
      made.headers.emplace_back(copy(e->headers[i].key).value_or(""), copy(e->headers[i].value));
    self.emitted_.push_back(std::move(made));
    self.causes_.push_back(e->record);
    return MILLRACE_OK;
  }
  static std::int32_t partition_count(millrace_scope* s, std::uint32_t output) {
    const harness& self = of(s);
    if (!self.is_in_call_ || output >= self.routes_.size()) return 0;
    return self.routes_[output].is_processors_choice ? self.routes_[output].partitions : 0;
  }
  std::size_t store_number(std::string_view name) const {
    for (std::uint32_t i = 0; i < table_.store_count; ++i)
      if (name == table_.stores[i]) return i;
    throw failure("the processor has no store \"" + std::string(name) + "\"");
  }
  std::size_t input_number(std::string_view name) const {
    if (table_.input_count <= 1 && name.empty()) return 0;
    for (std::uint32_t i = 0; i < table_.input_count; ++i)
      if (name == table_.inputs[i]) return i;
    throw failure(name.empty()
                      ? std::string("the processor has several inputs: say which one a record is from")
                      : "the processor has no input \"" + std::string(name) + "\"");
  }
  std::size_t output_number(std::string_view name) const {
    for (std::uint32_t i = 0; i < table_.output_count; ++i)
      if (name == table_.outputs[i]) return i;
    throw failure("the processor has no output \"" + std::string(name) + "\"");
  }
  std::int64_t timestamp_of(std::uint32_t record) const {
    // While timers fire, it is that of the record that made them due.
    return inputs_ ? inputs_->first[record].timestamp_ms : stream_time_;
  }

  static std::int32_t state_get(millrace_scope* s, std::uint32_t store, millrace_bytes key,
                                millrace_bytes* value) {
    const harness& self = of(s);
    *value = {nullptr, -1};
    if (!self.is_in_call_) return MILLRACE_NOT_IN_CALL;
    if (store >= self.stores_.size()) return MILLRACE_UNKNOWN_STORE;
    const auto found = self.stores_[store].find(copy(key).value_or(""));
    if (found == self.stores_[store].end()) return MILLRACE_NOT_FOUND;
    *value = view(found->second);
    return MILLRACE_OK;
  }
  static std::int32_t state_seek(millrace_scope* s, std::uint32_t store, millrace_bytes from,
                                 std::int32_t is_behind, millrace_bytes* key, millrace_bytes* value) {
    const harness& self = of(s);
    *key = *value = {nullptr, -1};
    if (!self.is_in_call_) return MILLRACE_NOT_IN_CALL;
    if (store >= self.stores_.size()) return MILLRACE_UNKNOWN_STORE;
    const content& all = self.stores_[store];
    const std::string at = copy(from).value_or("");
    const auto found = is_behind ? all.upper_bound(at) : all.lower_bound(at);
    if (found == all.end()) return MILLRACE_NOT_FOUND;
    *key = view(found->first);
    *value = view(found->second);
    return MILLRACE_OK;
  }
  static std::int32_t state_put(millrace_scope* s, const millrace_change* c) {
    harness& self = of(s);
    if (!self.is_in_call_) return MILLRACE_NOT_IN_CALL;
    if (c->store >= self.stores_.size()) return self.refuse(c->record, MILLRACE_UNKNOWN_STORE);
    if (c->key.size < 0 || c->record >= self.count_) return self.refuse(c->record, MILLRACE_INVALID_ARGUMENT);
    content& all = self.stores_[c->store];
    const std::string key = *copy(c->key);
    const auto found = all.find(key);
    const optional_bytes before = found == all.end() ? std::nullopt : optional_bytes(found->second);
    self.changes_.push_back({c->record, [&all, key, before] {
                               if (before)
                                 all[key] = *before;
                               else
                                 all.erase(key);
                             }});
    if (const optional_bytes value = copy(c->value))
      all[key] = *value;
    else
      all.erase(key);
    return MILLRACE_OK;
  }
  static std::int32_t timer_set(millrace_scope* s, const millrace_timer* t) {
    harness& self = of(s);
    if (!self.is_in_call_) return MILLRACE_NOT_IN_CALL;
    if (t->at_ms < 0 || !self.needs_timers()) return self.refuse(t->record, MILLRACE_INVALID_ARGUMENT);
    if (t->at_ms <= self.stream_time_) return MILLRACE_TIME_PASSED;
    const std::pair<std::int64_t, std::string> timer(t->at_ms, copy(t->key).value_or(""));
    if (self.timers_.insert(timer).second)
      self.changes_.push_back({t->record, [&self, timer] { self.timers_.erase(timer); }});
    return MILLRACE_OK;
  }
  static std::int32_t timer_cancel(millrace_scope* s, const millrace_timer* t) {
    harness& self = of(s);
    if (!self.is_in_call_) return MILLRACE_NOT_IN_CALL;
    const std::pair<std::int64_t, std::string> timer(t->at_ms, copy(t->key).value_or(""));
    if (self.timers_.erase(timer) > 0)
      self.changes_.push_back({t->record, [&self, timer] { self.timers_.insert(timer); }});
    return MILLRACE_OK;
  }
  static std::int64_t stream_time(millrace_scope* s) { return of(s).stream_time_; }
  static void write_log(millrace_scope* s, std::int32_t, const char* text, std::uint64_t size) {
    of(s).whole_->log_.emplace_back(text, size);
  }
  static void explain(millrace_scope* s, const char* text, std::uint64_t size) {
    of(s).why_.assign(text, size);
  }
  static std::int32_t metric(millrace_scope* s, std::int32_t kind, const char* name, std::uint64_t size,
                             double value) {
    double& at = of(s).whole_->metrics_[std::string(name, size)];
    at = kind == MILLRACE_METRIC_ADD ? at + value : value;
    return MILLRACE_OK;
  }
  static const millrace_host& host() {
    static const millrace_host table{sizeof(millrace_host),
                                     MILLRACE_PROCESSOR_ABI_VERSION,
                                     MILLRACE_NEEDS_STATE | MILLRACE_NEEDS_TIMERS,
                                     &emit,
                                     &write_log,
                                     &explain,
                                     &state_get,
                                     &state_put,
                                     &state_seek,
                                     &timer_set,
                                     &timer_cancel,
                                     &stream_time,
                                     &metric,
                                     &partition_count};
    return table;
  }

  static constexpr std::uint32_t settled = UINT32_MAX;

  millrace_processor table_{};
  void* instance_ = nullptr;
  bool is_created_ = false;
  bool is_in_call_ = false;
  bool is_migrating_ = false;
  std::uint32_t count_ = 0;
  std::optional<std::uint32_t> refused_;
  const span* inputs_ = nullptr;
  std::string why_;

  std::vector<std::int64_t> next_offsets_;  // by input
  std::int64_t stream_time_ = INT64_MIN;
  std::vector<content> stores_;
  std::vector<route> routes_;  // by output
  std::int32_t partition_ = 0;
  std::set<std::pair<std::int64_t, std::string>> timers_;
  std::vector<change> changes_;
  std::vector<emitted> emitted_;
  std::vector<std::uint32_t> causes_;  // of each emitted record, in its call; settled behind it
  std::vector<failed> failures_;
  std::vector<std::string> log_;
  std::map<std::string, double> metrics_;
  std::vector<std::unique_ptr<harness>> further_;  // stages
  harness* whole_ = this;                          // where failures, log and metrics of all stages go
  std::size_t reported_ = 0;                       // so many of emitted_ are results
};

}  // namespace sdk_v1
}  // namespace millrace
