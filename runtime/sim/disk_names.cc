// The directories of a sim_disk: paths, and changes of names.
#include <algorithm>
#include <cerrno>

#include "base/assert.h"
#include "runtime/sim/disk.h"

namespace millrace::runtime {

std::vector<std::string> sim_disk::components(std::string_view path) {
  std::vector<std::string> out;
  while (!path.empty()) {
    const size_t slash = path.find('/');
    const std::string_view part = path.substr(0, slash);
    if (part == "..") {
      if (!out.empty()) out.pop_back();
    } else if (!part.empty() && part != ".") {
      out.emplace_back(part);
    }
    path = slash == std::string_view::npos ? std::string_view() : path.substr(slash + 1);
  }
  return out;
}

sim_disk::inode_ptr sim_disk::look_up(std::string_view path) const {
  inode_ptr at = root_;
  for (const std::string& name : components(path)) {
    if (!at->is_directory) return nullptr;
    const auto found = at->now_entries.find(name);
    if (found == at->now_entries.end()) return nullptr;
    at = found->second;
  }
  return at;
}

std::pair<sim_disk::inode_ptr, std::string> sim_disk::parent_of(std::string_view path) const {
  std::vector<std::string> parts = components(path);
  if (parts.empty()) return {nullptr, ""};
  std::string last = std::move(parts.back());
  parts.pop_back();
  inode_ptr at = root_;
  for (const std::string& name : parts) {
    const auto found = at->now_entries.find(name);
    if (found == at->now_entries.end() || !found->second->is_directory) return {nullptr, ""};
    at = found->second;
  }
  return {at, std::move(last)};
}

void sim_disk::apply(const name_change& c, entries& to) {
  if (!c.removed.empty()) to.erase(c.removed);
  if (!c.added.empty()) to[c.added] = c.target;
}

void sim_disk::sync_names(inode& directory, size_t count) {
  for (size_t i = 0; i < count; ++i) apply(directory.pending_names[i], directory.durable_entries);
  directory.pending_names.erase(directory.pending_names.begin(),
                                directory.pending_names.begin() + static_cast<ptrdiff_t>(count));
}

int64_t sim_disk::plan_names(const io_op& op, name_change& out, inode_ptr& directory) {
  auto [parent, name] = parent_of(op.path);
  if (!parent) return -ENOENT;
  directory = parent;
  const auto found = parent->now_entries.find(name);
  const bool exists = found != parent->now_entries.end();
  switch (op.kind) {
    case io_kind::make_directory:
      if (exists) return -EEXIST;
      out = {"", name, std::make_shared<inode>()};
      out.target->is_directory = true;
      return 0;
    case io_kind::unlink:
      if (!exists) return -ENOENT;
      if (found->second->is_directory) return -EISDIR;
      out = {name, "", nullptr};
      return 0;
    case io_kind::remove_directory:
      if (!exists) return -ENOENT;
      if (!found->second->is_directory) return -ENOTDIR;
      if (!found->second->now_entries.empty()) return -ENOTEMPTY;
      out = {name, "", nullptr};
      return 0;
    case io_kind::rename: {
      if (!exists) return -ENOENT;
      auto [to_parent, to_name] = parent_of(op.path_to);
      if (!to_parent) return -ENOENT;
      if (to_parent != parent) return -EXDEV;
      const auto replaced = parent->now_entries.find(to_name);
      if (replaced != parent->now_entries.end() && found->second->is_directory &&
          !replaced->second->is_directory)
        return -ENOTDIR;
      if (replaced != parent->now_entries.end() && replaced->second->is_directory) {
        if (!found->second->is_directory) return -EISDIR;
        if (!replaced->second->now_entries.empty()) return -ENOTEMPTY;
      }
      out = {name == to_name ? std::string() : name, to_name, found->second};
      return 0;
    }
    default:
      MR_ASSERT(!"not a change of names");
      return -EINVAL;
  }
}

int64_t sim_disk::change_names(const io_op& op, in_flight& flight) {
  inode_ptr directory;
  if (const int64_t refused = plan_names(op, flight.names, directory); refused < 0) return refused;
  apply(flight.names, directory->now_entries);
  directory->pending_names.push_back(flight.names);
  return 0;
}

}  // namespace millrace::runtime
