#include "runtime/sim/sparse_bytes.h"

#include <algorithm>
#include <cstring>

namespace millrace::runtime {

sparse_bytes::page& sparse_bytes::writable_page(uint64_t index) {
  std::shared_ptr<page>& slot = pages_[index];
  if (!slot) {
    slot = std::make_shared<page>();
  } else if (slot.use_count() > 1) {
    slot = std::make_shared<page>(*slot);
  }
  return *slot;
}

void sparse_bytes::write(uint64_t at, bytes_view from) {
  size_ = std::max(size_, at + from.size());
  while (!from.empty()) {
    const uint64_t inside = at % page_bytes;
    const size_t step = std::min<uint64_t>(from.size(), page_bytes - inside);
    std::memcpy(writable_page(at / page_bytes).data() + inside, from.data(), step);
    at += step;
    from = from.subspan(step);
  }
}

size_t sparse_bytes::read(uint64_t at, mutable_bytes into) const {
  if (at >= size_) return 0;
  const size_t total = std::min<uint64_t>(into.size(), size_ - at);
  for (size_t done = 0; done < total;) {
    const uint64_t inside = (at + done) % page_bytes;
    const size_t step = std::min<uint64_t>(total - done, page_bytes - inside);
    const auto found = pages_.find((at + done) / page_bytes);
    if (found == pages_.end()) {
      std::memset(into.data() + done, 0, step);
    } else {
      std::memcpy(into.data() + done, found->second->data() + inside, step);
    }
    done += step;
  }
  return total;
}

void sparse_bytes::resize(uint64_t size) {
  if (size < size_) {
    pages_.erase(pages_.lower_bound((size + page_bytes - 1) / page_bytes), pages_.end());
    if (const uint64_t inside = size % page_bytes; inside != 0 && pages_.contains(size / page_bytes)) {
      page& last = writable_page(size / page_bytes);
      std::fill(last.begin() + static_cast<ptrdiff_t>(inside), last.end(), std::byte{0});
    }
  }
  size_ = size;
}

}  // namespace millrace::runtime
