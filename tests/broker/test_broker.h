// test_broker: a real broker in this process, on a directory and ports of its own.
#pragma once

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

#include "broker/broker.h"
#include "broker/config/load.h"
#include "runtime/probe.h"
#include "runtime/shards.h"
#include "tests/temporary_directory.h"

namespace millrace::broker {

// How a test runs: every combination has to behave the same.
struct machine {
  uint32_t shards;
  runtime::backend_choice io;
};

class test_broker {
 public:
  test_broker(machine on, const std::string& directory, const std::vector<std::string>& assignments = {}) {
    config given;
    std::vector<std::string> all = {"listeners=PLAINTEXT://127.0.0.1:0",   "log.dirs=" + directory,
                                    "shards=" + std::to_string(on.shards), "offsets.topic.num.partitions=3",
                                    "group.initial.rebalance.delay.ms=0",  "storage.direct=false"};
    all.insert(all.end(), assignments.begin(), assignments.end());
    for (const std::string& a : all) EXPECT_TRUE(load_assignment(given, a)) << a;
    settings s = *make_settings(given);
    shards_ = *runtime::shards::start({.count = on.shards, .io = on.io});
    auto started = shards_->run<result<std::unique_ptr<broker>>>([&] { return broker::start(given, s); });
    EXPECT_TRUE(started) << (started ? "" : started.error().message);
    broker_ = *std::move(started);
    const std::string& address = broker_->listening().front();
    port_ = static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1)));
  }
  ~test_broker() { stop(); }

  void stop() {
    if (!broker_) return;
    const auto stopped = shards_->run<result<void>>([&] { return broker_->stop(); });
    EXPECT_TRUE(stopped);
    broker_.reset();
    shards_->stop();
  }

  uint16_t port() const { return port_; }

 private:
  std::unique_ptr<runtime::shards> shards_;
  std::unique_ptr<broker> broker_;
  uint16_t port_ = 0;
};

}  // namespace millrace::broker
