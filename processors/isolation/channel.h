// channel: bytes between the broker and a process that runs a processor, over memory that both have mapped.
//
// Two rings, one each way, each with one writer and one reader, and a bell (an eventfd) for each side, rung
// only if that side sleeps. Whoever waits for bytes or for room sleeps on its bell; the broker's side also
// wakes when the other process has ended, since the other end of a pipe (`life`) closes then.
//
// What the guest's side writes into the shared memory may be anything at any time: the host keeps its own
// positions to itself, checks the guest's before it uses them, and looks at bytes only after it has copied
// them out.
//
// Messages are a type, a size and that many bytes; sending collects them until flush() or until the ring is
// full. One thread at a time on each side.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace millrace::processors {

// The shared memory: this, then the ring to the guest, then the ring to the host.
struct channel_page {
  static constexpr uint64_t ring_bytes = 1024 * 1024;
  static constexpr uint64_t begin_bytes = 4096;
  static constexpr uint64_t whole_bytes = begin_bytes + 2 * ring_bytes;

  struct positions {
    alignas(64) std::atomic<uint64_t> written;
    alignas(64) std::atomic<uint64_t> read;
  };
  positions to_guest;
  positions to_host;
  alignas(64) std::atomic<uint32_t> guest_sleeps;
  alignas(64) std::atomic<uint32_t> host_sleeps;
  // Number of the record at work, counted from the call's first.
  alignas(64) std::atomic<uint32_t> current;
  int parent = 0;  // process id of the host
};
static_assert(sizeof(channel_page) <= channel_page::begin_bytes);

enum class channel_side : uint8_t { host, guest };

class channel {
 public:
  using clock = std::chrono::steady_clock;
  // Larger messages are taken for nonsense: the largest holds the records of one call.
  static constexpr uint32_t message_bytes_max = 1u << 30;

  // Of descriptors that outlive it. `memory` is mapped whole_bytes; `life` is -1 on the guest's side.
  channel(channel_side side, void* memory, int guest_bell, int host_bell, int life);

  // How long the host may wait from now on in all. The guest waits for ever.
  void set_deadline(clock::time_point deadline) { deadline_ = deadline; }
  // Why the last operation failed; the channel is of no use any more.
  enum class trouble : uint8_t { none, gone, too_slow, nonsense };
  trouble why() const { return why_; }

  // All of these yield false if there is trouble.
  bool send(uint32_t type, std::string_view body);
  bool flush();
  // A message of more than `size_max` bytes is nonsense.
  bool receive(uint32_t& type, std::string& body, uint32_t size_max = message_bytes_max);

  channel_page& page() { return page_; }

 private:
  struct message_head {
    uint32_t type;
    uint32_t size;
  };
  bool write(const char* from, size_t size);
  bool read(char* to, size_t size);
  void publish();
  template <class Condition>
  bool wait_until(Condition is_met);
  bool sleep();
  bool fail(trouble why) {
    why_ = why;
    return false;
  }

  channel_page& page_;
  char* const ring_out_;
  const char* const ring_in_;
  channel_page::positions& out_;
  channel_page::positions& in_;
  std::atomic<uint32_t>& my_sleep_;
  std::atomic<uint32_t>& their_sleep_;
  const int my_bell_;
  const int their_bell_;
  const int life_;
  uint64_t written_ = 0;
  uint64_t read_ = 0;
  clock::time_point deadline_ = clock::time_point::max();
  trouble why_ = trouble::none;
};

}  // namespace millrace::processors
