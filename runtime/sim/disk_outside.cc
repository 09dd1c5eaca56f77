// What a test sees of a sim_disk and does to it from outside of the program under test.
#include <algorithm>

#include "runtime/sim/disk.h"

namespace millrace::runtime {

std::optional<std::vector<std::byte>> sim_disk::content(const std::string& path) const {
  const inode_ptr node = look_up(path);
  if (!node || node->is_directory) return std::nullopt;
  std::vector<std::byte> out(node->now.size());
  node->now.read(0, out);
  return out;
}

std::vector<std::string> sim_disk::all_paths(bool of_directories) const {
  std::vector<std::string> out;
  std::vector<std::pair<std::string, const inode*>> rest{{"", root_.get()}};
  while (!rest.empty()) {
    auto [path, node] = std::move(rest.back());
    rest.pop_back();
    for (const auto& [name, child] : node->now_entries) {
      if (child->is_directory == of_directories) out.push_back(path + "/" + name);
      if (child->is_directory) rest.emplace_back(path + "/" + name, child.get());
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> sim_disk::files() const {
  return all_paths(false);
}

std::vector<std::string> sim_disk::directories() const {
  return all_paths(true);
}

sim_disk::inode_ptr sim_disk::make_path(const std::vector<std::string>& parts, bool ends_in_directory) {
  inode_ptr at = root_;
  for (size_t i = 0; i < parts.size(); ++i) {
    inode_ptr& child = at->now_entries[parts[i]];
    if (!child) {
      child = std::make_shared<inode>();
      child->is_directory = ends_in_directory || i + 1 < parts.size();
    }
    at->durable_entries[parts[i]] = child;
    at = child;
  }
  return at;
}

void sim_disk::put_directory(const std::string& path) {
  make_path(components(path), true);
}

void sim_disk::put(const std::string& path, bytes_view bytes) {
  const inode_ptr at = make_path(components(path), false);
  at->pending.clear();
  at->now = sparse_bytes();
  at->now.write(0, bytes);
  at->durable = at->now;
}

bool sim_disk::flip(const std::string& path, uint64_t at, std::byte mask) {
  const inode_ptr node = look_up(path);
  if (!node) return false;
  bool found = false;
  for (sparse_bytes* where : {&node->now, &node->durable}) {
    std::byte b{};
    if (where->read(at, {&b, 1}) != 1) continue;
    b ^= mask;
    where->write(at, {&b, 1});
    found = true;
  }
  return found;
}

}  // namespace millrace::runtime
