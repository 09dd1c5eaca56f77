// own_topic: a topic that a benchmark makes for itself and removes afterwards.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "tools/kafka/topics.h"

namespace millrace::tools {

class own_topic {
 public:
  // Makes one with a name of its own ("millrace-bench-…") and what else `like` says.
  static result<own_topic> make(const connection& to, new_topic like);

  const std::string& name() const noexcept { return name_; }
  // Requires: not removed yet.
  result<void> remove();

 private:
  own_topic(std::unique_ptr<handle> client, std::string name)
      : client_(std::move(client)), name_(std::move(name)) {}
  std::unique_ptr<handle> client_;
  std::string name_;
};

}  // namespace millrace::tools
