#include "broker/coord/group/subscription.h"

#include <algorithm>

#include "base/buffer.h"
#include "protocol/generated/consumer_protocol_assignment.h"
#include "protocol/generated/consumer_protocol_subscription.h"
#include "protocol/message.h"

namespace millrace::broker::coord {
namespace {

using protocol::consumer_protocol_subscription;

// Clients may write a newer version than we know; its beginning is then read as the newest we do, which
// is the rule among consumers too.
template <class Message>
std::optional<Message> read_versioned(bytes_view bytes, int16_t* version_read = nullptr) {
  protocol::reader in(slice::copy_of(bytes));
  int16_t version = -1;
  in.get(version, "version");
  if (!in.ok() || version < Message::version_min) return std::nullopt;
  version = std::min(version, Message::version_max);
  auto message = Message::decode(in, version);
  if (!message) return std::nullopt;
  if (version_read != nullptr) *version_read = version;
  return std::move(*message);
}

template <class List>
topic_partitions by_id(List& list, const topic_source& topics) {
  topic_partitions set;
  for (auto& entry : list) {
    if (const auto t = topics.find(std::string_view(entry.topic))) {
      std::erase_if(entry.partitions, [&](int32_t p) { return p < 0 || p >= t->partitions; });
      add_sorted(set, t->id, std::move(entry.partitions));
    }
  }
  return set;
}

}  // namespace

std::optional<std::set<std::string, std::less<>>> subscribed_topics(const classic_group& g) {
  if (g.protocol_type() != consumer_protocol_type || !g.protocol()) return std::nullopt;
  std::set<std::string, std::less<>> topics;
  for (const auto& [member_id, m] : g.members()) {
    const auto subscription = read_versioned<consumer_protocol_subscription>(m.metadata_for(*g.protocol()));
    if (!subscription) return std::nullopt;
    topics.insert(subscription->topics.begin(), subscription->topics.end());
  }
  return topics;
}

std::optional<classic_subscription> parse_subscription(bytes_view bytes, const topic_source& topics) {
  classic_subscription out;
  auto read = read_versioned<consumer_protocol_subscription>(bytes, &out.version);
  if (!read) return std::nullopt;
  out.topics.assign(std::make_move_iterator(read->topics.begin()),
                    std::make_move_iterator(read->topics.end()));
  std::ranges::sort(out.topics);
  const auto rest = std::ranges::unique(out.topics);
  out.topics.erase(rest.begin(), rest.end());
  out.owned = by_id(read->owned_partitions, topics);
  out.rack_id = std::move(read->rack_id);
  return out;
}

std::optional<topic_partitions> parse_assignment(bytes_view bytes, const topic_source& topics) {
  if (bytes.empty()) return topic_partitions();
  auto read = read_versioned<protocol::consumer_protocol_assignment>(bytes);
  if (!read) return std::nullopt;
  return by_id(read->assigned_partitions, topics);
}

std::vector<std::byte> make_assignment(const topic_partitions& assigned, int16_t version,
                                       const topic_source& topics) {
  protocol::consumer_protocol_assignment out;
  for (const auto& [id, partitions] : assigned) {
    const auto t = topics.find(id);
    if (!t) continue;
    auto& entry = out.assigned_partitions.emplace_back();
    entry.topic = t->name;
    entry.partitions = partitions;
  }
  const slice bytes = protocol::encode_with_prefix(out, version, version);
  return {bytes.data(), bytes.data() + bytes.size()};
}

}  // namespace millrace::broker::coord
