#include "processors/host/state.h"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <utility>

#include "base/assert.h"
#include "storage/fault.h"

namespace millrace::processors {
namespace {

constexpr std::string_view version_key = "state_version";
constexpr std::string_view watermark_key = "watermark";
constexpr std::string_view timer_prefix = "timer ";
constexpr size_t timer_digits = 19;
// Values, like emissions, are limited by what one record may cause.
constexpr int64_t value_bytes_max = 8 * 1024 * 1024;
constexpr uint64_t change_overhead_bytes = 40;

std::string_view text_of(const millrace_bytes& bytes) {
  return bytes.size > 0 ? std::string_view(bytes.data, static_cast<size_t>(bytes.size)) : std::string_view();
}
millrace_bytes view_of(std::string_view text) {
  return {text.data(), static_cast<int64_t>(text.size())};
}
constexpr millrace_bytes null_bytes{nullptr, -1};

std::string timer_key(int64_t at_ms, std::string_view key) {
  return fmt::format("{}{:0{}} {}", timer_prefix, at_ms, timer_digits, key);
}

std::optional<timer_entry> timer_of(std::string_view text) {
  if (!text.starts_with(timer_prefix) || text.size() < timer_prefix.size() + timer_digits + 1)
    return std::nullopt;
  const std::string_view digits = text.substr(timer_prefix.size(), timer_digits);
  timer_entry timer;
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), timer.at_ms);
  if (code != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  timer.key = text.substr(timer_prefix.size() + timer_digits + 1);
  return timer;
}

}  // namespace

partition_state::partition_state(uint32_t stores, std::shared_ptr<state_memory> memory)
    : stores_(stores + 1), memory_(std::move(memory)) {}

bool partition_state::is_key(const millrace_bytes& bytes) {
  return bytes.size >= 0 && static_cast<uint64_t>(bytes.size) <= key_bytes_max &&
         (bytes.size == 0 || bytes.data);
}

bool partition_state::is_value(const millrace_bytes& bytes) {
  return bytes.size <= value_bytes_max && (bytes.size <= 0 || bytes.data);
}

partition_state::~partition_state() {
  memory_->bytes -= bytes_;
}

int32_t partition_state::get(uint32_t store, const millrace_bytes& key, millrace_bytes& value) const {
  value = null_bytes;
  if (store >= meta()) return MILLRACE_UNKNOWN_STORE;
  if (!is_key(key)) return MILLRACE_INVALID_ARGUMENT;
  const std::string* found = stores_[store].find(text_of(key));
  if (!found) return MILLRACE_NOT_FOUND;
  value = view_of(*found);
  return MILLRACE_OK;
}

int32_t partition_state::seek(uint32_t store, const millrace_bytes& from, bool is_behind, millrace_bytes& key,
                              millrace_bytes& value) const {
  key = value = null_bytes;
  if (store >= meta()) return MILLRACE_UNKNOWN_STORE;
  if (!is_key(from)) return MILLRACE_INVALID_ARGUMENT;
  const entry_map& entries = stores_[store];
  const auto found = is_behind ? entries.upper_bound(text_of(from)) : entries.lower_bound(text_of(from));
  if (found == entries.end()) return MILLRACE_NOT_FOUND;
  key = view_of(found->first);
  value = view_of(found->second);
  return MILLRACE_OK;
}

int32_t partition_state::put(uint32_t cause, uint32_t store, const millrace_bytes& key,
                             const millrace_bytes& value) {
  if (store >= meta()) return MILLRACE_UNKNOWN_STORE;
  if (!is_key(key) || !is_value(value)) return MILLRACE_INVALID_ARGUMENT;
  return change_entry(cause, store, text_of(key),
                      value.size < 0 ? std::nullopt : std::optional(text_of(value)));
}

int32_t partition_state::set_timer(uint32_t cause, int64_t at_ms, const millrace_bytes& key) {
  if (at_ms < 0 || !is_key(key)) return MILLRACE_INVALID_ARGUMENT;
  if (at_ms <= watermark_) return MILLRACE_TIME_PASSED;
  return change_entry(cause, meta(), timer_key(at_ms, text_of(key)), std::string_view());
}

int32_t partition_state::cancel_timer(uint32_t cause, int64_t at_ms, const millrace_bytes& key) {
  if (at_ms < 0 || !is_key(key)) return MILLRACE_INVALID_ARGUMENT;
  return change_entry(cause, meta(), timer_key(at_ms, text_of(key)), std::nullopt);
}

void partition_state::advance_time(uint32_t cause, int64_t timestamp_ms) {
  if (timestamp_ms < 0 || timestamp_ms <= watermark_) return;
  time_undo_.push_back({cause, watermark_});
  watermark_ = timestamp_ms;
}

std::optional<timer_entry> partition_state::due_timer() const {
  const entry_map& entries = stores_[meta()];
  const auto first = entries.lower_bound(timer_prefix);
  if (first == entries.end()) return std::nullopt;
  auto timer = timer_of(first->first);
  if (!timer || timer->at_ms > watermark_) return std::nullopt;
  return timer;
}

void partition_state::remove_timer(uint32_t cause, const timer_entry& timer) {
  change_entry(cause, meta(), timer_key(timer.at_ms, timer.key), std::nullopt);
}

bool partition_state::write(uint32_t store, std::string_view key, std::string* found,
                            std::optional<std::string_view> value) {
  entry_map& entries = stores_[store];
  const uint64_t before = found ? key.size() + found->size() + entry_overhead_bytes : 0;
  const uint64_t after = value ? key.size() + value->size() + entry_overhead_bytes : 0;
  if (after > before && memory_->bytes.load() + (after - before) > memory_->bytes_max) return false;
  memory_->bytes += after - before;  // wraps around as it should
  bytes_ += after - before;
  if (found && value)
    found->assign(*value);
  else if (found)
    entries.erase(key);
  else if (value)
    entries.add(key, *value);
  return true;
}

