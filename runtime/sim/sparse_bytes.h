// sparse_bytes: the content of a simulated file; holes read as zeros.
//
// Pages are shared between copies until one of them writes, so that keeping "what reads see" beside
// "what survives", and copying a whole disk at a crash, costs a pointer a page.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "base/bytes.h"

namespace millrace::runtime {

class sparse_bytes {
 public:
  static constexpr uint64_t page_bytes = 4096;

  uint64_t size() const noexcept { return size_; }
  size_t page_count() const noexcept { return pages_.size(); }

  // Extends the size if needed.
  void write(uint64_t at, bytes_view from);
  // Returns how many bytes there were.
  size_t read(uint64_t at, mutable_bytes into) const;
  // Cuts, or extends with zeros.
  void resize(uint64_t size);

 private:
  using page = std::array<std::byte, page_bytes>;
  page& writable_page(uint64_t index);

  std::map<uint64_t, std::shared_ptr<page>> pages_;
  uint64_t size_ = 0;
};

}  // namespace millrace::runtime
