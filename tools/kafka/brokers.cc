#include "tools/kafka/brokers.h"

#include <algorithm>

#include "tools/kafka/errors.h"
#include "tools/kafka/raii.h"

namespace millrace::tools {

result<std::vector<broker_address>> broker_addresses(handle& client) {
  MR_TRY(client.reach());
  const rd_kafka_metadata_t* raw = nullptr;
  const rd_kafka_resp_err_t code = rd_kafka_metadata(client.get(), 0, nullptr, &raw, client.timeout_ms());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return fail(broker_error(code, "read the cluster's metadata"));
  const metadata_ptr metadata(raw);
  std::vector<broker_address> addresses;
  for (int i = 0; i < raw->broker_cnt; ++i)
    addresses.push_back({raw->brokers[i].id, raw->brokers[i].host, raw->brokers[i].port});
  std::ranges::sort(addresses, {}, &broker_address::id);
  return addresses;
}

result<wire> open_broker(handle& client, int32_t id) {
  const auto addresses = broker_addresses(client);
  if (!addresses) return fail(addresses.error());
  const auto found = id < 0 ? addresses->begin() : std::ranges::find(*addresses, id, &broker_address::id);
  if (found == addresses->end()) {
    return id < 0 ? fail(errc::broker_not_available, "the cluster has no brokers")
                  : fail(errc::broker_not_available, "the cluster has no broker {}", id);
  }
  return wire::open(client.to(), found->host, found->port);
}

}  // namespace millrace::tools
