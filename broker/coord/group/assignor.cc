#include "broker/coord/group/assignor.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <ranges>
#include <tuple>
#include <unordered_map>

namespace millrace::broker::coord {
namespace {

constexpr size_t nobody = std::numeric_limits<size_t>::max();
// Passes over all partitions that even out unlike subscriptions. Each moves at least one partition to a
// member with fewer; a few do, this is against the worst case.
constexpr int balancing_passes_max = 32;

// The partitions of all topics under one number, and who has each.
class division {
 public:
  explicit division(const assignor_input& in)
      : in_(in), loads_(in.members.size(), 0), subscribers_(in.topics.size()) {
    size_t count = 0;
    for (const assignor_topic& t : in.topics) {
      first_.push_back(count);
      count += static_cast<size_t>(t.partitions);
    }
    owners_.assign(count, nobody);
    for (size_t m = 0; m < in.members.size(); ++m) {
      for (const size_t t : in.members[m].topics) subscribers_[t].push_back(m);
    }
  }

  size_t size() const { return owners_.size(); }
  size_t load(size_t member) const { return loads_[member]; }
  size_t owner(size_t partition) const { return owners_[partition]; }
  const std::vector<size_t>& subscribers(size_t topic) const { return subscribers_[topic]; }
  size_t number(size_t topic, int32_t partition) const {
    return first_[topic] + static_cast<size_t>(partition);
  }

  void give(size_t partition, size_t member) {
    if (owners_[partition] != nobody) --loads_[owners_[partition]];
    owners_[partition] = member;
    if (member != nobody) ++loads_[member];
  }

  // Everybody keeps what it has of topics that it subscribes to.
  void keep_current() {
    std::unordered_map<uuid, size_t> index;
    for (size_t t = 0; t < in_.topics.size(); ++t) index.emplace(in_.topics[t].id, t);
    for (size_t m = 0; m < in_.members.size(); ++m) {
      if (in_.members[m].current == nullptr) continue;
      for (const auto& [topic, partitions] : *in_.members[m].current) {
        const auto t = index.find(topic);
        if (t == index.end() || !std::ranges::binary_search(in_.members[m].topics, t->second)) continue;
        for (const int32_t p : partitions) {
          if (p < 0 || p >= in_.topics[t->second].partitions) continue;
          const size_t n = number(t->second, p);
          if (owners_[n] == nobody) give(n, m);
        }
      }
    }
  }

  assignor_output result() const {
    assignor_output out(in_.members.size());
    for (size_t t = 0; t < in_.topics.size(); ++t) {
      for (int32_t p = 0; p < in_.topics[t].partitions; ++p) {
        const size_t m = owners_[number(t, p)];
        if (m != nobody) out[m][in_.topics[t].id].push_back(p);
      }
    }
    return out;
  }

 private:
  const assignor_input& in_;
  std::vector<size_t> first_;
  std::vector<size_t> owners_;
  std::vector<size_t> loads_;
  std::vector<std::vector<size_t>> subscribers_;
};

bool have_equal_subscriptions(const assignor_input& in) {
  return std::ranges::all_of(in.members,
                             [&](const assignor_member& m) { return m.topics == in.members.front().topics; });
}

// All subscribe to the same: who has more than its share gives up the rest, who has less gets it.
void divide_equally(const assignor_input& in, division& d) {
  const size_t members = in.members.size();
  size_t count = 0;
  for (const size_t t : in.members.front().topics) count += static_cast<size_t>(in.topics[t].partitions);
  const size_t share = count / members;
  size_t larger = count % members;  // so many have one more

  std::vector<size_t> quota(members, share);
  for (size_t m = 0; m < members && larger > 0; ++m) {
    if (d.load(m) <= share) continue;
    ++quota[m];
    --larger;
  }
  for (size_t m = 0; m < members && larger > 0; ++m) {
    if (quota[m] != share) continue;
    ++quota[m];
    --larger;
  }
  // From the end: like Kafka's, members keep their first partitions.
  std::vector<size_t> open;
  for (const size_t t : in.members.front().topics | std::views::reverse) {
    for (int32_t p = in.topics[t].partitions - 1; p >= 0; --p) {
      const size_t n = d.number(t, p);
      if (const size_t m = d.owner(n); m != nobody) {
        if (d.load(m) <= quota[m]) continue;
        d.give(n, nobody);
      }
      open.push_back(n);
    }
  }
  // Around in turn, so that a topic's partitions spread.
  size_t next = 0;
  for (const size_t n : open | std::views::reverse) {
    while (d.load(next) >= quota[next]) next = (next + 1) % members;
    d.give(n, next);
    next = (next + 1) % members;
  }
}

size_t least_loaded(const std::vector<size_t>& members, const division& d) {
  return *std::ranges::min_element(members, [&](size_t a, size_t b) { return d.load(a) < d.load(b); });
}

void divide_unlike(const assignor_input& in, division& d) {
  std::vector<size_t> order(in.topics.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // Topics with few subscribers first: the others have more room to even out.
  std::ranges::sort(order, {}, [&](size_t t) { return std::pair(d.subscribers(t).size(), t); });
  for (const size_t t : order) {
    if (d.subscribers(t).empty()) continue;
    for (int32_t p = 0; p < in.topics[t].partitions; ++p) {
      const size_t n = d.number(t, p);
      if (d.owner(n) == nobody) d.give(n, least_loaded(d.subscribers(t), d));
    }
  }
  bool has_moved = true;
  for (int pass = 0; pass < balancing_passes_max && has_moved; ++pass) {
    has_moved = false;
    for (const size_t t : order) {
      if (d.subscribers(t).size() < 2) continue;
      for (int32_t p = 0; p < in.topics[t].partitions; ++p) {
        const size_t n = d.number(t, p);
        const size_t to = least_loaded(d.subscribers(t), d);
        if (d.load(to) + 1 >= d.load(d.owner(n))) continue;
        d.give(n, to);
        has_moved = true;
      }
    }
  }
}

}  // namespace

assignor_output assign_uniform(const assignor_input& in) {
  if (in.members.empty()) return {};
  division d(in);
  d.keep_current();
  if (have_equal_subscriptions(in)) {
    divide_equally(in, d);
  } else {
    divide_unlike(in, d);
  }
  return d.result();
}

assignor_output assign_range(const assignor_input& in) {
  std::vector<size_t> order(in.members.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t m) {
    const assignor_member& member = in.members[m];
    return std::tuple(!member.instance_id, member.instance_id.value_or(member.id), m);
  });
  std::vector<std::vector<size_t>> subscribers(in.topics.size());
  for (const size_t m : order) {
    for (const size_t t : in.members[m].topics) subscribers[t].push_back(m);
  }
  assignor_output out(in.members.size());
  for (size_t t = 0; t < in.topics.size(); ++t) {
    if (subscribers[t].empty()) continue;
    const auto members = static_cast<int32_t>(subscribers[t].size());
    const int32_t share = in.topics[t].partitions / members;
    const int32_t larger = in.topics[t].partitions % members;
    int32_t next = 0;
    for (int32_t i = 0; i < members; ++i) {
      const int32_t end = next + share + (i < larger ? 1 : 0);
      for (; next < end; ++next) out[subscribers[t][static_cast<size_t>(i)]][in.topics[t].id].push_back(next);
    }
  }
  return out;
}

assignor_function find_assignor(std::string_view name) noexcept {
  if (name == "uniform") return assign_uniform;
  if (name == "range") return assign_range;
  return nullptr;
}

}  // namespace millrace::broker::coord
