#include "tests/perf/groups/member.h"

#include <arpa/inet.h>
#include <cerrno>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdexcept>
#include <sys/socket.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/errc.h"
#include "protocol/generated/consumer_protocol_assignment.h"
#include "protocol/generated/consumer_protocol_subscription.h"
#include "protocol/generated/find_coordinator_request.h"
#include "protocol/generated/find_coordinator_response.h"
#include "protocol/generated/heartbeat_request.h"
#include "protocol/generated/heartbeat_response.h"
#include "protocol/generated/join_group_request.h"
#include "protocol/generated/offset_commit_request.h"
#include "protocol/generated/offset_commit_response.h"
#include "protocol/generated/sync_group_request.h"
#include "protocol/generated/sync_group_response.h"
#include "protocol/header.h"
#include "tools/bench/clock.h"

namespace millrace::perf {

namespace {

constexpr int16_t join_version = 5, sync_version = 3, heartbeat_version = 3, commit_version = 7,
                  find_version = 2;

// As the consumers' own protocol is written: a version, then the struct.
template <class Data>
std::vector<std::byte> versioned(const Data& data) {
  protocol::writer out(64);
  out.put(int16_t{0});
  data.encode(out, 0);
  const slice flat = std::move(out).finish().flatten();
  return {flat.data(), flat.data() + flat.size()};
}

template <class Response>
Response decode(protocol::reader& in, int16_t version) {
  if (!protocol::decode_response_header(in, Response::api, version))
    throw std::runtime_error("an answer without a header");
  auto answer = Response::decode(in, version);
  if (!answer) throw std::runtime_error("an answer that cannot be read: " + answer.error().message);
  return std::move(*answer);
}

}  // namespace

member::~member() {
  if (fd_ >= 0) close(fd_);
}

void member::connect() {
  fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(place_.port);
  inet_pton(AF_INET, place_.address.c_str(), &to.sin_addr);
  if (fd_ < 0 || ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
    throw std::runtime_error(fmt::format("cannot connect: {}", strerror(errno)));
  }
  const int one = 1;
  setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
  fcntl(fd_, F_SETFL, O_NONBLOCK);
}

template <class Request>
void member::send(const Request& request, int16_t version, doing what) {
  const slice bytes = protocol::encode_request(request, version, ++correlation_id_, "bench").flatten();
  size_t sent = 0;
  while (sent < bytes.size()) {
    const ssize_t n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (n > 0) {
      sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {  // a leader's assignment may be larger than the socket takes at once
      pollfd wait{.fd = fd_, .events = POLLOUT, .revents = 0};
      poll(&wait, 1, 1000);
    } else if (errno != EINTR) {
      throw std::runtime_error("the broker closed a connection");
    }
  }
  doing_ = what;
  sent_ns_ = tools::now_ns();
}

void member::join() {
  is_stable_ = false;
  protocol::consumer_protocol_subscription subscription;
  subscription.topics.push_back(place_.topic);
  const auto metadata = versioned(subscription);
  protocol::join_group_request request;
  request.group_id = group_;
  request.session_timeout_ms = place_.session_timeout_ms;
  request.rebalance_timeout_ms = place_.session_timeout_ms;
  request.member_id = id_;
  request.protocol_type = "consumer";
  request.protocols.emplace_back();
  request.protocols.back().name = "range";
  request.protocols.back().metadata = metadata;
  send(request, join_version, doing::joining);
}

void member::sync(const protocol::join_group_response* as_leader) {
  protocol::sync_group_request request;
  request.group_id = group_;
  request.generation_id = generation_;
  request.member_id = id_;
  std::vector<std::vector<std::byte>> assignments;
  if (as_leader != nullptr) {
    for (size_t i = 0; i < as_leader->members.size(); ++i) {
      protocol::consumer_protocol_assignment given;
      if (i < static_cast<size_t>(place_.partitions)) {
        auto& topic = given.assigned_partitions.emplace_back();
        topic.topic = place_.topic;
        topic.partitions.push_back(static_cast<int32_t>(i));
      }
      assignments.push_back(versioned(given));
    }
    for (size_t i = 0; i < assignments.size(); ++i) {
      request.assignments.emplace_back();
      request.assignments.back().member_id = as_leader->members[i].member_id;
      request.assignments.back().assignment = assignments[i];
    }
  }
  send(request, sync_version, doing::syncing);
}

void member::find_coordinator() {
  protocol::find_coordinator_request request;
  request.key = group_;
  send(request, find_version, doing::finding);
}

void member::beat() {
  protocol::heartbeat_request request;
  request.group_id = group_;
  request.generation_id = generation_;
  request.member_id = id_;
  send(request, heartbeat_version, doing::beating);
}

void member::commit() {
  protocol::offset_commit_request request;
  request.group_id = group_;
  request.generation_id_or_member_epoch = generation_;
  request.member_id = id_;
  auto& topic = request.topics.emplace_back();
  topic.name = place_.topic;
  auto& partition = topic.partitions.emplace_back();
  partition.partition_index = partition_;
  partition.committed_offset = static_cast<int64_t>(commits_);
  send(request, commit_version, doing::committing);
}

void member::on_readable() {
  std::byte chunk[64 * 1024];
  while (true) {
    const ssize_t n = recv(fd_, chunk, sizeof(chunk), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) break;
    if (n <= 0) throw std::runtime_error("the broker closed a connection");
    received_.insert(received_.end(), chunk, chunk + n);
    if (static_cast<size_t>(n) < sizeof(chunk)) break;
  }
  while (received_.size() >= 4) {
    const auto size = static_cast<size_t>(load_be<int32_t>(received_.data()));
    if (received_.size() < 4 + size) return;
    const buffer body = buffer::allocate(size);
    std::copy_n(received_.begin() + 4, size, body.data());
    received_.erase(received_.begin(), received_.begin() + static_cast<ptrdiff_t>(4 + size));
    on_answer(slice(body, 0, size));
  }
}

void member::on_answer(const slice& bytes) {
  protocol::reader in(bytes);
  switch (doing_) {
    case doing::finding:
      decode<protocol::find_coordinator_response>(in, find_version);
      join();
      break;
    case doing::joining:
      on_join(decode<protocol::join_group_response>(in, join_version));
      break;
    case doing::syncing: {
      const auto answer = decode<protocol::sync_group_response>(in, sync_version);
      if (answer.error_code == 0) {
        is_stable_ = true;
        stable_since_ns_ = tools::now_ns();
      }
      on_state(answer.error_code, "SyncGroup");
      break;
    }
    case doing::beating:
      on_state(decode<protocol::heartbeat_response>(in, heartbeat_version).error_code, "Heartbeat");
      break;
    case doing::committing: {
      const auto answer = decode<protocol::offset_commit_response>(in, commit_version);
      if (answer.topics.size() != 1 || answer.topics[0].partitions.size() != 1) {
        throw std::runtime_error("a commit without an answer");
      }
      const int16_t code = answer.topics[0].partitions[0].error_code;
      if (code == 0) {
        ++commits_;
        commit_ns_.push_back(tools::now_ns() - sent_ns_);
      }
      on_state(code, "OffsetCommit");
      break;
    }
    case doing::nothing:
      throw std::runtime_error("an answer that was not asked for");
  }
}

void member::on_join(const protocol::join_group_response& answer) {
  if (answer.error_code == static_cast<int16_t>(errc::member_id_required)) {
    id_ = answer.member_id;
    return join();
  }
  if (answer.error_code != 0) return on_state(answer.error_code, "JoinGroup");
  id_ = answer.member_id;
  generation_ = answer.generation_id;
  sync(answer.leader == id_ ? &answer : nullptr);
}

void member::on_state(int16_t code, const char* what) {
  doing_ = doing::nothing;
  switch (static_cast<errc>(code)) {
    case errc::none:
      return;
    case errc::rebalance_in_progress:
      return join();
    case errc::unknown_member_id:
    case errc::illegal_generation:
      id_.clear();
      return join();
    case errc::coordinator_load_in_progress:
    case errc::coordinator_not_available:
    case errc::not_coordinator:
      is_stable_ = false;
      return find_coordinator();
    default:
      throw std::runtime_error(fmt::format("{}: {}", what, name_of(static_cast<errc>(code))));
  }
}

}  // namespace millrace::perf
