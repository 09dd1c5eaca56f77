#include "processors/isolation/channel.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <unistd.h>

namespace millrace::processors {

channel::channel(channel_side side, void* memory, int guest_bell, int host_bell, int life)
    : page_(*static_cast<channel_page*>(memory)),
      ring_out_(static_cast<char*>(memory) + channel_page::begin_bytes +
                (side == channel_side::host ? 0 : channel_page::ring_bytes)),
      ring_in_(static_cast<char*>(memory) + channel_page::begin_bytes +
               (side == channel_side::host ? channel_page::ring_bytes : 0)),
      out_(side == channel_side::host ? page_.to_guest : page_.to_host),
      in_(side == channel_side::host ? page_.to_host : page_.to_guest),
      my_sleep_(side == channel_side::host ? page_.host_sleeps : page_.guest_sleeps),
      their_sleep_(side == channel_side::host ? page_.guest_sleeps : page_.host_sleeps),
      my_bell_(side == channel_side::host ? host_bell : guest_bell),
      their_bell_(side == channel_side::host ? guest_bell : host_bell),
      life_(life) {}

bool channel::send(uint32_t type, std::string_view body) {
  const message_head head{type, static_cast<uint32_t>(body.size())};
  return write(reinterpret_cast<const char*>(&head), sizeof(head)) && write(body.data(), body.size());
}

bool channel::flush() {
  publish();
  return why_ == trouble::none;
}

bool channel::receive(uint32_t& type, std::string& body, uint32_t size_max) {
  message_head head{};
  if (!read(reinterpret_cast<char*>(&head), sizeof(head))) return false;
  if (head.size > size_max) return fail(trouble::nonsense);
  type = head.type;
  body.resize(head.size);
  return read(body.data(), body.size());
}

bool channel::write(const char* from, size_t size) {
  while (size > 0) {
    uint64_t room = 0;
    const auto has_room = [&] {
      const uint64_t waiting = written_ - out_.read.load();
      if (waiting > channel_page::ring_bytes) return fail(trouble::nonsense);
      room = channel_page::ring_bytes - waiting;
      return room > 0;
    };
    if (!has_room()) {
      publish();
      if (why_ != trouble::none || !wait_until(has_room)) return false;
    }
    const uint64_t at = written_ % channel_page::ring_bytes;
    const size_t n =
        std::min({size, static_cast<size_t>(room), static_cast<size_t>(channel_page::ring_bytes - at)});
    std::memcpy(ring_out_ + at, from, n);
    written_ += n;
    from += n;
    size -= n;
  }
  return true;
}

bool channel::read(char* to, size_t size) {
  while (size > 0) {
    uint64_t there = 0;
    const auto has_bytes = [&] {
      there = in_.written.load() - read_;
      if (there > channel_page::ring_bytes) return fail(trouble::nonsense);
      return there > 0;
    };
    if (!has_bytes() && (why_ != trouble::none || !wait_until(has_bytes))) return false;
    const uint64_t at = read_ % channel_page::ring_bytes;
    const size_t n =
        std::min({size, static_cast<size_t>(there), static_cast<size_t>(channel_page::ring_bytes - at)});
    std::memcpy(to, ring_in_ + at, n);
    read_ += n;
    to += n;
    size -= n;
    in_.read.store(read_);
    // Half of the ring is worth waking a writer for; a reader that goes to sleep wakes it in any case.
    if (there - n < channel_page::ring_bytes / 2 && their_sleep_.load() != 0) publish();
  }
  return true;
}

// Shows what was written, and wakes the other side if it sleeps.
void channel::publish() {
  out_.written.store(written_);
  if (their_sleep_.exchange(0) == 0) return;
  const uint64_t one = 1;
  while (::write(their_bell_, &one, sizeof(one)) < 0 && errno == EINTR) {
  }
}

// The order matters: the flag, then the look, then the sleep. Who changes something does it before it looks
// at the flag.
template <class Condition>
bool channel::wait_until(Condition is_met) {
  for (;;) {
    my_sleep_.store(1);
    if (is_met()) {
      my_sleep_.store(0);
      return true;
    }
    if (why_ != trouble::none || !sleep()) return false;
  }
}

bool channel::sleep() {
  int wait_ms = -1;
  if (deadline_ != clock::time_point::max()) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - clock::now()).count();
    if (left <= 0) return fail(trouble::too_slow);
    wait_ms = static_cast<int>(std::min<int64_t>(left, 60'000));
  }
  pollfd ready[2] = {{my_bell_, POLLIN, 0}, {life_, 0, 0}};
  const int n = ::poll(ready, life_ >= 0 ? 2 : 1, wait_ms);
  if (n < 0 && errno != EINTR) return fail(trouble::gone);
  if (n <= 0) return true;
  if (ready[0].revents != 0) {
    uint64_t count = 0;
    if (::read(my_bell_, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
      return fail(trouble::gone);
    return true;
  }
  return fail(trouble::gone);
}

}  // namespace millrace::processors
