// connection_quota: how many connections there may be, in all and from one address. Any shard, any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace millrace::broker {

class connection_quota {
 public:
  connection_quota(int32_t total_max, int32_t per_address_max)
      : total_max_(total_max), per_address_max_(per_address_max) {}

  // False if one more would be too many. `peer` is "address:port".
  bool enter(std::string_view peer) {
    const std::string address(address_of(peer));
    const std::lock_guard held(mutex_);
    int32_t& count = by_address_[address];
    if (total_ >= total_max_ || count >= per_address_max_) {
      if (count == 0) by_address_.erase(address);
      return false;
    }
    ++count;
    ++total_;
    return true;
  }
  // Who is in stays in.
  void set_limits(int32_t total_max, int32_t per_address_max) {
    const std::lock_guard held(mutex_);
    total_max_ = total_max;
    per_address_max_ = per_address_max;
  }
  void leave(std::string_view peer) {
    const std::string address(address_of(peer));
    const std::lock_guard held(mutex_);
    --total_;
    if (--by_address_[address] == 0) by_address_.erase(address);
  }

 private:
  static std::string_view address_of(std::string_view peer) { return peer.substr(0, peer.rfind(':')); }

  std::mutex mutex_;
  int32_t total_max_;
  int32_t per_address_max_;
  int32_t total_ = 0;
  std::unordered_map<std::string, int32_t> by_address_;
};

}  // namespace millrace::broker
