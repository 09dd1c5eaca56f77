// coord_world: a coordinator whose log is a vector and whose clock is a number.
//
// What the log has taken is durable only once the test says so; a crash loses the rest, and a restart
// replays what is left. Requests go in as plain calls and come back as futures of a very small kind.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "broker/coord/engine.h"
#include "broker/coord/group/group_machine.h"

namespace millrace::broker::coord::testing {

class memory_log final : public log_port {
 public:
  result<uint64_t> append(std::span<const record> records, instant) override {
    if (is_broken) return fail(errc::io_error, "broken by the test");
    batches.emplace_back(records.begin(), records.end());
    return first_position + batches.size() - 1;
  }
  size_t batch_bytes_max() const override { return batch_bytes; }

  std::vector<std::vector<record>> batches;
  uint64_t first_position = 1;
  size_t durable = 0;  // batches
  size_t batch_bytes = 1 << 20;
  bool is_broken = false;
};

class manual_clock final : public clock_port {
 public:
  instant now() override { return {steady_ms, wall_base_ms + steady_ms}; }
  void wake_at(int64_t at_ms) override { wake_ms = at_ms; }

  int64_t steady_ms = 1'000;
  int64_t wall_base_ms = 1'700'000'000'000;
  std::optional<int64_t> wake_ms;
};

// Topics by name; tests make and change them.
class topic_table final : public topic_source {
 public:
  void put(const std::string& name, int32_t partitions) {
    topic_info& t = topics_[name];
    if (t.name.empty()) store_be(t.id.bytes.data() + 8, ++made_);
    t.name = name;
    t.partitions = partitions;
  }
  void remove(const std::string& name) { topics_.erase(name); }
  uuid id(const std::string& name) const { return topics_.at(name).id; }

  std::optional<topic_info> find(std::string_view name) const override {
    const auto found = topics_.find(name);
    return found == topics_.end() ? std::nullopt : std::optional(found->second);
  }
  std::optional<topic_info> find(const uuid& id) const override {
    for (const auto& [name, t] : topics_) {
      if (t.id == id) return t;
    }
    return std::nullopt;
  }
  void for_each_name(const std::function<void(std::string_view)>& visit) const override {
    for (const auto& [name, t] : topics_) visit(name);
  }

 private:
  uint64_t made_ = 0;
  std::map<std::string, topic_info, std::less<>> topics_;
};

// Where an answer arrives.
template <class T>
class mailbox {
 public:
  reply_to<T> reply() {
    return reply_to<T>([state = state_](result<T> value) {
      MR_ASSERT(!state->has_value());
      *state = std::move(value);
    });
  }
  bool has_answer() const { return state_->has_value(); }
  const result<T>& answer() const { return state_->value(); }
  // Requires: an answer that is no error.
  const T& operator*() const { return **answer_ptr(); }
  const T* operator->() const { return &**answer_ptr(); }

 private:
  const result<T>* answer_ptr() const {
    MR_ASSERT(state_->has_value() && (*state_)->has_value());
    return &**state_;
  }
  std::shared_ptr<std::optional<result<T>>> state_ = std::make_shared<std::optional<result<T>>>();
};

class coord_world {
 public:
  explicit coord_world(const group_config& config = {}) : config_(config) { start(); }

  memory_log log;
  manual_clock clock;
  topic_table topics;
  bool is_durable_at_once = true;

  group_machine& machine() { return *machine_; }
  engine& coordinator() { return *engine_; }

  // What was appended but not made durable is gone, and so is everybody who waited.
  void crash_and_restart() {
    log.batches.resize(log.durable);
    engine_.reset();
    start();
  }

  void make_durable(size_t batches) {
    log.durable = std::min(log.batches.size(), log.durable + batches);
    if (log.durable > 0) engine_->on_durable(log.first_position + log.durable - 1);
  }
  void make_all_durable() { make_durable(log.batches.size()); }

  // Lets time pass, running every timer at its time.
  void pass(int64_t ms) {
    const int64_t until_ms = clock.steady_ms + ms;
    while (clock.wake_ms && *clock.wake_ms <= until_ms) {
      clock.steady_ms = std::max(clock.steady_ms, *clock.wake_ms);
      clock.wake_ms.reset();
      engine_->run_timers();
      settle();
    }
    clock.steady_ms = until_ms;
  }

  // run(&group_machine::join, request, who, ...): calls the handler with a step and a reply.
  template <class R, class Handler>
  mailbox<R> ask(Handler&& handler) {
    mailbox<R> box;
    engine_->run(box.reply(), [&](step& s, reply_to<R> reply) { handler(*machine_, s, std::move(reply)); });
    settle();
    return box;
  }

  // A machine made from the log alone, as a restart would.
  std::unique_ptr<group_machine> replayed() const {
    auto copy = std::make_unique<group_machine>(config_, topics, [] { return uuid(); });
    for (const auto& batch : log.batches) {
      for (const record& r : batch) MR_ASSERT(copy->replay(r.key, r.value_view()).has_value());
    }
    return copy;
  }

 private:
  void start() {
    clock.wake_ms.reset();
    machine_ = std::make_unique<group_machine>(config_, topics, [this] { return next_uuid(); });
    engine_ = std::make_unique<engine>(*machine_, log, clock);
    for (const auto& batch : log.batches) {
      for (const record& r : batch) MR_ASSERT(engine_->replay(r.key, r.value_view()).has_value());
    }
    engine_->finish_loading();
    settle();
  }
  void settle() {
    if (is_durable_at_once) make_all_durable();
  }
  uuid next_uuid() {
    uuid id;
    store_be(id.bytes.data() + 8, ++uuids_);
    return id;
  }

  group_config config_;
  uint64_t uuids_ = 0;
  std::unique_ptr<group_machine> machine_;
  std::unique_ptr<engine> engine_;
};

}  // namespace millrace::broker::coord::testing
