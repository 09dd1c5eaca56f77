#include "broker/metadata/topic_registry.h"

#include <algorithm>

#include "base/assert.h"
#include "base/limits.h"
#include "base/log.h"
#include "broker/config/tables.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "runtime/reactor.h"
#include "runtime/shards.h"
#include "runtime/when_all.h"

namespace millrace::broker {
namespace {

storage::durability durability_of(durability d) {
  switch (d) {
    case durability::sync:
      return storage::durability::sync;
    case durability::os:
      return storage::durability::os;
    case durability::memory:
      return storage::durability::memory;
  }
  return storage::durability::sync;
}

storage::topic_metadata metadata_of(const storage::topic_created& t) {
  return {.id = t.id,
          .name = t.name,
          .partitions = t.partitions,
          .placement_seed = t.placement_seed,
          .config = t.config};
}

storage::topic_metadata metadata_of(const topic& t) {
  return {.id = t.id,
          .name = t.name,
          .partitions = t.partitions,
          .placement_seed = t.placement_seed,
          .config = t.overrides};
}

storage::partition_spec spec_of(const topic& t, int32_t partition) {
  return {.id = t.partition(partition),
          .topic_name = t.name,
          .placement_seed = t.placement_seed,
          .config = topic_registry::partition_config_of(t.settings)};
}

}  // namespace

topic_ptr topic_registry::make_topic(const storage::topic_metadata& t, const config& given) {
  auto made = std::make_shared<topic>();
  made->id = t.id;
  made->name = t.name;
  made->partitions = t.partitions;
  made->placement_seed = t.placement_seed;
  made->overrides = t.config;
  made->settings = settings_of(t, given);
  made->is_internal = is_internal_topic(t.name);
  return made;
}

topic_settings topic_registry::settings_of(const storage::topic_metadata& t, const config& given) {
  topic_settings s = make_topic_settings(given, t.config);
  if (is_internal_topic(t.name)) s.kept = durability::sync;
  return s;
}

storage::partition_config topic_registry::partition_config_of(const topic_settings& s) {
  return {.segment_bytes = static_cast<uint64_t>(s.segment_bytes),
          .segment_ms = s.segment_ms,
          .segment_jitter_ms = s.segment_jitter_ms,
          .index_interval_bytes = static_cast<uint32_t>(s.index_interval_bytes),
          .index_bytes_max = static_cast<uint32_t>(s.index_bytes_max),
          .preallocates = s.preallocates,
          .retention_ms = s.is_deleted_by_age ? s.retention_ms : -1,
          .retention_bytes = s.is_deleted_by_age ? s.retention_bytes : -1,
          .file_delete_delay_ms = s.file_delete_delay_ms,
          .is_compacted = s.is_compacted,
          .dirty_ratio_min = s.dirty_ratio_min,
          .compaction_lag_min_ms = s.compaction_lag_min_ms,
          .compaction_lag_max_ms = s.compaction_lag_max_ms,
          .delete_retention_ms = s.delete_retention_ms,
          .timestamps = s.is_log_append_time ? storage::timestamp_type::log_append_time
                                             : storage::timestamp_type::create_time,
          .durability = durability_of(s.kept)};
}

storage::config_map topic_registry::keepable_config(const storage::topic_metadata& t) {
  storage::config_map kept;
  for (const auto& [key, value] : t.config) {
    auto checked = check_topic_override(key, value);
    if (checked) {
      kept[key] = *std::move(checked);
    } else {
      log::warn("a configuration of an imported topic is left out topic={} key={} value=\"{}\" reason=\"{}\"",
                t.name, key, value, checked.error().message);
    }
  }
  if (is_internal_topic(t.name)) kept["durability"] = "sync";
  return kept;
}

image_ptr topic_registry::image_of(const storage::metadata_state& state, const config& given) {
  std::vector<topic_ptr> topics;
  topics.reserve(state.topics.size());
  for (const auto& [id, t] : state.topics) topics.push_back(make_topic(t, given));
  return metadata_image::make(std::move(topics), leader_epoch(state.epoch));
}

const image_ptr& topic_registry::image() const {
  return whole_.shards[0]->image();
}

const config& topic_registry::given() const {
  return whole_.shards[0]->given();
}

result<void> topic_registry::check(const new_topic& wanted, const metadata_image& image) const {
  if (const std::string fault = topic_name_fault(wanted.name); !fault.empty()) {
    return fail(errc::invalid_topic_exception, "{}", fault);
  }
  if (wanted.partitions < 1 || wanted.partitions > limits::partitions_per_topic_max) {
    return fail(errc::invalid_partitions, "Number of partitions must be between 1 and {}",
                limits::partitions_per_topic_max);
  }
  if (const topic* other = image.find_colliding(wanted.name)) {
    if (other->name == wanted.name)
      return fail(errc::topic_already_exists, "Topic '{}' already exists.", wanted.name);
    return fail(errc::invalid_topic_exception, "Topic '{}' collides with existing topic: {}", wanted.name,
                other->name);
  }
  topic_overrides overrides = wanted.overrides;
  return check_topic_overrides(overrides);
}

task<std::vector<result<topic_ptr>>> topic_registry::create(std::vector<new_topic> wanted,
                                                            bool validate_only) {
  co_await writing_.acquire(1);
  const runtime::semaphore_units held(writing_, 1);

  std::vector<result<topic_ptr>> results;
  std::vector<storage::metadata_entry> entries;
  std::vector<topic_ptr> made;
  image_ptr after = image();
  for (new_topic& t : wanted) {
    // Topics of one processing flow belong together.
    if (!t.placement_seed && whole_.processors)
      t.placement_seed = whole_.processors->placement_of(t.name, *after);
    if (const result<void> checked = check(t, *after); !checked) {
      results.emplace_back(fail(checked.error()));
      continue;
    }
    storage::topic_created entry{
        .id = uuid::make([] { return runtime::reactor::current().random().next(); }),
        .name = std::move(t.name),
        .partitions = t.partitions,
        .placement_seed = t.placement_seed.value_or(next_seed_),
        .config = std::move(t.overrides),
    };
    // So that it is shown as it is, whatever the broker's default.
    if (is_internal_topic(entry.name)) entry.config["durability"] = "sync";
    if (!t.placement_seed) next_seed_ += static_cast<uint32_t>(t.partitions);
    topic_ptr created = make_topic(metadata_of(entry), given());
    results.emplace_back(created);
    made.push_back(created);
    entries.emplace_back(std::move(entry));
    // A name may come twice in one request; the second finds the first.
    after = after->with({created}, {});
  }
  if (validate_only || made.empty()) co_return results;

  const result<void> logged = co_await log_.append(std::move(entries));
  if (!logged) {
    log::error("topics not created count={} reason=\"{}\"", made.size(), to_string(logged.error()));
    for (result<topic_ptr>& r : results) {
      if (r) r = fail(logged.error());
    }
    co_return results;
  }
  for (const topic_ptr& t : made) co_await create_partitions(t, 0);
  co_await publish(std::move(after));
  for (const topic_ptr& t : made) {
    const auto kept = name_of(durability_of(t->settings.kept));
    log::info("topic created name={} id={} partitions={} durability={}", t->name, t->id.to_string(),
              t->partitions, kept);
    if (t->settings.kept != durability::sync)
      log::warn("acknowledged records of this topic may be lost name={} durability={} by=\"{}\"", t->name,
                kept, t->settings.kept == durability::os ? "a power cut" : "any crash");
  }
  co_return results;
}

task<std::vector<result<void>>> topic_registry::remove(std::vector<uuid> ids) {
  co_await writing_.acquire(1);
  const runtime::semaphore_units held(writing_, 1);

  std::vector<result<void>> results;
  std::vector<storage::metadata_entry> entries;
  std::vector<topic_ptr> doomed;
  std::vector<uuid> removed;
  const image_ptr before = image();
  for (const uuid& id : ids) {
    const auto at =
        std::ranges::find(before->topics(), id, [](const topic_ptr& t) -> const uuid& { return t->id; });
    const bool is_new = std::ranges::find(removed, id) == removed.end();
    if (at == before->topics().end() || !is_new) {
      results.emplace_back(fail(errc::unknown_topic_id));
      continue;
    }
    results.emplace_back();
    doomed.push_back(*at);
    removed.push_back(id);
    entries.emplace_back(storage::topic_deleted{id});
  }
  if (doomed.empty()) co_return results;

  const result<void> logged = co_await log_.append(std::move(entries));
  if (!logged) {
    for (result<void>& r : results) {
      if (r) r = fail(logged.error());
    }
    co_return results;
  }
  // The image first: no request that begins from here on finds the topic; those under way find no partition.
  co_await publish(before->with({}, removed));
  for (const topic_ptr& t : doomed) {
    co_await remove_partitions(t);
    log::info("topic deleted name={} id={}", t->name, t->id.to_string());
  }
  co_return results;
}

task<result<void>> topic_registry::add_partitions(uuid id, int32_t total, bool validate_only) {
  co_await writing_.acquire(1);
  const runtime::semaphore_units held(writing_, 1);

  const image_ptr before = image();
  const topic* old = before->find(id);
  if (old == nullptr) co_return fail(errc::unknown_topic_or_partition);
  if (total <= old->partitions) {
    co_return total == old->partitions
        ? fail(errc::invalid_partitions, "Topic already has {} partition(s).", total)
        : fail(errc::invalid_partitions,
               "The topic {} currently has {} partition(s); {} would not be an increase.", old->name,
               old->partitions, total);
  }
  if (total > limits::partitions_per_topic_max) {
    co_return fail(errc::invalid_partitions, "Number of partitions must be at most {}",
                   limits::partitions_per_topic_max);
  }
  if (validate_only) co_return result<void>();

  auto grown = std::make_shared<topic>(*old);
  const int32_t from = grown->partitions;
  grown->partitions = total;
  std::vector<storage::metadata_entry> entries;
  entries.emplace_back(storage::partitions_added{.id = id, .partitions = total});
  const result<void> logged = co_await log_.append(std::move(entries));
  if (!logged) co_return fail(logged.error());
  co_await create_partitions(grown, from);
  co_await publish(before->with({grown}, {}));
  co_return result<void>();
}

result<topic_ptr> topic_registry::altered_topic(const topic& old, config_changes changes) const {
  // Whoever replaces everything without knowing of this key does not mean to ask for another promise.
  constexpr std::string_view durability_key = "durability";
  const auto kept = old.overrides.find(durability_key);
  if (changes.replaces_all && kept != old.overrides.end() &&
      std::ranges::find(changes.changes, durability_key, &config_change::name) == changes.changes.end())
    changes.changes.push_back({std::string(durability_key), alter_op::set, kept->second});

  storage::topic_metadata wanted = metadata_of(old);
  result<config_values> overrides = altered(topic_keys(), old.overrides, changes);
  if (!overrides) return fail(std::move(overrides).error());
  MR_TRY(check_topic_overrides(*overrides));
  wanted.config = *std::move(overrides);
  topic_ptr changed = make_topic(wanted, given());
  if (changed->settings.kept != old.settings.kept) {
    return fail(
        errc::invalid_config,
        "The durability of a topic is chosen when it is created; this one's is {} for as long as it exists.",
        name_of(durability_of(old.settings.kept)));
  }
  return changed;
}

task<std::vector<result<void>>> topic_registry::alter(std::vector<topic_alteration> wanted,
                                                      bool validate_only) {
  co_await writing_.acquire(1);
  const runtime::semaphore_units held(writing_, 1);

  std::vector<result<void>> results;
  std::vector<storage::metadata_entry> entries;
  std::vector<topic_ptr> changed;
  image_ptr after = image();
  for (topic_alteration& w : wanted) {
    const topic* old = after->find(w.id);
    if (old == nullptr) {
      results.emplace_back(fail(errc::unknown_topic_or_partition));
      continue;
    }
    const result<topic_ptr> made = altered_topic(*old, std::move(w.changes));
    if (!made) {
      results.emplace_back(fail(made.error()));
      continue;
    }
    results.emplace_back();
    if ((*made)->overrides == old->overrides) continue;
    entries.emplace_back(storage::topic_config_changed{.id = w.id, .config = (*made)->overrides});
    changed.push_back(*made);
    after = after->with({*made}, {});
  }
  if (validate_only || changed.empty()) co_return results;

  const result<void> logged = co_await log_.append(std::move(entries));
  if (!logged) {
    for (result<void>& r : results) {
      if (r) r = fail(logged.error());
    }
    co_return results;
  }
  co_await reconfigure_partitions(changed);
  co_await publish(std::move(after));
  for (const topic_ptr& t : changed) log::info("topic reconfigured name={}", t->name);
  co_return results;
}

task<void> topic_registry::follow_defaults() {
  co_await writing_.acquire(1);
  const runtime::semaphore_units held(writing_, 1);
  std::vector<topic_ptr> remade;
  for (const topic_ptr& t : image()->topics()) remade.push_back(make_topic(metadata_of(*t), given()));
  co_await reconfigure_partitions(remade);
  image_ptr after = image()->with(std::move(remade), {});
  co_await publish(std::move(after));
}

task<void> topic_registry::reconfigure_partitions(const std::vector<topic_ptr>& changed) {
  for (uint32_t shard = 0; shard < whole_.shard_count(); ++shard) {
    const auto reconfigure_here = [this, &changed, shard] {
      storage::shard_store& store = whole_.shards[shard]->store();
      for (const topic_ptr& t : changed) {
        const storage::partition_config config = partition_config_of(t->settings);
        for (int32_t p = 0; p < t->partitions; ++p) {
          storage::partition_log* log = store.find(t->partition(p));
          if (log != nullptr) store.reconfigure(*log, config);
        }
      }
    };
    co_await runtime::call_on(shard_id(shard), reconfigure_here);
  }
}

task<void> topic_registry::create_partitions(topic_ptr t, int32_t from) {
  for (uint32_t shard = 0; shard < whole_.shard_count(); ++shard) {
    const auto create_here = [this, &t, from, shard] {
      storage::shard_store& store = whole_.shards[shard]->store();
      for (int32_t p = from; p < t->partitions; ++p) {
        if (t->owner(p, whole_.shard_count()) != shard_id(shard)) continue;
        // In memory only, and the log gave this id and number out for the first time.
        const auto made = store.create(spec_of(*t, p));
        MR_ASSERT(made);
      }
    };
    co_await runtime::call_on(shard_id(shard), create_here);
  }
}

task<void> topic_registry::remove_partitions(topic_ptr t) {
  for (int32_t p = 0; p < t->partitions; ++p) {
    const shard_id owner = t->owner(p, whole_.shard_count());
    const auto remove_there = [this, &t, p, owner] {
      return whole_.shards[owner.value()]->store().remove(t->partition(p));
    };
    const result<void> removed = co_await runtime::call_on(owner, remove_there);
    // The metadata log has the deletion, so recovery finishes what could not be done here.
    if (!removed) {
      log::warn("partition files left behind topic={} partition={} reason=\"{}\"", t->name, p,
                to_string(removed.error()));
    }
  }
}

task<void> topic_registry::publish(image_ptr now) {
  for (uint32_t shard = 0; shard < whole_.shard_count(); ++shard) {
    const auto publish_there = [this, &now, shard] { whole_.shards[shard]->publish(now); };
    co_await runtime::call_on(shard_id(shard), publish_there);
  }
}

}  // namespace millrace::broker
