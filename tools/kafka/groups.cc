#include "tools/kafka/groups.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>

#include "protocol/generated/consumer_group_describe_request.h"
#include "protocol/generated/consumer_group_describe_response.h"
#include "protocol/generated/describe_groups_request.h"
#include "protocol/generated/describe_groups_response.h"
#include "protocol/generated/find_coordinator_request.h"
#include "protocol/generated/find_coordinator_response.h"
#include "protocol/generated/list_groups_request.h"
#include "protocol/generated/list_groups_response.h"
#include "tools/kafka/admin.h"
#include "tools/kafka/brokers.h"
#include "tools/kafka/errors.h"
#include "tools/kafka/wire.h"
#include "tools/text/suggest.h"

namespace millrace::tools {

namespace {

bool is_not_yet(int16_t code) {
  const auto own = static_cast<errc>(code);
  return own == errc::coordinator_not_available || own == errc::coordinator_load_in_progress ||
         own == errc::not_coordinator;
}

// What the group's coordinator says about it: 0, "not yet" or another error.
result<int16_t> ask_coordinator(handle& client, wire& broker, const std::string& group) {
  protocol::find_coordinator_request find;
  find.key = group;
  const auto found = broker.ask<protocol::find_coordinator_response>(find, 3);
  if (!found) return fail(found.error());
  if (found->error_code != 0) return found->error_code;
  auto coordinator = wire::open(client.to(), found->host, found->port);
  if (!coordinator) return fail(coordinator.error());
  if (!coordinator->can(protocol::api_key::describe_groups, 4)) return int16_t{0};
  protocol::describe_groups_request describe;
  describe.groups.push_back(group);
  const auto described = coordinator->ask<protocol::describe_groups_response>(describe, 4);
  if (!described) return fail(described.error());
  return described->groups.empty() ? int16_t{0} : described->groups.front().error_code;
}

// A cluster makes its coordinators when they are first asked for. librdkafka 2.0 crashes where the answer to
// that is "not yet", so it is waited for here, wherever a connection of our own can be made.
result<void> await_coordinator(handle& client, const std::string& group) {
  const auto addresses = broker_addresses(client);
  if (!addresses) return fail(addresses.error());
  if (addresses->empty()) return {};
  auto broker = wire::open(client.to(), addresses->front().host, addresses->front().port);
  if (!broker || !broker->can(protocol::api_key::find_coordinator, 3)) return {};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(client.timeout_ms());
  while (std::chrono::steady_clock::now() < deadline) {
    const auto code = ask_coordinator(client, *broker, group);
    if (!code) return fail(code.error());
    if (!is_not_yet(*code)) return {};
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  return fail(errc::request_timed_out, "the cluster has no coordinator for group '{}' yet", group);
}

// With types, as librdkafka 2.0 cannot ask.
result<std::vector<group_listing>> list_directly(handle& client) {
  const auto addresses = broker_addresses(client);
  if (!addresses) return fail(addresses.error());
  std::vector<group_listing> groups;
  for (const broker_address& at : *addresses) {
    auto broker = wire::open(client.to(), at.host, at.port);
    if (!broker) return fail(broker.error());
    if (!broker->can(protocol::api_key::list_groups, 5)) {
      return fail(errc::unsupported_version, "no types before version 5");
    }
    const auto answer = broker->ask<protocol::list_groups_response>(protocol::list_groups_request{}, 5);
    if (!answer) return fail(answer.error());
    if (answer->error_code != 0) {
      return fail(broker_error(static_cast<rd_kafka_resp_err_t>(answer->error_code), "list groups"));
    }
    for (const auto& g : answer->groups) {
      std::string type = g.group_type;
      std::ranges::transform(type, type.begin(), [](unsigned char c) { return std::tolower(c); });
      groups.push_back({g.group_id, std::move(type), g.group_state, g.protocol_type});
    }
  }
  return groups;
}

result<std::vector<group_listing>> list_through_librdkafka(handle& client) {
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  rd_kafka_ListConsumerGroups(client.get(), options.get(), answers.get());
  const auto event = await_answer(client, answers.get(), "list groups");
  if (!event) return fail(event.error());
  const auto* answer = rd_kafka_event_ListConsumerGroups_result(event->get());
  size_t count = 0;
  const rd_kafka_error_t** errors = rd_kafka_ListConsumerGroups_result_errors(answer, &count);
  if (count > 0) {
    return fail(
        broker_error(rd_kafka_error_code(errors[0]), "list groups", rd_kafka_error_string(errors[0])));
  }
  const rd_kafka_ConsumerGroupListing_t** found = rd_kafka_ListConsumerGroups_result_valid(answer, &count);
  std::vector<group_listing> groups;
  for (size_t i = 0; i < count; ++i) {
    groups.push_back(
        {.id = rd_kafka_ConsumerGroupListing_group_id(found[i]),
         .type = {},
         .state = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupListing_state(found[i])),
         .protocol_type =
             rd_kafka_ConsumerGroupListing_is_simple_consumer_group(found[i]) != 0 ? "" : "consumer"});
  }
  return groups;
}

group_description to_description(const rd_kafka_ConsumerGroupDescription_t* from) {
  group_description group{
      .id = rd_kafka_ConsumerGroupDescription_group_id(from),
      .type = "classic",
      .state = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(from))};
  if (const char* name = rd_kafka_ConsumerGroupDescription_partition_assignor(from)) group.assignor = name;
  if (const rd_kafka_Node_t* node = rd_kafka_ConsumerGroupDescription_coordinator(from)) {
    group.coordinator = rd_kafka_Node_id(node);
    group.coordinator_address = fmt::format("{}:{}", rd_kafka_Node_host(node), rd_kafka_Node_port(node));
  }
  for (size_t i = 0; i < rd_kafka_ConsumerGroupDescription_member_count(from); ++i) {
    const rd_kafka_MemberDescription_t* m = rd_kafka_ConsumerGroupDescription_member(from, i);
    group_member member{.id = rd_kafka_MemberDescription_consumer_id(m),
                        .client_id = rd_kafka_MemberDescription_client_id(m),
                        .host = rd_kafka_MemberDescription_host(m)};
    if (const char* instance = rd_kafka_MemberDescription_group_instance_id(m)) member.instance_id = instance;
    const rd_kafka_MemberAssignment_t* assignment = rd_kafka_MemberDescription_assignment(m);
    const auto* held = assignment ? rd_kafka_MemberAssignment_partitions(assignment) : nullptr;
    for (int p = 0; held != nullptr && p < held->cnt; ++p) {
      member.assigned.push_back({held->elems[p].topic, held->elems[p].partition});
    }
    group.members.push_back(std::move(member));
  }
  return group;
}

// The members of a group of the consumer protocol, which DescribeGroups does not show.
result<void> add_consumer_protocol(handle& client, group_description& group) {
  const size_t colon = group.coordinator_address.rfind(':');
  auto broker = wire::open(client.to(), group.coordinator_address.substr(0, colon),
                           atoi(group.coordinator_address.c_str() + colon + 1));
  if (!broker) return fail(broker.error());
  if (!broker->can(protocol::api_key::consumer_group_describe, 0)) {
    return fail(errc::unsupported_version, "no such request");
  }
  protocol::consumer_group_describe_request request;
  request.group_ids.push_back(group.id);
  const auto answer = broker->ask<protocol::consumer_group_describe_response>(request, 0);
  if (!answer) return fail(answer.error());
  if (answer->groups.size() != 1) return fail(errc::unknown_server_error, "the answer is empty");
  const auto& found = answer->groups.front();
  if (found.error_code != 0) {
    return fail(broker_error(static_cast<rd_kafka_resp_err_t>(found.error_code),
                             fmt::format("describe group '{}'", group.id), found.error_message.value_or("")));
  }
  group.type = "consumer";
  group.state = found.group_state;
  group.assignor = found.assignor_name;
  group.members.clear();
  for (const auto& m : found.members) {
    group_member member{.id = m.member_id, .client_id = m.client_id, .host = m.client_host};
    member.instance_id = m.instance_id;
    member.epoch = m.member_epoch;
    for (const auto& topic : m.assignment.topic_partitions) {
      for (const int32_t p : topic.partitions) member.assigned.push_back({topic.topic_name, p});
    }
    group.members.push_back(std::move(member));
  }
  return {};
}

error unknown_group(const std::string& id, const std::vector<group_listing>& all) {
  std::vector<std::string> ids;
  for (const group_listing& group : all) ids.push_back(group.id);
  return error{errc::group_id_not_found, fmt::format("there is no group '{}'{}", id, did_you_mean(id, ids))};
}

partition_list_ptr list_of(const std::vector<topic_partition>& where) {
  partition_list_ptr list(rd_kafka_topic_partition_list_new(static_cast<int>(where.size())));
  for (const auto& [topic, partition] : where) {
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition);
  }
  return list;
}

