// value_maker: random field values for round trips.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "base/buffer.h"
#include "base/prng.h"
#include "base/uuid.h"

namespace millrace::protocol::testing {

// Keeps what views point to: values made by it must not outlive it.
class value_maker {
 public:
  explicit value_maker(prng& random) : random_(random) {}

  size_t count() { return random_.below(4); }
  bool chooses_null() { return random_.one_in(3); }
  bool chooses_default() { return random_.one_in(2); }

  void fill(bool& out) { out = random_.one_in(2); }
  template <std::integral T>
  void fill(T& out) {
    const uint64_t bits = random_.next();
    // Small numbers, edges and everything else alike.
    switch (random_.below(3)) {
      case 0:
        out = static_cast<T>(bits % 5) - 1;
        break;
      case 1:
        out = random_.one_in(2) ? std::numeric_limits<T>::max() : std::numeric_limits<T>::min();
        break;
      default:
        out = static_cast<T>(bits);
    }
  }
  void fill(double& out) { out = static_cast<double>(static_cast<int64_t>(random_.next())); }
  void fill(uuid& out) {
    for (std::byte& b : out.bytes) b = static_cast<std::byte>(random_.next());
  }
  void fill(std::string& out) { out = text(); }
  void fill(std::string_view& out) { out = texts_.emplace_back(text()); }
  void fill(std::vector<std::byte>& out) { out = bytes(); }
  void fill(bytes_view& out) { out = blobs_.emplace_back(bytes()); }
  void fill(iobuf& out) {
    out.clear();
    for (size_t pieces = count(); pieces > 0; --pieces) out.append(slice::copy_of(bytes()));
  }

 private:
  std::string text() {
    const size_t size = random_.one_in(20) ? 100 + random_.below(300) : random_.below(12);
    return std::string(size, static_cast<char>('a' + random_.below(26)));
  }
  std::vector<std::byte> bytes() {
    std::vector<std::byte> out(random_.one_in(20) ? 100 + random_.below(300) : random_.below(12));
    for (std::byte& b : out) b = static_cast<std::byte>(random_.next());
    return out;
  }

  prng& random_;
  std::deque<std::string> texts_;
  std::deque<std::vector<std::byte>> blobs_;
};

}  // namespace millrace::protocol::testing
