#include "tools/kafka/handle.h"

#include <chrono>
#include <optional>
#include <sstream>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "tools/kafka/errors.h"
#include "tools/text/number.h"
#include "tools/text/suggest.h"

namespace millrace::tools {

namespace {

using steady = std::chrono::steady_clock;

// A name such as localhost has several addresses and librdkafka tries one after the other with a growing
// pause; after this long it has tried each at least once.
constexpr auto refused_patience = std::chrono::milliseconds(1200);

result<void> set_property(rd_kafka_conf_t* conf, const std::string& key, const std::string& value) {
  char reason[512];
  switch (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), reason, sizeof(reason))) {
    case RD_KAFKA_CONF_OK:
      return {};
    case RD_KAFKA_CONF_UNKNOWN:
      return fail(errc::invalid_argument, "-X: there is no property '{}'{}", key,
                  did_you_mean(key, known_properties()));
    default:
      return fail(errc::invalid_argument, "-X {}: {}", key, reason);
  }
}

result<property> split_property(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == 0 || equals == std::string::npos) {
    return fail(errc::invalid_argument, "-X wants key=value, not '{}'", text);
  }
  return property{text.substr(0, equals), text.substr(equals + 1)};
}

// What speaks another protocol sends bytes that are no length of an answer, or hangs up.
std::optional<std::string> other_protocol(std::string_view reason) {
  if (reason.find("Disconnected while requesting ApiVersion") != std::string_view::npos)
    return "what answers there hangs up when it is greeted in plain text: it may want TLS "
           "(-X security.protocol=ssl or sasl_ssl), or be no Kafka broker";
  constexpr std::string_view mark = "Invalid response size ";
  const size_t at = reason.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = reason.substr(at + mark.size());
  constexpr int64_t http = 0x48545450;  // "HTTP"
  return to_number(rest.substr(0, rest.find(' '))) == http ? "an HTTP server answers there, no Kafka broker"
                                                           : "what answers there is no Kafka broker";
}

// librdkafka prefixes reasons with thread and broker names and suffixes timings; a person wants the middle.
std::string plain_reason(std::string_view reason) {
  const size_t connect = reason.find("Connect to ");
  if (connect != std::string_view::npos) {
    const size_t failed = reason.find(" failed: ", connect);
    const size_t timing = reason.find(" (after", connect);
    if (failed != std::string_view::npos) return std::string(reason.substr(failed + 9, timing - failed - 9));
  }
  const size_t colon = reason.find(": ");
  return std::string(colon == std::string_view::npos ? reason : reason.substr(colon + 2));
}

}  // namespace

std::vector<std::string> known_properties() {
  // The only list librdkafka gives of all of them is its help text: "name | C/P | range | …" a line.
  char* text = nullptr;
  size_t size = 0;
  FILE* memory = open_memstream(&text, &size);
  MR_ASSERT(memory != nullptr);
  rd_kafka_conf_properties_show(memory);
  fclose(memory);
  std::vector<std::string> names;
  std::istringstream lines{std::string(text, size)};
  free(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t bar = line.find('|');
    const std::string name = line.substr(0, line.find(' '));
    if (bar != std::string::npos &&
        name.find_first_not_of("abcdefghijklmnopqrstuvwxyz._") == std::string::npos) {
      names.push_back(name);
    }
  }
  return names;
}

result<std::unique_ptr<handle>> handle::open(rd_kafka_type_t type, const connection& to,
                                             const std::vector<property>& defaults, callbacks c) {
  std::unique_ptr<handle> self(new handle(to, std::move(c)));
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  if (auto configured = self->configure(conf, defaults); !configured) {
    rd_kafka_conf_destroy(conf);
    return fail(configured.error());
  }
  char reason[512];
  self->client_ = rd_kafka_new(type, conf, reason, sizeof(reason));
  if (self->client_ == nullptr) {
    rd_kafka_conf_destroy(conf);
    return fail(errc::invalid_argument, "librdkafka refuses its configuration: {}", reason);
  }
  return self;
}

