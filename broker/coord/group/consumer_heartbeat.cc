// ConsumerGroupHeartbeat: the one request of the consumer protocol (KIP-848).
//
//   epoch 0    a member joins, or begins again after it was fenced
//   epoch n    it is alive, has reached epoch n; null fields mean that nothing changed
//   epoch -1   it leaves; -2: a static member leaves and will come back
//   v1         the client makes the member id, and may subscribe by regular expression
//
// The answer names an assignment only if the member cannot know it yet.
#include <algorithm>
#include <fmt/format.h>

#include "broker/coord/group/group_machine.h"
#include "broker/coord/group/ids.h"
#include "broker/coord/group/topic_pattern.h"

namespace millrace::broker::coord {
namespace {

using request_type = protocol::consumer_group_heartbeat_request;
using response_type = protocol::consumer_group_heartbeat_response;

constexpr int16_t first_version_with_client_ids = 1;

bool is_blank(const std::optional<std::string_view>& text) {
  return text && text->find_first_not_of(" \t\r\n") == std::string_view::npos;
}
bool is_long(const std::optional<std::string_view>& text) {
  return text && text->size() > id_bytes_max;
}

std::optional<std::string> owned_text(const std::optional<std::string_view>& text) {
  if (!text) return std::nullopt;
  return std::string(*text);
}

std::vector<std::string> sorted_names(const std::vector<std::string_view>& names) {
  std::vector<std::string> out(names.begin(), names.end());
  std::ranges::sort(out);
  const auto rest = std::ranges::unique(out);
  out.erase(rest.begin(), rest.end());
  return out;
}

std::optional<topic_partitions> owned_of(const request_type& request) {
  if (!request.topic_partitions) return std::nullopt;
  topic_partitions owned;
  for (const auto& t : *request.topic_partitions) add_sorted(owned, t.topic_id, t.partitions);
  return owned;
}

// What the member says, on top of what it said before.
consumer_subscription updated(const consumer_subscription& known, const request_type& request,
                              const caller& who) {
  consumer_subscription m = known;
  if (request.instance_id) m.instance_id = owned_text(request.instance_id);
  if (request.rack_id) m.rack_id = owned_text(request.rack_id);
  m.client_id = who.client_id;
  m.client_host = who.client_host;
  if (request.subscribed_topic_names) m.topics = sorted_names(*request.subscribed_topic_names);
  if (request.subscribed_topic_regex) m.pattern = *request.subscribed_topic_regex;
  if (request.rebalance_timeout_ms != -1) m.rebalance_timeout_ms = request.rebalance_timeout_ms;
  if (request.server_assignor) m.assignor = owned_text(request.server_assignor);
  m.classic.reset();
  return m;
}

// Group, epochs, times and what surrounds them.
constexpr size_t fixed_bytes = 4'096;

size_t bytes_of(const request_type& request) {
  size_t bytes = request.group_id.size() + request.member_id.size() +
                 request.subscribed_topic_regex.value_or("").size() +
                 request.instance_id.value_or("").size() + request.rack_id.value_or("").size();
  if (request.subscribed_topic_names) {
    for (const std::string_view name : *request.subscribed_topic_names) bytes += name.size() + 4;
  }
  return bytes;
}

void put_assignment(response_type& response, const topic_partitions& assigned) {
  auto& out = response.assignment.emplace();
  for (const auto& [topic, partitions] : assigned) {
    auto& entry = out.topic_partitions.emplace_back();
    entry.topic_id = topic;
    entry.partitions = partitions;
  }
}

}  // namespace

void group_machine::consumer_heartbeat(const request_type& request, const caller& who, step& s,
                                       reply_to<response_type> reply) {
  heartbeat_result done = beat(request, who, s);
  if (!done) {
    response_type refused;
    refused.error_code = kafka_code(done.error().code);
    refused.error_message = done.error().message;
    done = std::move(refused);
  }
  s.answer(std::move(reply), std::move(done));
}

result<void> group_machine::check_beat(const request_type& request, const caller& who) const {
  const auto invalid = [](std::string_view what) { return fail(errc::invalid_request, "{}", what); };
  const int32_t epoch = request.member_epoch;
  const bool needs_id = who.version >= first_version_with_client_ids || epoch > 0 || epoch == -1;
  if (needs_id && is_blank(request.member_id)) return invalid("MemberId can't be empty.");
  if (is_blank(request.group_id)) return invalid("GroupId can't be empty.");
  if (is_blank(request.instance_id)) return invalid("InstanceId can't be empty.");
  if (is_blank(request.rack_id)) return invalid("RackId can't be empty.");
  if (is_long(request.group_id) || is_long(request.member_id) || is_long(request.instance_id)) {
    return invalid("An id is too long.");
  }
  if (epoch == 0) {
    if (request.rebalance_timeout_ms == -1)
      return invalid("RebalanceTimeoutMs must be provided in first request.");
    if (!request.topic_partitions || !request.topic_partitions->empty()) {
      return invalid("TopicPartitions must be empty when (re-)joining.");
    }
    if (!request.subscribed_topic_names && !request.subscribed_topic_regex) {
      return invalid(
          "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
    }
  } else if (epoch == consumer_member::leaving_static_epoch) {
    if (!request.instance_id) return invalid("InstanceId can't be null.");
  } else if (epoch < consumer_member::leaving_static_epoch) {
    return invalid("MemberEpoch is invalid.");
  }
  if (request.server_assignor &&
      std::ranges::find(config_.assignors, *request.server_assignor) == config_.assignors.end()) {
    return fail(errc::unsupported_assignor, "ServerAssignor {} is not supported. Supported assignors: {}.",
                *request.server_assignor, fmt::join(config_.assignors, ", "));
  }
  if (request.subscribed_topic_regex && !request.subscribed_topic_regex->empty()) {
    const auto compiled = topic_pattern::compile(*request.subscribed_topic_regex);
    if (!compiled) return std::unexpected(compiled.error());
  }
  return {};
}

result<consumer_group*> group_machine::consumer_group_for(const request_type& request, step& s) {
  const std::string group_id(request.group_id);
  if (consumer_group* g = find_consumer(group_id)) return g;
  classic_group* classic = find(group_id);
  if (request.member_epoch != 0) {
    if (classic == nullptr) return fail(errc::group_id_not_found, "Consumer group {} not found.", group_id);
    return fail(errc::group_id_not_found, "Group {} is not a consumer group.", group_id);
  }
  if (classic != nullptr && !classic->is(group_state::empty)) return upgrade(*classic, s);
  if (classic != nullptr) return empty_to_consumer(*classic, s);
  s.emit(epoch_record(group_id, {}));
  return find_consumer(group_id);
}

result<std::string> group_machine::member_for(consumer_group& g, const request_type& request,
                                              const topic_partitions* owned, step& s) {
  const std::string member_id(request.member_id);
  const bool is_joining = request.member_epoch == 0;
  if (!request.instance_id) {
    const consumer_member* m = g.find(member_id);
    if (m == nullptr && !is_joining) {
      return fail(errc::unknown_member_id, "Member {} is not a member of group {}.", member_id, g.id());
    }
    if (m == nullptr) return member_id;
    MR_TRY(check_epoch(*m, request, owned));
    return member_id;
  }
  const consumer_member* holder = g.static_member(*request.instance_id);
  if (!is_joining) {
    if (holder == nullptr)
      return fail(errc::unknown_member_id, "Instance id {} is unknown.", *request.instance_id);
    if (holder->id != member_id) {
      return fail(errc::fenced_instance_id, "Static member {} with instance id {} was fenced by member {}.",
                  member_id, *request.instance_id, holder->id);
    }
    MR_TRY(check_epoch(*holder, request, owned));
    return member_id;
  }
  if (holder == nullptr || (holder->id == member_id && !holder->is_away())) return member_id;
  if (!holder->is_away() && !holder->is_classic()) {
    return fail(
        errc::unreleased_instance_id,
        "Static member {} with instance id {} cannot join the group because the instance id is owned by "
        "{} member.",
        member_id, *request.instance_id, holder->id);
  }
  if (!has_room_to_take_over(g, *holder, s))
    return fail(errc::invalid_request, "The assignment is too large.");
  take_over(g, std::string(holder->id), member_id, 0, s);
  return member_id;
}

// A member may begin again at any time: it shows that it has nothing. An epoch that is one behind is that of
// an answer which was lost, if the member has nothing it should not.
result<void> group_machine::check_epoch(const consumer_member& m, const request_type& request,
                                        const topic_partitions* owned) {
  const int32_t epoch = request.member_epoch;
  if (epoch == 0 || epoch == m.current.epoch) return {};
  if (epoch > m.current.epoch) {
    return fail(errc::fenced_member_epoch,
                "The consumer group member has a greater member epoch ({}) than the one known by the group "
                "coordinator ({}). The member must abandon all its partitions and rejoin.",
                epoch, m.current.epoch);
  }
  const bool was_answer_lost =
      epoch == m.current.previous_epoch && owned != nullptr && is_within(*owned, m.current.assigned);
  if (was_answer_lost) return {};
  return fail(errc::fenced_member_epoch,
              "The consumer group member has a smaller member epoch ({}) than the one known by the group "
              "coordinator ({}). The member must abandon all its partitions and rejoin.",
              epoch, m.current.epoch);
}

group_machine::heartbeat_result group_machine::beat(const request_type& request, const caller& who, step& s) {
  MR_TRY(check_beat(request, who));
  if (request.member_epoch < 0) return leave_consumer(request, s);

  request_type named = request;
  std::string made_id;
  if (named.member_id.empty()) named.member_id = made_id = make_uuid_().to_string();

  const consumer_group* before = find_consumer(named.group_id);
  const size_t members = before != nullptr ? before->members().size() : 0;
  if (members >= static_cast<size_t>(config_.consumer_members_max) &&
      before->find(named.member_id) == nullptr) {
    return fail(errc::group_max_size_reached,
                "The consumer group has reached its maximum capacity of {} members.",
                config_.consumer_members_max);
  }
  // Room for what a member can say, in records and in keys, beside a group that is converted for it.
  if (!s.has_room(8 * bytes_of(named) + fixed_bytes)) {
    return fail(errc::invalid_request, "The subscription is too large.");
  }
  const std::string_view pattern = named.subscribed_topic_regex.value_or("");
  if (before != nullptr && !pattern.empty() && before->patterns().size() >= patterns_max &&
      !before->patterns().contains(pattern)) {
    return fail(errc::invalid_request, "The group has {} regular expressions already.", patterns_max);
  }

  const result<consumer_group*> group = consumer_group_for(named, s);
  if (!group) return std::unexpected(group.error());
  consumer_group& g = **group;
  const std::optional<topic_partitions> owned = owned_of(named);
  const result<std::string> member_id = member_for(g, named, owned ? &*owned : nullptr, s);
  if (!member_id) return std::unexpected(member_id.error());

  const consumer_member* m = g.find(*member_id);
  const topic_partitions had = m != nullptr ? m->current.assigned : topic_partitions{};
  const consumer_subscription wanted =
      updated(m != nullptr ? m->subscription : consumer_subscription{}, named, who);
  refresh(g, *member_id, wanted, owned ? &*owned : nullptr, s);
  consumer_member& now = *g.find(*member_id);
  touch(g, now, s);

  response_type response;
  response.member_id = *member_id;
  response.member_epoch = now.current.epoch;
  response.heartbeat_interval_ms = config_.heartbeat_interval_ms_of(g.id());
  // Partitions that are to be divided soon need a heartbeat that does it.
  if (g.epoch() > g.assignment_epoch()) {
    const int64_t pause_ms = std::max<int64_t>(1, assignment_pause_ms(g, s.now()));
    response.heartbeat_interval_ms =
        static_cast<int32_t>(std::min<int64_t>(response.heartbeat_interval_ms, pause_ms));
  }
  const bool is_full = named.rebalance_timeout_ms != -1 && named.topic_partitions &&
                       (named.subscribed_topic_names || named.subscribed_topic_regex);
  if (named.member_epoch == 0 || is_full || now.current.assigned != had) {
    put_assignment(response, now.current.assigned);
  }
  MR_DCHECK(g.is_consistent());
  return response;
}

group_machine::heartbeat_result group_machine::leave_consumer(const request_type& request, step& s) {
  consumer_group* g = find_consumer(request.group_id);
  if (g == nullptr) {
    if (find(request.group_id) == nullptr)
      return fail(errc::group_id_not_found, "Group {} not found.", request.group_id);
    return fail(errc::group_id_not_found, "Group {} is not a consumer group.", request.group_id);
  }
  consumer_member* m = nullptr;
  if (request.instance_id) {
    m = g->static_member(*request.instance_id);
    if (m == nullptr)
      return fail(errc::unknown_member_id, "Instance id {} is unknown.", *request.instance_id);
    if (m->id != request.member_id) {
      return fail(errc::fenced_instance_id, "Static member {} with instance id {} was fenced by member {}.",
                  request.member_id, *request.instance_id, m->id);
    }
  } else {
    m = g->find(request.member_id);
    if (m == nullptr) {
      return fail(errc::unknown_member_id, "Member {} is not a member of group {}.", request.member_id,
                  request.group_id);
    }
  }
  response_type response;
  response.member_id = m->id;
  response.member_epoch = request.member_epoch;
  if (request.member_epoch == consumer_member::leaving_static_epoch) {
    // Its place is kept until its session ends. What it was to give up it has given up.
    consumer_assignment away = m->current;
    away.previous_epoch = away.epoch;
    away.epoch = consumer_member::leaving_static_epoch;
    away.state = member_state::stable;
    away.revoking.clear();
    s.cancel_timer({static_cast<uint8_t>(timer::revoke), g->id(), m->id});
    s.emit(assignment_record(g->id(), m->id, away));
  } else {
    const std::string member_id = m->id;
    remove_members(*g, {&member_id, 1}, s);
  }
  return response;
}

}  // namespace millrace::broker::coord
