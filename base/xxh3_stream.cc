#include "base/xxh3_stream.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace millrace {

struct xxh3_stream::state {
  XXH3_state_t xxh;
};

xxh3_stream::xxh3_stream() : state_(std::make_unique<state>()) {
  reset();
}
xxh3_stream::~xxh3_stream() = default;

void xxh3_stream::reset() {
  XXH3_64bits_reset(&state_->xxh);
}

void xxh3_stream::add(bytes_view bytes) {
  XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size());
}

uint64_t xxh3_stream::digest() const {
  return XXH3_64bits_digest(&state_->xxh);
}

}  // namespace millrace
