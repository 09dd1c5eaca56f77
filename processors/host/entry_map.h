// entry_map: one store's entries, in the order of their keys' bytes, and found by key without walking that
// order.
//
// A search tree alone costs a cache miss a level, twenty of them with a million keys. So beside the tree
// there is a table of hashes with open addressing, which leads to an entry in two misses however many there
// are. Small maps do without. The table grows a part at a time, so that no single change takes long.
//
// Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::processors {

class entry_map {
 public:
  using tree = std::map<std::string, std::string, std::less<>>;
  using const_iterator = tree::const_iterator;

  entry_map() = default;
  // The table refers to the tree's entries.
  entry_map(const entry_map&) = delete;
  entry_map& operator=(const entry_map&) = delete;
  entry_map(entry_map&&) noexcept = default;
  entry_map& operator=(entry_map&&) noexcept = default;

  // The value under a key, or null; valid until that entry is erased.
  const std::string* find(std::string_view key) const;
  std::string* find(std::string_view key);
  // Requires: nothing is under the key.
  void add(std::string_view key, std::string_view value);
  // Requires: something is.
  void erase(std::string_view key);

  // In the order of keys.
  const_iterator begin() const { return tree_.begin(); }
  const_iterator end() const { return tree_.end(); }
  const_iterator lower_bound(std::string_view key) const { return tree_.lower_bound(key); }
  const_iterator upper_bound(std::string_view key) const { return tree_.upper_bound(key); }
  size_t size() const { return tree_.size(); }

 private:
  struct slot {
    uint64_t hash = 0;  // 0: free
    tree::iterator entry;
  };
  // Slots by the lower bits of the hash; what collides goes on to the next one.
  struct part {
    std::vector<slot> slots;
    size_t used = 0;

    slot* find(uint64_t hash, std::string_view key);
    void add(uint64_t hash, tree::iterator entry);
    void erase(slot& gone);
    void grow();
  };

  part& part_of(uint64_t hash);
  tree::iterator locate(std::string_view key);
  void make_parts(size_t count);

  tree tree_;
  std::vector<part> parts_;  // none, one or parts_max, by the upper bits of the hash
};

}  // namespace millrace::processors
