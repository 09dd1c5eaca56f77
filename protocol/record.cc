#include "protocol/record.h"

#include "base/varint.h"

namespace millrace::protocol {

namespace {

// A cursor over one record. Most integers in a record are one byte long: that case is inline, the others
// go through the general reader.
class cursor {
 public:
  explicit cursor(bytes_view bytes) noexcept : rest_(bytes) {}

  bool varint(int32_t& out) noexcept {
    if (!rest_.empty() && static_cast<uint8_t>(rest_[0]) < 0x80) [[likely]] {
      out = zigzag_decode(static_cast<uint32_t>(rest_[0]));
      rest_ = rest_.subspan(1);
      return true;
    }
    const auto value = get_varint32(rest_);
    out = value.value_or(0);
    return value.has_value();
  }
  bool varlong(int64_t& out) noexcept {
    const auto value = get_varint64(rest_);
    out = value.value_or(0);
    return value.has_value();
  }
  bool skip(size_t size) noexcept {
    if (size > rest_.size()) return false;
    rest_ = rest_.subspan(size);
    return true;
  }
  // Bytes after their length; null if it is -1. False for other negative lengths.
  bool nullable_bytes(std::optional<bytes_view>& out) noexcept {
    int32_t size = 0;
    if (!varint(size) || size < -1) return false;
    if (size == -1) {
      out.reset();
      return true;
    }
    if (static_cast<size_t>(size) > rest_.size()) return false;
    out = rest_.first(static_cast<size_t>(size));
    rest_ = rest_.subspan(static_cast<size_t>(size));
    return true;
  }
  bytes_view rest() const noexcept { return rest_; }

 private:
  bytes_view rest_;
};

bool read_header(cursor& in, record_header_view& out) noexcept {
  std::optional<bytes_view> key;
  if (!in.nullable_bytes(key) || !key) return false;
  out.key = as_text(*key);
  return in.nullable_bytes(out.value);
}

}  // namespace

bool record_iterator::stop(const char* fault) noexcept {
  fault_ = fault;
  return false;
}

bool record_iterator::next(record_view& out) noexcept {
  if (fault_ != nullptr) return false;
  if (index_ >= count_) {
    if (count_ < 0) return stop("negative count");
    return rest_.empty() ? false : stop("bytes are left behind the last record");
  }
  cursor outer(rest_);
  int32_t length = 0;
  if (!outer.varint(length) || length < 0 || static_cast<size_t>(length) > outer.rest().size()) {
    return stop("impossible length");
  }
  const auto size = static_cast<size_t>(length);
  const size_t prefix = rest_.size() - outer.rest().size();

  cursor in(outer.rest().first(size));
  if (!in.skip(1)) return stop("cut off");  // attributes: unused
  if (!in.varlong(out.timestamp_delta)) return stop("broken timestamp delta");
  if (!in.varint(out.offset_delta)) return stop("broken offset delta");
  if (!in.nullable_bytes(out.key)) return stop("impossible key length");
  if (!in.nullable_bytes(out.value)) return stop("impossible value length");
  if (!in.varint(out.header_count) || out.header_count < 0) return stop("impossible number of headers");
  out.headers = in.rest();
  record_header_view header;
  for (int32_t i = 0; i < out.header_count; ++i) {
    if (!read_header(in, header)) return stop("broken header");
  }
  if (!in.rest().empty()) return stop("longer than its fields");

  out.whole = rest_.first(prefix + size);
  rest_ = rest_.subspan(prefix + size);
  ++index_;
  return true;
}

result<> record_iterator::status() const {
  if (fault_ == nullptr) return {};
  return fail(errc::corruption, "record {} of {} at byte {}: {}", index_, count_, size_ - rest_.size(),
              fault_);
}

bool header_iterator::next(record_header_view& out) noexcept {
  if (left_ <= 0) return false;
  cursor in(rest_);
  if (!read_header(in, out)) return false;
  rest_ = in.rest();
  --left_;
  return true;
}

}  // namespace millrace::protocol
