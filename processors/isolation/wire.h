// wire: what the broker and a process that runs a processor say to each other over their channel.
//
// Both are the same program, so there is one version of it. Numbers are in the machine's order. The broker
// speaks first, one of load, create, destroy, process, timer, migrate, and then listens: to any number of
// emit, put,
// ... (no answer), get and seek (each answered by found), until done. Statuses that the plugin sees at once
// are found out on the guest's side, by the same rules; what counts is what the broker makes of the same
// messages.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "processors/abi/millrace_processor.h"

namespace millrace::processors {

enum class wire : uint32_t {
  // from the host
  load = 1,  // bytes_max, library, name, options: see guest_main
  create,    // instance, partition, processor, input, options
  destroy,   // instance
  process,   // instance, output_bytes_target, stream_time, partitions by output, records
  timer,     // instance, output_bytes_target, stream_time, partitions by output, at_ms, key
  found,     // status, key, value
  migrate,   // instance, output_bytes_target, stream_time, partitions by output, from_version, store, key,
             // value
  // from the guest
  emit = 100,
  put,
  timer_set,
  timer_cancel,
  get,
  seek,
  log,
  explain,
  metric,
  done,  // status, records done, whether a record was refused and which
};

class wire_writer {
 public:
  std::string_view text() const { return out_; }
  void clear() { out_.clear(); }
  template <class T>
    requires std::is_arithmetic_v<T>
  void put(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void put(const millrace_bytes& bytes) {
    put<int64_t>(bytes.size < 0 ? -1 : bytes.size);
    if (bytes.size > 0) out_.append(bytes.data, static_cast<size_t>(bytes.size));
  }
  void put(std::string_view text) { put(millrace_bytes{text.data(), static_cast<int64_t>(text.size())}); }
  void put(std::span<const millrace_header> headers) {
    put(static_cast<uint32_t>(headers.size()));
    for (const millrace_header& h : headers) {
      put(h.key);
      put(h.value);
    }
  }

 private:
  std::string out_;
};

// Views into the text. After a read beyond its end ok() is false and everything read is zero or null.
class wire_reader {
 public:
  explicit wire_reader(std::string_view text) : rest_(text) {}
  bool ok() const { return is_good_; }
  template <class T>
    requires std::is_arithmetic_v<T>
  T get() {
    T value{};
    if (rest_.size() < sizeof(value)) return is_good_ = false, value;
    std::memcpy(&value, rest_.data(), sizeof(value));
    rest_.remove_prefix(sizeof(value));
    return value;
  }
  millrace_bytes bytes() {
    const auto size = get<int64_t>();
    if (size < 0) return {nullptr, -1};
    if (static_cast<uint64_t>(size) > rest_.size()) return is_good_ = false, millrace_bytes{nullptr, -1};
    const millrace_bytes found{rest_.data(), size};
    rest_.remove_prefix(static_cast<size_t>(size));
    return found;
  }
  std::string_view text() {
    const millrace_bytes found = bytes();
    return found.size > 0 ? std::string_view(found.data, static_cast<size_t>(found.size))
                          : std::string_view();
  }
  // A number of things of at least so many bytes each.
  uint32_t count(size_t each) {
    const auto n = get<uint32_t>();
    if (n > rest_.size() / each) return is_good_ = false, 0;
    return n;
  }
  void headers(std::vector<millrace_header>& into) {
    for (uint32_t n = count(2 * sizeof(int64_t)); n > 0 && is_good_; --n) {
      const millrace_bytes key = bytes();
      into.push_back({key, bytes()});
    }
  }

 private:
  std::string_view rest_;
  bool is_good_ = true;
};

}  // namespace millrace::processors
