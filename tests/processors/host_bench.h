// host_bench: a fixture that lives through one life of a broker after another on one simulated disk.
#pragma once

#include <functional>

#include "tests/processors/host_kit.h"

namespace millrace::processors::kit {

using values = std::vector<std::string>;

// A store with partition 0 of the given topics and a host on it.
struct bench {
  std::unique_ptr<storage::shard_store> store;
  std::unique_ptr<shard_host> host;

  storage::partition_log& log(const std::string& topic) { return *store->find(id_of(topic, 0)); }

  // Appends one batch of clients' records; the frame it is in.
  lsn produce(const std::string& topic, const values& what, protocol::batch_options options = {}) {
    const auto done = store->append(log(topic), batch_of(what, options), storage::append_origin::client);
    MR_ASSERT(done);
    return done->durable_at;
  }
  flow_status status(const std::string& processor) {
    for (const flow_status& s : host->status())
      if (s.processor == processor) return s;
    return {};
  }
};

inline task<void> open(bench& b, std::vector<storage::partition_spec> specs, const deployment& what,
                       storage::store_options options, host_options host) {
  auto opened = co_await open_store(std::move(options), std::move(specs));
  MR_ASSERT(opened);
  b.store = std::move(*opened);
  b.host = std::make_unique<shard_host>(what, *b.store, std::move(host));
}

inline task<void> close(bench& b) {
  co_await b.host->close();
  const auto closed = co_await b.store->close();
  EXPECT_TRUE(closed);
  b.host.reset();
  b.store.reset();
}

inline task<values> all_of(bench& b, const std::string& topic) {
  auto all = co_await read_all(*b.store, id_of(topic, 0));
  EXPECT_TRUE(all);
  co_return all ? *all : values{};
}

class host_test : public testing::Test {
 protected:
  // Runs one life of a broker on the test's disk.
  void live(const std::vector<std::string>& topics, const deployment& what,
            std::function<task<void>(bench&)> body, storage::store_options options = small_store()) {
    runtime::sim_world world(7, {.shards = 1, .disk = disk_});
    world.run(life(topics, what, std::move(body), std::move(options), host_));
    disk_ = disk_->after_power_cut(8);
  }

  host_options host_;
  std::shared_ptr<runtime::sim_disk> disk_ = std::make_shared<runtime::sim_disk>(1);

 private:
  static task<void> life(std::vector<std::string> topics, const deployment& what,
                         std::function<task<void>(bench&)> body, storage::store_options options,
                         host_options host) {
    bench b;
    std::vector<storage::partition_spec> specs;
    for (const std::string& topic : topics) specs.push_back(partition_spec_of(topic, 0));
    co_await open(b, std::move(specs), what, std::move(options), host);
    co_await body(b);
    co_await close(b);
  }
};

}  // namespace millrace::processors::kit
