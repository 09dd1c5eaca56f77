#include <algorithm>
#include <cmath>
#include <fmt/format.h>

#include "base/prng.h"
#include "tools/bench/load.h"

namespace millrace::tools {

std::vector<std::string> make_payloads(size_t count, size_t bytes) {
  prng random(0x6d696c6c72616365);
  std::vector<std::string> payloads(count);
  for (std::string& payload : payloads) {
    while (payload.size() < bytes) {
      payload += fmt::format(R"({{"sensor":"s{:04}","ts":{},"temp":{}.{:02},"ok":true,"site":"north-{}"}})",
                             random.below(5000), 1'795'200'000'000 + random.below(100'000'000),
                             15 + random.below(20), random.below(100), random.below(40));
    }
    payload.resize(bytes);
  }
  return payloads;
}

std::string key_of(const load_options& options, int32_t partition, uint64_t i) {
  return fmt::format("{}-{:06}", partition, i * 2'654'435'761 % options.keys);
}

void samples::add(const samples& other) {
  microseconds_.insert(microseconds_.end(), other.microseconds_.begin(), other.microseconds_.end());
  is_sorted_ = false;
}

double samples::quantile(double q) {
  if (!is_sorted_) std::ranges::sort(microseconds_);
  is_sorted_ = true;
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(microseconds_.size())));
  return microseconds_[std::clamp<size_t>(rank, 1, microseconds_.size()) - 1];
}

}  // namespace millrace::tools
