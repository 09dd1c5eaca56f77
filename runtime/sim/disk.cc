#include "runtime/sim/disk.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/assert.h"
#include "runtime/io_change.h"

namespace millrace::runtime {

sim_disk::sim_disk(uint64_t seed, sim_disk_options options)
    : random_(seed), options_(options), root_(std::make_shared<inode>()) {
  root_->is_directory = true;
}

// --- Contents ---------------------------------------------------------------------------------------

void sim_disk::apply(const change& c, sparse_bytes& to) {
  if (c.kind == change::what::resize) {
    to.resize(c.at);
  } else {
    to.write(c.at, c.data);
  }
}

void sim_disk::add_pending(inode& node, change c) {
  c.order = ++order_;
  apply(c, node.now);
  node.pending.push_back(std::move(c));
}

void sim_disk::overlay(change& older, const change& newer) {
  if (older.kind == change::what::resize) return;
  const uint64_t end = older.at + older.data.size();
  if (newer.kind == change::what::resize) {
    if (newer.at < end) older.data.resize(newer.at > older.at ? newer.at - older.at : 0);
    return;
  }
  const uint64_t from = std::max(older.at, newer.at);
  const uint64_t to = std::min(end, newer.at + newer.data.size());
  if (from < to)
    std::memcpy(older.data.data() + (from - older.at), newer.data.data() + (from - newer.at), to - from);
}

template <class Choose>
void sim_disk::make_durable(inode& node, Choose is_chosen) {
  std::vector<change> kept;
  for (change& c : node.pending) {
    if (is_chosen(c)) {
      apply(c, node.durable);
      for (change& older : kept) overlay(older, c);
    } else {
      kept.push_back(std::move(c));
    }
  }
  node.pending = std::move(kept);
}

uint64_t sim_disk::used_bytes() const {
  uint64_t sum = 0;
  std::vector<const inode*> rest{root_.get()};
  while (!rest.empty()) {
    const inode* node = rest.back();
    rest.pop_back();
    sum += std::max<uint64_t>(node->now.page_count() * sparse_bytes::page_bytes, node->reserved_bytes);
    for (const auto& [name, child] : node->now_entries) rest.push_back(child.get());
  }
  return sum;
}

bool sim_disk::has_room_for(const inode& node, uint64_t at, uint64_t length) const {
  const uint64_t end = align_up(at + length, sparse_bytes::page_bytes);
  // Inside what the file has or has reserved nothing new is needed; holes are not looked at that closely.
  const uint64_t has = std::max(align_up(node.now.size(), sparse_bytes::page_bytes), node.reserved_bytes);
  if (end <= has) return true;
  return used_bytes() + (end - has) <= options_.capacity_bytes;
}

bool sim_disk::is_misaligned(const handle& h, const io_op& op) const {
  if (!h.is_direct) return false;
  uint64_t bits = op.at;
  for (uint32_t i = 0; i < op.vector_count; ++i)
    bits |= op.vectors[i].iov_len | reinterpret_cast<uint64_t>(op.vectors[i].iov_base);
  return bits % options_.direct_alignment != 0;
}

int64_t sim_disk::open(const io_op& op) {
  if ((op.flags & open_direct) && options_.direct_alignment == 0) return -EINVAL;
  auto [parent, name] = parent_of(op.path);
  if (!parent) return -ENOENT;
  const auto found = parent->now_entries.find(name);
  inode_ptr node;
  if (found == parent->now_entries.end()) {
    if (!(op.flags & open_create)) return -ENOENT;
    node = std::make_shared<inode>();
    const name_change made{"", name, node};
    apply(made, parent->now_entries);
    parent->pending_names.push_back(made);
  } else {
    node = found->second;
    if ((op.flags & open_create) && (op.flags & open_exclusive)) return -EEXIST;
    if (node->is_directory && !((op.flags & open_read_only) && !(op.flags & open_create))) return -EISDIR;
    if ((op.flags & open_truncate) && node->now.size() > 0)
      add_pending(*node, {.kind = change::what::resize, .at = 0});
  }
  const int fd = next_fd_++;
  handles_[fd] = {node, op.path, (op.flags & open_direct) != 0, (op.flags & open_read_only) != 0};
  return fd;
}

int64_t sim_disk::read(const io_op& op) {
  const handle& h = handles_.at(op.fd);
  if (h.node->is_directory) return -EISDIR;
  if (is_misaligned(h, op)) return -EINVAL;
  uint64_t total = 0;
  for (uint32_t i = 0; i < op.vector_count; ++i) {
    const iovec& v = op.vectors[i];
    const size_t got = h.node->now.read(op.at + total, {static_cast<std::byte*>(v.iov_base), v.iov_len});
    total += got;
    if (got < v.iov_len) break;
  }
  return static_cast<int64_t>(total);
}

int64_t sim_disk::write(const io_op& op, in_flight& flight) {
  const handle& h = handles_.at(op.fd);
  if (h.is_read_only) return -EBADF;
  if (is_misaligned(h, op)) return -EINVAL;
  if (!has_room_for(*h.node, op.at, flight.data.size())) {
    // Now and then the beginning still fits, and the kernel says so by a short count.
    const uint64_t part = align_down(flight.data.size() / 2, sparse_bytes::page_bytes);
    if (part == 0 || random_.one_in(2) || !has_room_for(*h.node, op.at, part)) return -ENOSPC;
    flight.data.resize(part);
  }
  const auto length = static_cast<int64_t>(flight.data.size());
  add_pending(*h.node, {.kind = change::what::write, .at = op.at, .data = std::move(flight.data)});
  if (op.flags & write_dsync) {
    // The size it needs is committed with it, and with that every earlier change of the size.
    const uint64_t own = order_;
    make_durable(*h.node,
                 [own](const change& c) { return c.order == own || c.kind == change::what::resize; });
  }
  return length;
}

int64_t sim_disk::fail_write(in_flight& flight) {
  if (!random_.one_in(3)) {
    // Some of it may have got there. Nobody may rely on the old content either.
    sparse_bytes landed = flight.node->now;
    land_torn({.kind = change::what::write, .at = flight.at, .data = flight.data}, random_, landed);
    std::vector<std::byte> mixed(flight.data.size());
    const size_t known = landed.read(flight.at, mixed);
    mixed.resize(known);
    if (known > 0)
      add_pending(*flight.node, {.kind = change::what::write, .at = flight.at, .data = std::move(mixed)});
  }
  return -flight.error;
}

int64_t sim_disk::fail_sync(in_flight& flight) {
  for (change& c : flight.node->pending)
    if (c.order <= flight.sync_up_to && random_.one_in(2)) c.is_abandoned = true;
  return -flight.error;
}

int64_t sim_disk::allocate(const io_op& op) {
  const handle& h = handles_.at(op.fd);
  if (h.is_read_only) return -EBADF;
  inode& node = *h.node;
  if (!has_room_for(node, op.at, op.length)) return -ENOSPC;
  node.reserved_bytes = std::max(node.reserved_bytes, align_up(op.at + op.length, sparse_bytes::page_bytes));
  if (!(op.flags & allocate_keep_size) && op.at + op.length > node.now.size())
    add_pending(node, {.kind = change::what::resize, .at = op.at + op.length});
  return 0;
}

int64_t sim_disk::stat(const io_op& op) {
  const inode_ptr node = op.fd >= 0 ? handles_.at(op.fd).node : look_up(op.path);
  if (!node) return -ENOENT;
  auto& facts = *static_cast<file_facts*>(op.out);
  facts.size_bytes = node->now.size();
  facts.is_directory = node->is_directory;
  facts.direct_alignment = options_.direct_alignment;
  return 0;
}

int64_t sim_disk::list(const io_op& op) {
  const inode_ptr node = look_up(op.path);
  if (!node) return -ENOENT;
  if (!node->is_directory) return -ENOTDIR;
  auto& out = *static_cast<std::vector<directory_entry>*>(op.out);
  for (const auto& [name, child] : node->now_entries) out.push_back({name, child->is_directory});
  return 0;
}

int sim_disk::lock(int fd) {
  inode& node = *handles_.at(fd).node;
  if (node.lock_holder >= 0 && node.lock_holder != fd) return -EAGAIN;
  node.lock_holder = fd;
  return 0;
}

void sim_disk::close(int fd) {
  const auto found = handles_.find(fd);
  MR_ASSERT(found != handles_.end());
  if (found->second.node->lock_holder == fd) found->second.node->lock_holder = -1;
  handles_.erase(found);
}

// --- Operations -------------------------------------------------------------------------------------

bool sim_disk::is_change(const io_op& op) noexcept {
  return is_file_change(op.kind) &&
         (op.kind != io_kind::open || (op.flags & (open_create | open_truncate)) != 0);
}

std::string sim_disk::path_of(const io_op& op) const {
  if (op.path) return op.path;
  const auto found = handles_.find(op.fd);
  return found == handles_.end() ? std::string() : found->second.path;
}

int sim_disk::injected_error(const io_op& op) {
  for (sim_fault& f : faults_) {
    if (f.kind != op.kind || f.times == 0) continue;
    if (!f.path_part.empty() && path_of(op).find(f.path_part) == std::string::npos) continue;
    if (f.skip > 0) {
      --f.skip;
      continue;
    }
    --f.times;
    return f.error;
  }
  return 0;
}

void sim_disk::start(io_op& op) {
  in_flight flight;
  flight.kind = op.kind;
  flight.started = ++started_;
  if (crashed_) {
    flight.error = EIO;
    in_flight_[&op] = std::move(flight);
    return;
  }
  flight.error = injected_error(op);
  flight.is_injected = flight.error != 0;
  if (op.fd >= 0) {
    const auto found = handles_.find(op.fd);
    MR_ASSERT(found != handles_.end());
    flight.node = found->second.node;
  }
  flight.at = op.kind == io_kind::truncate ? op.length : op.at;
  if (op.kind == io_kind::write) {
    for (uint32_t i = 0; i < op.vector_count; ++i) {
      const auto* from = static_cast<const std::byte*>(op.vectors[i].iov_base);
      flight.data.insert(flight.data.end(), from, from + op.vectors[i].iov_len);
    }
  } else if (op.kind == io_kind::sync_data || op.kind == io_kind::sync_all) {
    flight.sync_up_to = order_;
  } else if (op.kind == io_kind::sync_directory) {
    flight.node = look_up(op.path);
    if (flight.node) flight.names_up_to = flight.node->pending_names.size();
  } else if (op.kind == io_kind::rename || op.kind == io_kind::unlink || op.kind == io_kind::make_directory ||
             op.kind == io_kind::remove_directory) {
    // Only for the case that the power goes meanwhile; planned again when its time comes.
    if (plan_names(op, flight.names, flight.node) < 0) flight.node = nullptr;
  }
  in_flight_[&op] = std::move(flight);
  if (!is_change(op)) return;
  ++change_count_;
  if (change_count_ == crash_at_) crash_now();
  if (change_count_ != fail_at_) return;
  failed_path_ = path_of(op);
  fail_started(op, fail_with_);
}

void sim_disk::fail_started(io_op& op, int errno_value) {
  in_flight& flight = in_flight_.at(&op);
  flight.error = errno_value;
  flight.is_injected = true;
}

void sim_disk::crash_now() {
  if (crashed_) return;
  crashed_ = true;
  at_crash_ = all_in_flight();
}

std::vector<sim_disk::in_flight> sim_disk::all_in_flight() const {
  if (crashed_ && !at_crash_.empty()) return at_crash_;
  std::vector<in_flight> all;
  for (const auto& [op, flight] : in_flight_) all.push_back(flight);
  // The map is in order of addresses, which differ from run to run.
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.started < b.started; });
  return all;
}

