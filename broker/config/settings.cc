#include "broker/config/settings.h"

#include <algorithm>
#include <thread>
#include <unistd.h>

#include "base/limits.h"
#include "broker/config/key_spec.h"

namespace millrace::broker {
namespace {

std::string describe_place(const config& given, std::string_view key) {
  const configured_value* value = given.given(key);
  return value == nullptr ? std::string(key) : fmt::format("{}: {}", value->where, key);
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof(name) - 1) == 0 && name[0] != '\0' ? name : "localhost";
}

result<void> check_protocols(const config& given, const std::vector<listener_address>& listeners) {
  for (const listener_address& listener : listeners) {
    std::string_view protocol = listener.name;
    for (const std::string_view pair : split_list(given.required("listener.security.protocol.map"))) {
      const size_t colon = pair.find(':');
      if (colon != std::string_view::npos && pair.substr(0, colon) == listener.name)
        protocol = pair.substr(colon + 1);
    }
    if (protocol != "PLAINTEXT") {
      return fail(errc::invalid_config,
                  "{}: listener {} is refused: only PLAINTEXT is there yet (map other names to it with "
                  "listener.security.protocol.map)",
                  describe_place(given, "listeners"), listener.name);
    }
  }
  return {};
}

result<void> read_listeners(const config& given, settings& into) {
  const auto bound = parse_listeners(given.required("listeners"));
  if (!bound)
    return fail(errc::invalid_config, "{}: {}", describe_place(given, "listeners"), bound.error().message);
  if (bound->empty())
    return fail(errc::invalid_config, "{}: at least one is needed", describe_place(given, "listeners"));
  MR_TRY(check_protocols(given, *bound));

  const auto advertised = parse_listeners(given.text("advertised.listeners").value_or(""));
  if (!advertised) {
    return fail(errc::invalid_config, "{}: {}", describe_place(given, "advertised.listeners"),
                advertised.error().message);
  }
  for (const listener_address& address : *advertised) {
    if (std::ranges::find(*bound, address.name, &listener_address::name) == bound->end()) {
      return fail(errc::invalid_config, "{}: there is no listener named {}",
                  describe_place(given, "advertised.listeners"), address.name);
    }
    if (address.is_wildcard()) {
      return fail(errc::invalid_config, "{}: {} is no address that a client could connect to",
                  describe_place(given, "advertised.listeners"), address.to_string());
    }
  }
  for (const listener_address& bind : *bound) {
    const auto named = std::ranges::find(*advertised, bind.name, &listener_address::name);
    listener_address told = named != advertised->end() ? *named : bind;
    if (told.is_wildcard()) told.host = host_name();
    into.listeners.push_back({bind, told});
  }
  return {};
}

result<void> read_data_directory(const config& given, settings& into) {
  const bool is_plural = given.text("log.dirs").has_value();
  const std::string_view key = is_plural ? "log.dirs" : "log.dir";
  const auto directories = split_list(given.required(key));
  if (directories.size() != 1) {
    return fail(errc::invalid_config, "{}: exactly one directory is needed, {} are given",
                describe_place(given, key), directories.size());
  }
  into.data_directory = directories[0];
  return {};
}

result<void> read_identity(const config& given, settings& into) {
  into.node_id = static_cast<int32_t>(given.integer("node.id"));
  if (const int64_t older = given.integer("broker.id"); older >= 0) {
    if (given.given("node.id") != nullptr && older != into.node_id) {
      return fail(errc::invalid_config, "{}: broker.id is {} and node.id is {}; give one of them",
                  describe_place(given, "broker.id"), older, into.node_id);
    }
    into.node_id = static_cast<int32_t>(older);
  }
  if (const auto rack = given.text("broker.rack")) into.rack = std::string(*rack);
  if (const auto id = given.text("cluster.id")) into.cluster_id = std::string(*id);
  return {};
}

// A time that groups may set themselves, between bounds.
struct bounded_ms {
  int32_t value = 0;
  int32_t low = 0;
  int32_t high = 0;
};

result<bounded_ms> read_bounded(const config& given, std::string_view what) {
  const std::string key = fmt::format("group.consumer.{}", what);
  const std::string low = fmt::format("group.consumer.min.{}", what);
  const std::string high = fmt::format("group.consumer.max.{}", what);
  const bounded_ms time{static_cast<int32_t>(given.integer(key)), static_cast<int32_t>(given.integer(low)),
                        static_cast<int32_t>(given.integer(high))};
  if (time.low > time.high) {
    return fail(errc::invalid_config, "{} must be greater than or equal to {}", describe_place(given, high),
                low);
  }
  if (time.value < time.low)
    return fail(errc::invalid_config, "{} must be greater than or equal to {}", describe_place(given, key),
                low);
  if (time.value > time.high)
    return fail(errc::invalid_config, "{} must be less than or equal to {}", describe_place(given, key),
                high);
  return time;
}

result<void> read_consumer_times(const config& given, settings& into) {
  const auto session = read_bounded(given, "session.timeout.ms");
  if (!session) return fail(session.error());
  into.consumer_session_timeout_ms = session->value;
  into.consumer_session_timeout_min_ms = session->low;
  into.consumer_session_timeout_max_ms = session->high;
  const auto heartbeat = read_bounded(given, "heartbeat.interval.ms");
  if (!heartbeat) return fail(heartbeat.error());
  into.consumer_heartbeat_interval_ms = heartbeat->value;
  into.consumer_heartbeat_interval_min_ms = heartbeat->low;
  into.consumer_heartbeat_interval_max_ms = heartbeat->high;
  const auto assignment = read_bounded(given, "assignment.interval.ms");
  if (!assignment) return fail(assignment.error());
  into.consumer_assignment_interval_ms = assignment->value;
  into.consumer_assignment_interval_min_ms = assignment->low;
  into.consumer_assignment_interval_max_ms = assignment->high;
  return {};
}

// Relative to the data directory.
std::string inside_data(std::string_view path, const settings& s) {
  return path.starts_with('/') ? std::string(path) : fmt::format("{}/{}", s.data_directory, path);
}

uint32_t shard_count(int64_t asked) {
  if (asked > 0) return static_cast<uint32_t>(asked);
  const unsigned cores = std::thread::hardware_concurrency();
  return std::clamp<uint32_t>(cores > 1 ? cores - 1 : 1, 1, limits::shards_max);
}

}  // namespace

