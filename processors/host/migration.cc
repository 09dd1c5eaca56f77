#include "processors/host/migration.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "processors/host/shard_host.h"
#include "runtime/reactor.h"

namespace millrace::processors {
namespace {

constexpr size_t entries_a_step = 256;
// How often to look for a frame that has room for all that has changed, before giving up.
constexpr int room_attempts = 100;
constexpr auto room_interval = std::chrono::milliseconds(20);
constexpr uint64_t batch_overhead_bytes = 1024;

millrace_bytes view_of(std::string_view text) {
  return {text.data(), static_cast<int64_t>(text.size())};
}

// For a message: as much of a key as is text.
std::string shown(std::string_view key) {
  std::string text(key.substr(0, 100));
  std::ranges::replace_if(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  return text;
}

}  // namespace

migration::migration(instance& code, partition_state& state, uint32_t from_version)
    : code_(code), state_(state), from_version_(from_version) {
  state_.forget_full();
  take_keys();
}

void migration::take_keys() {
  keys_.clear();
  next_ = 0;
  if (store_ == state_.meta()) return;
  for (const auto& [key, value] : state_.entries_of(store_)) keys_.push_back(key);
}

result<bool> migration::step(size_t entries_max) {
  for (; store_ < state_.meta(); ++store_, take_keys()) {
    for (; next_ < keys_.size(); ++next_) {
      if (entries_max-- == 0) return true;
      const std::string* found = state_.entries_of(store_).find(keys_[next_]);
      if (!found) continue;
      const std::string value = *found;  // changes of the entry itself leave what the call was given
      const millrace_migration entry{sizeof(entry),         from_version_, store_, 0,
                                     view_of(keys_[next_]), view_of(value)};
      if (const auto why = code_.migrate(entry))
        return fail(errc::invalid_argument, "store {}, key \"{}\": {}",
                    code_.processor().code->stores()[store_], shown(keys_[next_]), *why);
    }
  }
  return false;
}

// Why the flow's state cannot become one of its library's version; nothing if it has, uncommitted, and the
// open frame has room for all that has changed.
runtime::task<std::optional<std::string>> shard_host::migrate(flow_ptr f, uint32_t from_version) {
  migration work(*f->code, *f->state, from_version);
  for (;;) {
    result<bool> has_more = false;
    auto step = [&work, &has_more, &f](breadcrumb* crumb) {
      const in_call noted(crumb, f->processor.spec.name, f->processor.code->content_hash(),
                          f->processor.spec.input, f->partition());
      has_more = work.step(entries_a_step);
    };
    if (f->is_apart) {
      processor_thread& thread = thread_of(*f);
      auto call = [&step, crumb = f->processor.code->is_elsewhere() ? nullptr : thread.crumb()] {
        step(crumb);
      };
      f->is_away = true;
      co_await thread.run(std::move(call));
      f->is_away = false;
    } else {
      step(options_.crumb);
    }
    if (!has_more) {
      f->state->drop_from(0);
      co_return has_more.error().message;
    }
    if (!*has_more) break;
    co_await runtime::reactor::current().yield();
    if (is_stopping_ || f->health != flow_state::restoring) co_return std::nullopt;
  }
  co_return co_await find_room(f);
}

// Waits until the open frame has room for all that has changed in the flow's state; why that cannot be.
runtime::task<std::optional<std::string>> shard_host::find_room(flow_ptr f) {
  const uint64_t bytes = f->state->change_bytes() + f->state->change_bytes() / 256 +
                         (f->state->store_count() + 1) * batch_overhead_bytes;
  for (int attempt = 0; attempt < room_attempts; ++attempt) {
    if (bytes <= frame_room(*f)) co_return std::nullopt;
    co_await runtime::reactor::current().sleep(room_interval);
    if (is_stopping_ || f->health != flow_state::restoring) co_return std::nullopt;
  }
  f->state->drop_from(0);
  co_return fmt::format(
      "it changes {} bytes, which one commit cannot take; under another name the processor makes its state "
      "anew "
      "from the input",
      bytes);
}

}  // namespace millrace::processors