int32_t partition_state::change_entry(uint32_t cause, uint32_t store, std::string_view key,
                                      std::optional<std::string_view> value) {
  std::string* found = stores_[store].find(key);
  if (!found && !value) return MILLRACE_OK;
  undo u{store, cause, std::string(key), std::nullopt, change_bytes_};
  if (found) u.before = *found;
  if (!write(store, u.key, found, value)) {
    is_full_ = true;
    return MILLRACE_STATE_FULL;
  }
  change_bytes_ += change_overhead_bytes + u.key.size() + (value ? value->size() : 0);
  undo_.push_back(std::move(u));
  return MILLRACE_OK;
}

std::vector<partition_state::change> partition_state::changes() {
  if (!time_undo_.empty()) {
    const uint32_t cause = time_undo_.back().cause;
    // A few bytes for a key that is there for good: the limit may be passed by them.
    const std::string now = std::to_string(watermark_);
    std::string* found = stores_[meta()].find(watermark_key);
    undo u{meta(), cause, std::string(watermark_key), std::nullopt, change_bytes_};
    if (found) u.before = *found;
    const uint64_t before = found ? found->size() : 0;
    const uint64_t added = now.size() - before + (found ? 0 : watermark_key.size() + entry_overhead_bytes);
    memory_->bytes += added;
    bytes_ += added;
    if (found)
      *found = now;
    else
      stores_[meta()].add(watermark_key, now);
    undo_.push_back(std::move(u));
  }
  // The first undo of a key says what was there before the call, the last one which record changed it last.
  std::vector<const undo*> all;
  all.reserve(undo_.size());
  for (const undo& u : undo_) all.push_back(&u);
  // Of one key in the order in which they were made, which is that of their addresses.
  std::ranges::sort(all, [](const undo* a, const undo* b) {
    return std::tie(a->store, a->key, a) < std::tie(b->store, b->key, b);
  });
  std::vector<change> net;
  for (size_t first = 0; first < all.size();) {
    size_t last = first;
    while (last + 1 < all.size() && all[last + 1]->store == all[first]->store &&
           all[last + 1]->key == all[first]->key)
      ++last;
    const std::string* value = std::as_const(stores_[all[first]->store]).find(all[first]->key);
    const auto& before = all[first]->before;
    const bool is_same = value ? before && *before == *value : !before;
    const bool is_forgotten = MILLRACE_FAULT(removals_not_logged) && !value;
    if (!is_same && !is_forgotten)
      net.push_back({all[first]->store, all[last]->cause, all[first]->key, value});
    first = last + 1;
  }
  return net;
}

void partition_state::drop_from(uint32_t cause) {
  if (MILLRACE_FAULT(state_not_taken_back) && cause > 0) return;
  // Changes come in the order of their causes.
  while (!undo_.empty() && undo_.back().cause >= cause) {
    undo& u = undo_.back();
    entry_map& entries = stores_[u.store];
    std::string* found = entries.find(u.key);
    const uint64_t gone = found ? u.key.size() + found->size() + entry_overhead_bytes : 0;
    const uint64_t back = u.before ? u.key.size() + u.before->size() + entry_overhead_bytes : 0;
    memory_->bytes += back - gone;  // wraps around as it should
    bytes_ += back - gone;
    if (found && u.before)
      *found = std::move(*u.before);
    else if (found)
      entries.erase(u.key);
    else if (u.before)
      entries.add(u.key, *u.before);
    change_bytes_ = u.change_bytes_before;
    undo_.pop_back();
  }
  while (!time_undo_.empty() && time_undo_.back().cause >= cause) {
    watermark_ = time_undo_.back().before;
    time_undo_.pop_back();
  }
}

void partition_state::commit() {
  undo_.clear();
  time_undo_.clear();
  change_bytes_ = 0;
}

uint64_t partition_state::entries() const {
  uint64_t count = 0;
  for (const entry_map& m : stores_) count += m.size();
  return count;
}

bool partition_state::restore(uint32_t store, std::string_view key, std::optional<std::string_view> value) {
  MR_ASSERT(store < store_count());
  return write(store, key, stores_[store].find(key), value);
}

void partition_state::restored() {
  MR_ASSERT(undo_.empty());
  watermark_ = no_time;
  if (const auto text = meta_value(watermark_key))
    std::from_chars(text->data(), text->data() + text->size(), watermark_);
}

bool partition_state::copy(const partition_state& other,
                           const std::vector<std::optional<uint32_t>>& source_of) {
  for (uint32_t store = 0; store < store_count(); ++store) {
    if (!source_of[store]) continue;
    for (const auto& [key, value] : other.entries_of(*source_of[store]))
      if (change_entry(0, store, key, std::string_view(value)) != MILLRACE_OK) return false;
  }
  watermark_ = other.watermark_;
  return true;
}

std::optional<uint32_t> partition_state::version() const {
  const auto text = meta_value(version_key);
  uint32_t number = 0;
  if (!text || std::from_chars(text->data(), text->data() + text->size(), number).ec != std::errc{})
    return std::nullopt;
  return number;
}

void partition_state::note_version(std::string_view version) {
  change_entry(0, meta(), version_key, version);
}

std::optional<std::string> partition_state::meta_value(std::string_view key) const {
  const std::string* found = stores_[meta()].find(key);
  return found ? std::optional(*found) : std::nullopt;
}

}  // namespace millrace::processors