result<settings> make_settings(const config& given) {
  settings s;
  MR_TRY(read_listeners(given, s));
  MR_TRY(read_data_directory(given, s));
  MR_TRY(read_identity(given, s));
  const auto int32 = [&given](std::string_view key) { return static_cast<int32_t>(given.integer(key)); };

  s.shards = shard_count(given.integer("shards"));
  s.io_backend = given.required("io.backend");
  s.shutdown_timeout_ms = given.integer("shutdown.timeout.ms");
  if (const std::string_view path = given.required("admin.socket"); !path.empty())
    s.admin_socket = inside_data(path, s);
  s.is_admin_socket_given = given.given("admin.socket") != nullptr;
  s.processor_directory = inside_data(given.required("processor.directory"), s);
  s.processor_load_timeout_ms = int32("processor.load.timeout.ms");
  s.cache_bytes = given.integer("storage.cache.bytes");
  s.wal_file_bytes = given.integer("storage.wal.file.bytes");
  s.commit_delay_max_us = given.integer("commit.delay.max.us");
  s.direct_io = given.boolean("storage.direct");
  s.scrub_bytes_per_second = given.integer("storage.scrub.bytes.per.second");
  s.retention_check_ms = given.integer("log.retention.check.interval.ms");
  s.compacts = given.boolean("log.cleaner.enable");
  s.compaction_interval_ms = given.integer("log.cleaner.backoff.ms");
  s.compaction_map_bytes = given.integer("log.cleaner.dedupe.buffer.size");
  s.compaction_map_load = to_number(given.required("log.cleaner.io.buffer.load.factor"));
  s.compaction_bytes_per_second = to_number(given.required("log.cleaner.io.max.bytes.per.second"));
  s.processor_hold_bytes_max = given.integer("processor.hold.max.bytes");
  s.processor_hold_ms_max = given.integer("processor.hold.max.ms");

  s.request_bytes_max = int32("socket.request.max.bytes");
  s.listen_backlog = int32("socket.listen.backlog.size");
  s.idle_timeout_ms = given.integer("connections.max.idle.ms");
  s.stall_timeout_ms = given.integer("connections.stall.timeout.ms");
  s.connections_max = int32("max.connections");
  s.connections_per_address_max = int32("max.connections.per.ip");
  s.produce_inflight_max = int32("connection.inflight.max");
  s.queued_request_bytes = given.integer("queued.max.request.bytes");
  if (s.queued_request_bytes < 0) s.queued_request_bytes = 256 * 1024 * 1024;
  s.queued_response_bytes = given.integer("queued.max.response.bytes");
  s.fetch_bytes_max = int32("fetch.max.bytes");
  s.fetch_sessions_max = int32("max.incremental.fetch.session.cache.slots");
  s.partitions_per_answer_max = int32("max.request.partition.size.limit");

  s.auto_create_topics = given.boolean("auto.create.topics.enable");
  s.delete_topics = given.boolean("delete.topic.enable");
  s.default_partitions = int32("num.partitions");
  s.producer_id_expiration_ms = given.integer("producer.id.expiration.ms");

  s.offsets_partitions = int32("offsets.topic.num.partitions");
  s.offsets_segment_bytes = given.integer("offsets.topic.segment.bytes");
  s.offsets_retention_ms = given.integer("offsets.retention.minutes") * 60'000;
  s.offsets_retention_check_ms = given.integer("offsets.retention.check.interval.ms");
  s.offset_metadata_bytes_max = int32("offset.metadata.max.bytes");
  s.group_initial_rebalance_delay_ms = given.integer("group.initial.rebalance.delay.ms");
  s.group_session_timeout_min_ms = given.integer("group.min.session.timeout.ms");
  s.group_session_timeout_max_ms = given.integer("group.max.session.timeout.ms");
  s.group_members_max = int32("group.max.size");
  MR_TRY(read_consumer_times(given, s));
  s.consumer_members_max = int32("group.consumer.max.size");
  for (const std::string_view name : split_list(given.required("group.consumer.assignors"))) {
    s.consumer_assignors.emplace_back(name);
  }
  if (s.consumer_assignors.empty()) {
    return fail(errc::invalid_config, "{}: at least one is needed",
                describe_place(given, "group.consumer.assignors"));
  }
  const std::string_view migration = given.required("group.consumer.migration.policy");
  s.may_upgrade_groups = migration == "upgrade" || migration == "bidirectional";
  s.may_downgrade_groups = migration == "downgrade" || migration == "bidirectional";
  return s;
}

}  // namespace millrace::broker