int64_t sim_disk::finish(io_op& op) {
  const auto found = in_flight_.find(&op);
  MR_ASSERT(found != in_flight_.end());
  in_flight flight = std::move(found->second);
  in_flight_.erase(found);
  if (op.kind == io_kind::close) {
    close(op.fd);
    return 0;
  }
  if (crashed_) return -EIO;
  if (flight.is_injected) {
    if (op.kind == io_kind::write) return fail_write(flight);
    if (op.kind == io_kind::sync_data || op.kind == io_kind::sync_all) return fail_sync(flight);
    return -flight.error;
  }
  return perform(op, flight);
}

int64_t sim_disk::perform(io_op& op, in_flight& flight) {
  switch (op.kind) {
    case io_kind::open:
      return open(op);
    case io_kind::read:
      return read(op);
    case io_kind::write:
      return write(op, flight);
    case io_kind::sync_data:
    case io_kind::sync_all: {
      const uint64_t limit = flight.sync_up_to;
      make_durable(*flight.node, [limit](const change& c) { return c.order <= limit && !c.is_abandoned; });
      return 0;
    }
    case io_kind::allocate:
      return allocate(op);
    case io_kind::truncate:
      if (handles_.at(op.fd).is_read_only) return -EINVAL;
      flight.node->reserved_bytes = 0;
      add_pending(*flight.node, {.kind = change::what::resize, .at = op.length});
      return 0;
    case io_kind::stat:
      return stat(op);
    case io_kind::rename:
    case io_kind::unlink:
    case io_kind::make_directory:
    case io_kind::remove_directory:
      return change_names(op, flight);
    case io_kind::sync_directory:
      if (!flight.node) return -ENOENT;
      sync_names(*flight.node, std::min(flight.names_up_to, flight.node->pending_names.size()));
      return 0;
    case io_kind::list_directory:
      return list(op);
    case io_kind::disk_free: {
      auto& space = *static_cast<disk_space*>(op.out);
      const uint64_t used = used_bytes();
      space = {options_.capacity_bytes > used ? options_.capacity_bytes - used : 0, options_.capacity_bytes};
      return 0;
    }
    default:
      MR_ASSERT(!"not an operation of a disk");
      return -EINVAL;
  }
}

}  // namespace millrace::runtime
