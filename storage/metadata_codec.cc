#include "storage/metadata_codec.h"

#include <utility>

#include "storage/codec.h"

namespace millrace::storage {

namespace {

enum kind : uint8_t {
  kind_topic_created = 1,
  kind_topic_deleted = 2,
  kind_topic_config_changed = 3,
  kind_partitions_added = 4,
  kind_producer_ids_allocated = 5,
  kind_leader_epoch_bumped = 6,
  kind_keyed_first = 128,
  kind_keyed_last = 254,  // 255 is the frame's skip entry
};

void put(field_writer& w, const config_map& config) {
  w.put(static_cast<uint32_t>(config.size()));
  for (const auto& [key, value] : config) {
    w.put_text(key);
    w.put_text(value);
  }
}

config_map get_config(field_reader& r) {
  config_map config;
  for (uint32_t n = r.get_count(8); n > 0 && r.ok(); --n) {
    std::string key = r.get_text();
    config[std::move(key)] = r.get_text();
  }
  return config;
}

template <class... F>
struct overloaded : F... {
  using F::operator()...;
};

}  // namespace

encoded_entry encode(const metadata_entry& entry) {
  field_writer w;
  const auto kind = std::visit(overloaded{
                                   [&w](const topic_created& e) -> uint8_t {
                                     w.put(e.id);
                                     w.put_text(e.name);
                                     w.put(e.partitions);
                                     w.put(e.placement_seed);
                                     put(w, e.config);
                                     return kind_topic_created;
                                   },
                                   [&w](const topic_deleted& e) -> uint8_t {
                                     w.put(e.id);
                                     return kind_topic_deleted;
                                   },
                                   [&w](const topic_config_changed& e) -> uint8_t {
                                     w.put(e.id);
                                     put(w, e.config);
                                     return kind_topic_config_changed;
                                   },
                                   [&w](const partitions_added& e) -> uint8_t {
                                     w.put(e.id);
                                     w.put(e.partitions);
                                     return kind_partitions_added;
                                   },
                                   [&w](const producer_ids_allocated& e) -> uint8_t {
                                     w.put(e.next_producer_id);
                                     return kind_producer_ids_allocated;
                                   },
                                   [&w](const leader_epoch_bumped& e) -> uint8_t {
                                     w.put(e.epoch);
                                     return kind_leader_epoch_bumped;
                                   },
                                   [&w](const keyed_entry& e) -> uint8_t {
                                     w.put_text(e.key);
                                     w.put_text(e.value);
                                     return e.kind;
                                   },
                               },
                               entry);
  return {kind, std::move(w.out())};
}

result<metadata_entry> decode_metadata(uint8_t kind, bytes_view body) {
  field_reader r(body);
  metadata_entry entry;
  switch (kind) {
    case kind_topic_created: {
      topic_created e;
      e.id = r.get_uuid();
      e.name = r.get_text();
      e.partitions = r.get<int32_t>();
      e.placement_seed = r.get<uint32_t>();
      e.config = get_config(r);
      entry = std::move(e);
      break;
    }
    case kind_topic_deleted:
      entry = topic_deleted{r.get_uuid()};
      break;
    case kind_topic_config_changed: {
      topic_config_changed e;
      e.id = r.get_uuid();
      e.config = get_config(r);
      entry = std::move(e);
      break;
    }
    case kind_partitions_added: {
      partitions_added e;
      e.id = r.get_uuid();
      e.partitions = r.get<int32_t>();
      entry = e;
      break;
    }
    case kind_producer_ids_allocated:
      entry = producer_ids_allocated{r.get<int64_t>()};
      break;
    case kind_leader_epoch_bumped:
      entry = leader_epoch_bumped{r.get<int32_t>()};
      break;
    default: {
      if (kind < kind_keyed_first)
        return fail(errc::not_supported,
                    "metadata entry of kind {}, which this version of Millrace does not know", kind);
      keyed_entry e;
      e.kind = kind;
      e.key = r.get_text();
      e.value = r.get_text();
      entry = std::move(e);
    }
  }
  if (!r.ok() || !r.at_end())
    return fail(errc::corruption, "metadata entry of kind {} has a wrong size", kind);
  return entry;
}

std::vector<metadata_entry> entries_of(const metadata_state& state) {
  std::vector<metadata_entry> entries;
  for (const auto& [id, topic] : state.topics)
    entries.push_back(topic_created{id, topic.name, topic.partitions, topic.placement_seed, topic.config});
  if (state.next_producer_id > 0) entries.push_back(producer_ids_allocated{state.next_producer_id});
  if (state.epoch > 0) entries.push_back(leader_epoch_bumped{state.epoch});
  for (const auto& [key, value] : state.keyed) entries.push_back(keyed_entry{key.first, key.second, value});
  return entries;
}

// --- the state ---

const topic_metadata* metadata_state::find(std::string_view name) const {
  const auto found = ids_by_name.find(name);
  return found == ids_by_name.end() ? nullptr : &topics.at(found->second);
}

namespace {

std::unexpected<error> unknown_topic(const uuid& id) {
  return fail(errc::corruption, "metadata names topic {}, which does not exist", id.to_string());
}

}  // namespace

result<void> metadata_state::check(const metadata_entry& entry) const {
  return std::visit(overloaded{
                        [this](const topic_created& e) -> result<void> {
                          if (e.partitions < 1)
                            return fail(errc::corruption, "topic {} has {} partitions", e.name, e.partitions);
                          if (topics.contains(e.id) || ids_by_name.contains(e.name))
                            return fail(errc::corruption, "topic {} is created twice", e.name);
                          return {};
                        },
                        [this](const topic_deleted& e) -> result<void> {
                          if (!topics.contains(e.id)) return unknown_topic(e.id);
                          return {};
                        },
                        [this](const topic_config_changed& e) -> result<void> {
                          if (!topics.contains(e.id)) return unknown_topic(e.id);
                          return {};
                        },
                        [this](const partitions_added& e) -> result<void> {
                          const auto topic = topics.find(e.id);
                          if (topic == topics.end()) return unknown_topic(e.id);
                          if (e.partitions < topic->second.partitions)
                            return fail(errc::corruption, "topic {} goes from {} to {} partitions",
                                        topic->second.name, topic->second.partitions, e.partitions);
                          return {};
                        },
                        [this](const producer_ids_allocated& e) -> result<void> {
                          if (e.next_producer_id < next_producer_id)
                            return fail(errc::corruption, "producer ids go back from {} to {}",
                                        next_producer_id, e.next_producer_id);
                          return {};
                        },
                        [this](const leader_epoch_bumped& e) -> result<void> {
                          if (e.epoch < epoch)
                            return fail(errc::corruption, "leader epoch goes back from {} to {}", epoch,
                                        e.epoch);
                          return {};
                        },
                        [](const keyed_entry& e) -> result<void> {
                          if (e.kind < kind_keyed_first || e.kind > kind_keyed_last)
                            return fail(errc::corruption, "keyed metadata of kind {}", e.kind);
                          return {};
                        },
                    },
                    entry);
}

result<void> metadata_state::apply(const metadata_entry& entry) {
  MR_TRY(check(entry));
  std::visit(overloaded{
                 [this](const topic_created& e) {
                   topics[e.id] = topic_metadata{e.id, e.name, e.partitions, e.placement_seed, e.config};
                   ids_by_name[e.name] = e.id;
                 },
                 [this](const topic_deleted& e) {
                   ids_by_name.erase(topics.at(e.id).name);
                   topics.erase(e.id);
                 },
                 [this](const topic_config_changed& e) { topics.at(e.id).config = e.config; },
                 [this](const partitions_added& e) { topics.at(e.id).partitions = e.partitions; },
                 [this](const producer_ids_allocated& e) { next_producer_id = e.next_producer_id; },
                 [this](const leader_epoch_bumped& e) { epoch = e.epoch; },
                 [this](const keyed_entry& e) {
                   if (e.value.empty()) {
                     keyed.erase({e.kind, e.key});
                   } else {
                     keyed[{e.kind, e.key}] = e.value;
                   }
                 },
             },
             entry);
  return {};
}

}  // namespace millrace::storage
