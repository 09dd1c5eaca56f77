// handle: one librdkafka client, configured, watched and closed.
//
// librdkafka retries in the background for ever; a command line must not. The handle keeps the last
// thing that went wrong on a connection, so that reach() can say soon and in one sentence why no
// broker answers. Runs on: one thread; callbacks come from poll() on that thread.
#pragma once

#include <functional>
#include <librdkafka/rdkafka.h>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace millrace::tools {

using property = std::pair<std::string, std::string>;

// Where the cluster is and how to talk to it: the options every online verb shares.
struct connection {
  std::string bootstrap = "localhost:9092";
  std::vector<std::string> properties;  // -X key=value, librdkafka's own names; they win over all defaults
  int timeout_seconds = 10;             // for each answer of the broker
  int timeout_ms() const { return timeout_seconds * 1000; }
};

class handle {
 public:
  struct callbacks {
    // Once for each record produced: acknowledged or given up.
    std::function<void(const rd_kafka_message_t&)> on_delivery;
    // Partitions given to or taken from a group member. Requires: calls rd_kafka_assign or the like.
    std::function<void(rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*)> on_rebalance;
  };

  // `defaults` are the verb's own settings. Fails on a property librdkafka does not know (with the
  // nearest one it does) or a value that it refuses; contacts nobody yet.
  static result<std::unique_ptr<handle>> open(rd_kafka_type_t type, const connection& to,
                                              const std::vector<property>& defaults, callbacks = {});
  ~handle();
  handle(const handle&) = delete;
  handle& operator=(const handle&) = delete;

  rd_kafka_t* get() const noexcept { return client_; }
  int timeout_ms() const noexcept { return connection_.timeout_ms(); }
  const connection& to() const noexcept { return connection_; }

  // Waits until a broker has answered. Fails early when every address refuses.
  result<void> reach();
  // An error that no waiting will cure (authentication, fatal state), if there was one.
  result<void> check() const;

 private:
  handle(connection to, callbacks c) : connection_(std::move(to)), callbacks_(std::move(c)) {}

  static void on_error(rd_kafka_t*, int code, const char* reason, void* self);
  static void on_log(const rd_kafka_t* client, int level, const char* facility, const char* text);
  result<void> configure(rd_kafka_conf_t* conf, const std::vector<property>& defaults);
  error unreachable() const;

  connection connection_;
  callbacks callbacks_;
  rd_kafka_t* client_ = nullptr;

  // Written by on_error, which poll() calls on our own thread, but also librdkafka at once for fatal ones.
  mutable std::mutex mutex_;
  std::string last_reason_;
  std::string other_protocol_;  // what an address speaks instead of Kafka's; empty: nothing else was met
  rd_kafka_resp_err_t lasting_error_ = RD_KAFKA_RESP_ERR_NO_ERROR;
  bool all_brokers_down_ = false;
};

// Every property name librdkafka knows.
std::vector<std::string> known_properties();

}  // namespace millrace::tools
