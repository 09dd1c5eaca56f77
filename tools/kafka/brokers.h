// brokers: where the brokers of a cluster are, and one of them to speak to directly.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/kafka/handle.h"
#include "tools/kafka/wire.h"

namespace millrace::tools {

struct broker_address {
  int32_t id = -1;
  std::string host;
  int port = 0;
};

// By id.
result<std::vector<broker_address>> broker_addresses(handle& client);
// A connection to the broker of that id, or, for -1, to any.
result<wire> open_broker(handle& client, int32_t id = -1);

}  // namespace millrace::tools
