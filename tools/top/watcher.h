// watcher: reads a cluster's counters again and again.
//
// Topics and groups by the public protocol; processors and shards from the admin socket, if there is one here
// and its broker belongs to the same cluster. Runs on: one thread.
#pragma once

#include <memory>

#include "tools/admin/client.h"
#include "tools/kafka/handle.h"
#include "tools/top/reading.h"

namespace millrace::tools {

class watcher {
 public:
  struct settings {
    connection to;
    admin_options admin;
    bool with_internal = false;
    // Groups are asked one after the other, those that waited longest first, for so long at most.
    std::chrono::milliseconds group_patience{1000};
  };
  static result<std::unique_ptr<watcher>> open(settings s);

  result<reading> read();

 private:
  explicit watcher(settings s) : settings_(std::move(s)) {}
  result<void> read_groups();
  std::optional<own_reading> read_own() const;

  settings settings_;
  std::unique_ptr<handle> client_;
  std::string cluster_id_;
  std::map<std::string, group_reading> groups_;
};

}  // namespace millrace::tools