// One result for each partition asked for, in that order, out of a group's answer.
result<std::vector<result<void>>> partition_results(const rd_kafka_group_result_t** groups, size_t count,
                                                    const std::vector<topic_partition>& asked,
                                                    std::string_view what) {
  if (count != 1) return fail(errc::unknown_server_error, "cannot {}: the answer is empty", what);
  if (const rd_kafka_error_t* wrong = rd_kafka_group_result_error(groups[0])) {
    return fail(broker_error(rd_kafka_error_code(wrong), what, rd_kafka_error_string(wrong)));
  }
  const rd_kafka_topic_partition_list_t* found = rd_kafka_group_result_partitions(groups[0]);
  std::vector<result<void>> results;
  for (const auto& [topic, partition] : asked) {
    const auto* one = rd_kafka_topic_partition_list_find(const_cast<rd_kafka_topic_partition_list_t*>(found),
                                                         topic.c_str(), partition);
    const rd_kafka_resp_err_t code = one ? one->err : RD_KAFKA_RESP_ERR_UNKNOWN;
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      results.emplace_back();
    } else {
      results.push_back(fail(broker_error(code, fmt::format("{} of {} [{}]", what, topic, partition))));
    }
  }
  return results;
}

}  // namespace

result<std::vector<group_listing>> list_groups(handle& client) {
  MR_TRY(client.reach());
  auto groups = list_directly(client);
  if (!groups) groups = list_through_librdkafka(client);
  if (groups) std::ranges::sort(*groups, {}, &group_listing::id);
  return groups;
}

