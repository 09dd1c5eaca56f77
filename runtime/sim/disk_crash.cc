// What a power cut or the death of the process leaves of a sim_disk.
#include <algorithm>
#include <map>

#include "base/assert.h"
#include "runtime/sim/disk.h"

namespace millrace::runtime {

// Copies a disk, deciding for everything uncertain whether it survives.
//
// Independent coins alone would almost never lose everything, or nothing, and both are the most likely
// ways of a real crash; so each survival first draws its mood.
struct sim_disk::survival {
  enum class mood { lose_all, keep_all, mixed };

  explicit survival(uint64_t seed) : random(seed) {
    switch (random.below(4)) {
      case 0:
        how = mood::lose_all;
        break;
      case 1:
        how = mood::keep_all;
        break;
      default:
        how = mood::mixed;
    }
  }

  inode_ptr copy_after_power_cut(const inode_ptr& from) {
    if (inode_ptr& known = copies[from.get()]; known) return known;
    auto to = std::make_shared<inode>();
    copies[from.get()] = to;
    to->is_directory = from->is_directory;
    if (from->is_directory) {
      entries names = from->durable_entries;
      const size_t count = from->pending_names.size();
      size_t kept = count;
      if (how == mood::lose_all) kept = 0;
      if (how == mood::mixed) kept = random.below(count + 1);
      for (size_t i = 0; i < kept; ++i) apply(from->pending_names[i], names);
      for (const auto& [name, child] : names) to->now_entries[name] = copy_after_power_cut(child);
      to->durable_entries = to->now_entries;
    } else {
      to->now = from->durable;
      for (const change& c : from->pending) land(c, to->now);
      to->durable = to->now;
      to->reserved_bytes = from->reserved_bytes;
    }
    return to;
  }

  void land(const change& c, sparse_bytes& to) {
    if (how == mood::lose_all) return;
    if (how == mood::keep_all) return apply(c, to);
    switch (random.below(3)) {
      case 0:
        return;
      case 1:
        return apply(c, to);
      default:
        if (c.kind == change::what::write) land_torn(c, random, to);
    }
  }

  inode_ptr copy_after_kill(const inode_ptr& from) {
    if (inode_ptr& known = copies[from.get()]; known) return known;
    auto to = std::make_shared<inode>(*from);
    copies[from.get()] = to;
    to->lock_holder = -1;
    for (auto& [name, child] : to->now_entries) child = copy_after_kill(child);
    for (auto& [name, child] : to->durable_entries) child = copy_after_kill(child);
    for (name_change& c : to->pending_names)
      if (c.target) c.target = copy_after_kill(c.target);
    return to;
  }

  prng random;
  mood how;
  std::map<const inode*, inode_ptr> copies;
};

void sim_disk::land_torn(const change& c, prng& random, sparse_bytes& to) {
  const uint64_t unit = random.one_in(2) ? 512 : sparse_bytes::page_bytes;
  const uint64_t end = c.at + c.data.size();
  // Half of the time a prefix, as when a transfer stops; else any subset, as when a cache is flushed.
  const bool is_prefix = random.one_in(2);
  const uint64_t stop = c.at + random.below(c.data.size() + 1);
  for (uint64_t from = c.at; from < end;) {
    const uint64_t next = std::min(end, align_down(from, unit) + unit);
    const bool lands = is_prefix ? next <= stop : random.one_in(2);
    if (lands) to.write(from, bytes_view(c.data).subspan(from - c.at, next - from));
    from = next;
  }
}

std::shared_ptr<sim_disk> sim_disk::after_power_cut(uint64_t seed) const {
  // Operations in flight become pending ones of a scratch copy; then chance decides about all.
  survival scratch(seed);
  inode_ptr root = scratch.copy_after_kill(root_);
  uint64_t order = order_;
  for (const in_flight& flight : all_in_flight()) {
    if (!flight.node || flight.error != 0) continue;
    inode& node = *scratch.copy_after_kill(flight.node);
    if (flight.kind == io_kind::write) {
      node.pending.push_back({change::what::write, flight.at, flight.data, ++order, false});
    } else if (flight.kind == io_kind::truncate) {
      node.pending.push_back({change::what::resize, flight.at, {}, ++order, false});
    } else if (!flight.names.added.empty() || !flight.names.removed.empty()) {
      name_change names = flight.names;
      if (names.target) names.target = scratch.copy_after_kill(names.target);
      node.pending_names.push_back(std::move(names));
    }
  }
  survival final(seed);
  auto out = std::make_shared<sim_disk>(seed, options_);
  out->root_ = final.copy_after_power_cut(root);
  return out;
}

std::shared_ptr<sim_disk> sim_disk::after_kill(uint64_t seed) const {
  survival copy(seed);
  auto out = std::make_shared<sim_disk>(seed, options_);
  out->root_ = copy.copy_after_kill(root_);
  out->order_ = order_;
  for (const in_flight& flight : all_in_flight()) {
    if (!flight.node || flight.error != 0 || copy.random.one_in(2)) continue;
    inode& node = *copy.copy_after_kill(flight.node);
    if (flight.kind == io_kind::write)
      out->add_pending(node, {.kind = change::what::write, .at = flight.at, .data = flight.data});
  }
  return out;
}

}  // namespace millrace::runtime