result<void> handle::configure(rd_kafka_conf_t* conf, const std::vector<property>& defaults) {
  MR_TRY(set_property(conf, "bootstrap.servers", connection_.bootstrap));
  MR_TRY(set_property(conf, "client.id", "millrace"));
  // The first answer should not wait for a back-off meant for servers.
  MR_TRY(set_property(conf, "reconnect.backoff.ms", "50"));
  for (const auto& [key, value] : defaults) MR_TRY(set_property(conf, key, value));
  bool wants_debug = false;
  for (const std::string& text : connection_.properties) {
    const result<property> entry = split_property(text);
    if (!entry) return fail(entry.error());
    MR_TRY(set_property(conf, entry->first, entry->second));
    wants_debug |= entry->first == "debug";
  }
  rd_kafka_conf_set_opaque(conf, this);
  rd_kafka_conf_set_error_cb(conf, on_error);
  // Its log lines repeat what we report ourselves, unless somebody debugs.
  rd_kafka_conf_set_log_cb(conf, wants_debug ? rd_kafka_log_print : on_log);
  if (callbacks_.on_delivery) {
    rd_kafka_conf_set_dr_msg_cb(conf, [](rd_kafka_t*, const rd_kafka_message_t* message, void* self) {
      static_cast<handle*>(self)->callbacks_.on_delivery(*message);
    });
  }
  if (callbacks_.on_rebalance) {
    rd_kafka_conf_set_rebalance_cb(
        conf, [](rd_kafka_t*, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions,
                 void* self) { static_cast<handle*>(self)->callbacks_.on_rebalance(code, partitions); });
  }
  return {};
}

handle::~handle() {
  if (client_ != nullptr) rd_kafka_destroy(client_);
}

void handle::on_log(const rd_kafka_t*, int, const char*, const char*) {}

void handle::on_error(rd_kafka_t*, int code, const char* reason, void* opaque) {
  auto* self = static_cast<handle*>(opaque);
  const std::lock_guard lock(self->mutex_);
  switch (static_cast<rd_kafka_resp_err_t>(code)) {
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
      self->all_brokers_down_ = true;
      return;  // its reason only counts brokers; the one before says why
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE:
      self->lasting_error_ = static_cast<rd_kafka_resp_err_t>(code);
      break;
    default:
      break;
  }
  if (auto other = other_protocol(reason)) self->other_protocol_ = *std::move(other);
  self->last_reason_ = plain_reason(reason);
}

error handle::unreachable() const {
  const std::lock_guard lock(mutex_);
  if (!other_protocol_.empty()) {
    return error{errc::network_exception,
                 fmt::format("cannot reach a broker at {}: {}", connection_.bootstrap, other_protocol_)};
  }
  const bool was_refused = last_reason_.find("refused") != std::string::npos ||
                           last_reason_.find("resolve") != std::string::npos || last_reason_.empty();
  return error{was_refused ? errc::broker_not_available : errc::network_exception,
               fmt::format("cannot reach a broker at {}: {}", connection_.bootstrap,
                           last_reason_.empty() ? "no answer" : last_reason_)};
}

result<void> handle::check() const {
  const std::lock_guard lock(mutex_);
  if (lasting_error_ == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return fail(broker_error(lasting_error_, "talk to the broker", last_reason_));
}

result<void> handle::reach() {
  const auto start = steady::now();
  const auto deadline = start + std::chrono::milliseconds(timeout_ms());
  while (true) {
    const rd_kafka_metadata_t* metadata = nullptr;
    // No topics asked for: the answer lists the brokers and costs next to nothing.
    const rd_kafka_resp_err_t code = rd_kafka_metadata(client_, 0, nullptr, &metadata, 200);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(metadata);
      return {};
    }
    rd_kafka_poll(client_, 20);
    MR_TRY(check());
    const auto now = steady::now();
    bool all_down = false;
    {
      const std::lock_guard lock(mutex_);
      all_down = all_brokers_down_;
    }
    if ((all_down && now - start > refused_patience) || now > deadline) return fail(unreachable());
  }
}

}  // namespace millrace::tools