result<group_description> describe_group(handle& client, const std::string& id) {
  MR_TRY(client.reach());
  const auto all = list_groups(client);
  if (!all) return fail(all.error());
  const auto listed = std::ranges::find(*all, id, &group_listing::id);
  if (listed == all->end()) return fail(unknown_group(id, *all));

  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  const char* asked[] = {id.c_str()};
  rd_kafka_DescribeConsumerGroups(client.get(), asked, 1, options.get(), answers.get());
  const std::string what = fmt::format("describe group '{}'", id);
  const auto event = await_answer(client, answers.get(), what);
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_ConsumerGroupDescription_t** found = rd_kafka_DescribeConsumerGroups_result_groups(
      rd_kafka_event_DescribeConsumerGroups_result(event->get()), &count);
  if (count != 1) return fail(errc::unknown_server_error, "cannot {}: the answer is empty", what);
  if (const rd_kafka_error_t* wrong = rd_kafka_ConsumerGroupDescription_error(found[0])) {
    return fail(broker_error(rd_kafka_error_code(wrong), what, rd_kafka_error_string(wrong)));
  }
  group_description group = to_description(found[0]);
  const bool is_new = listed->type == "consumer" || (listed->type.empty() && group.state == "Dead");
  if (is_new && !add_consumer_protocol(client, group)) {
    group.type = "consumer";
    group.state = listed->state;
    group.hides_members = true;
  } else if (!is_new && !listed->type.empty()) {
    group.type = listed->type;
  }
  for (group_member& member : group.members) std::ranges::sort(member.assigned);
  std::ranges::sort(group.members, {}, [](const group_member& m) { return std::tie(m.client_id, m.id); });
  return group;
}

result<std::vector<committed_offset>> committed_offsets(handle& client, const std::string& group) {
  MR_TRY(await_coordinator(client, group));
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  const list_offsets_ptr asked(rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), nullptr));
  rd_kafka_ListConsumerGroupOffsets_t* all[] = {asked.get()};
  rd_kafka_ListConsumerGroupOffsets(client.get(), all, 1, options.get(), answers.get());
  const std::string what = fmt::format("read the offsets of group '{}'", group);
  const auto event = await_answer(client, answers.get(), what);
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_group_result_t** groups = rd_kafka_ListConsumerGroupOffsets_result_groups(
      rd_kafka_event_ListConsumerGroupOffsets_result(event->get()), &count);
  if (count != 1) return fail(errc::unknown_server_error, "cannot {}: the answer is empty", what);
  if (const rd_kafka_error_t* wrong = rd_kafka_group_result_error(groups[0])) {
    return fail(broker_error(rd_kafka_error_code(wrong), what, rd_kafka_error_string(wrong)));
  }
  std::vector<committed_offset> offsets;
  const rd_kafka_topic_partition_list_t* found = rd_kafka_group_result_partitions(groups[0]);
  for (int i = 0; found != nullptr && i < found->cnt; ++i) {
    const rd_kafka_topic_partition_t& p = found->elems[i];
    if (p.offset < 0) continue;
    offsets.push_back({.where = {p.topic, p.partition},
                       .offset = p.offset,
                       .metadata = std::string(static_cast<const char*>(p.metadata), p.metadata_size)});
  }
  std::ranges::sort(offsets, {}, &committed_offset::where);
  return offsets;
}

result<std::vector<result<void>>> alter_offsets(handle& client, const std::string& group,
                                                const std::vector<committed_offset>& to) {
  MR_TRY(await_coordinator(client, group));
  std::vector<topic_partition> where;
  for (const committed_offset& one : to) where.push_back(one.where);
  const partition_list_ptr list = list_of(where);
  for (size_t i = 0; i < to.size(); ++i) list->elems[i].offset = to[i].offset;
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  const alter_offsets_ptr asked(rd_kafka_AlterConsumerGroupOffsets_new(group.c_str(), list.get()));
  rd_kafka_AlterConsumerGroupOffsets_t* all[] = {asked.get()};
  rd_kafka_AlterConsumerGroupOffsets(client.get(), all, 1, options.get(), answers.get());
  const std::string what = fmt::format("set offsets of group '{}'", group);
  const auto event = await_answer(client, answers.get(), what);
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_group_result_t** groups = rd_kafka_AlterConsumerGroupOffsets_result_groups(
      rd_kafka_event_AlterConsumerGroupOffsets_result(event->get()), &count);
  return partition_results(groups, count, where, what);
}

result<std::vector<result<void>>> delete_offsets(handle& client, const std::string& group,
                                                 const std::vector<topic_partition>& where) {
  MR_TRY(await_coordinator(client, group));
  const partition_list_ptr list = list_of(where);
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  const delete_offsets_ptr asked(rd_kafka_DeleteConsumerGroupOffsets_new(group.c_str(), list.get()));
  rd_kafka_DeleteConsumerGroupOffsets_t* all[] = {asked.get()};
  rd_kafka_DeleteConsumerGroupOffsets(client.get(), all, 1, options.get(), answers.get());
  const std::string what = fmt::format("delete offsets of group '{}'", group);
  const auto event = await_answer(client, answers.get(), what);
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_group_result_t** groups = rd_kafka_DeleteConsumerGroupOffsets_result_groups(
      rd_kafka_event_DeleteConsumerGroupOffsets_result(event->get()), &count);
  return partition_results(groups, count, where, what);
}

result<std::vector<result<void>>> delete_groups(handle& client, const std::vector<std::string>& ids) {
  for (const std::string& id : ids) MR_TRY(await_coordinator(client, id));
  std::vector<delete_group_ptr> owned;
  std::vector<rd_kafka_DeleteGroup_t*> asked;
  for (const std::string& id : ids) {
    owned.emplace_back(rd_kafka_DeleteGroup_new(id.c_str()));
    asked.push_back(owned.back().get());
  }
  const queue_ptr answers(rd_kafka_queue_new(client.get()));
  const admin_options_ptr options = admin_options(client);
  rd_kafka_DeleteGroups(client.get(), asked.data(), asked.size(), options.get(), answers.get());
  const auto event = await_answer(client, answers.get(), "delete groups");
  if (!event) return fail(event.error());
  size_t count = 0;
  const rd_kafka_group_result_t** gone =
      rd_kafka_DeleteGroups_result_groups(rd_kafka_event_DeleteGroups_result(event->get()), &count);
  // librdkafka answers in an order of its own.
  std::map<std::string, const rd_kafka_error_t*> errors;
  for (size_t i = 0; i < count; ++i) {
    errors[rd_kafka_group_result_name(gone[i])] = rd_kafka_group_result_error(gone[i]);
  }
  std::vector<result<void>> results;
  for (const std::string& id : ids) {
    const rd_kafka_error_t* wrong = errors[id];
    if (wrong == nullptr) {
      results.emplace_back();
      continue;
    }
    results.push_back(fail(broker_error(rd_kafka_error_code(wrong), fmt::format("delete group '{}'", id),
                                        rd_kafka_error_string(wrong))));
  }
  return results;
}

}  // namespace millrace::tools
