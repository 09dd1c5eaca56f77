#include "protocol/reader.h"

#include <bit>
#include <cstring>

#include "base/varint.h"

namespace millrace::protocol {

void reader::fail(const char* field, const char* fault) noexcept {
  if (fault_ == nullptr) {
    fault_ = fault;
    fault_field_ = field;
    fault_position_ = position();
  }
  at_ = end_;  // nothing is left to read: loops and later fields end quickly
}

result<> reader::status(std::string_view message, int16_t version) const {
  if (ok()) return {};
  return millrace::fail(errc::malformed, "{} v{}: {} at byte {}: {}", message, version, fault_field_,
                        fault_position_, fault_);
}

void reader::get(bool& out, const char* field) noexcept {
  int8_t byte = 0;
  get(byte, field);
  out = byte != 0;
}

void reader::get(double& out, const char* field) noexcept {
  uint64_t bits = 0;
  get(bits, field);
  out = std::bit_cast<double>(bits);
}

void reader::get(uuid& out, const char* field) noexcept {
  if (remaining() < out.bytes.size()) return fail(field, "cut off");
  std::memcpy(out.bytes.data(), take(out.bytes.size()).data(), out.bytes.size());
}

uint32_t reader::uvarint(const char* field) noexcept {
  bytes_view rest(at_, remaining());
  const auto value = get_uvarint32(rest);
  if (!value) {
    fail(field, "broken or cut off variable-length integer");
    return 0;
  }
  at_ = rest.data();
  return *value;
}

std::optional<size_t> reader::length(bool is_string, bool null_allowed, const char* field) noexcept {
  int64_t size = 0;
  if (flexible_) {
    size = int64_t{uvarint(field)} - 1;
  } else if (is_string) {
    int16_t raw = 0;
    get(raw, field);
    size = raw;
  } else {
    int32_t raw = 0;
    get(raw, field);
    size = raw;
  }
  if (!ok()) return std::nullopt;
  if (size == -1) {
    if (!null_allowed) fail(field, "null where a value is needed");
    return std::nullopt;
  }
  if (size < 0) {
    fail(field, "negative length");
    return std::nullopt;
  }
  if (static_cast<uint64_t>(size) > remaining()) {
    fail(field, "longer than the bytes that are left");
    return std::nullopt;
  }
  return static_cast<size_t>(size);
}

std::optional<size_t> reader::array_length(size_t element_bytes_min, size_t element_size, bool null_allowed,
                                           const char* field) noexcept {
  int64_t count = 0;
  if (flexible_) {
    count = int64_t{uvarint(field)} - 1;
  } else {
    int32_t raw = 0;
    get(raw, field);
    count = raw;
  }
  if (!ok()) return std::nullopt;
  if (count == -1) {
    if (!null_allowed) fail(field, "null where an array is needed");
    return std::nullopt;
  }
  if (count < 0) {
    fail(field, "negative array length");
    return std::nullopt;
  }
  const auto elements = static_cast<size_t>(count);
  if (elements > remaining() / element_bytes_min) {
    fail(field, "more elements than the bytes that are left can hold");
    return std::nullopt;
  }
  if (elements > (decoded_bytes_max - decoded_bytes_) / element_size) {
    fail(field, "message takes too much memory");
    return std::nullopt;
  }
  decoded_bytes_ += elements * element_size;
  return elements;
}

void reader::get(std::optional<std::string_view>& out, const char* field, bool null_allowed) noexcept {
  if (const auto size = length(true, null_allowed, field)) {
    out = as_text(take(*size));
  } else {
    out.reset();
  }
}

void reader::get(std::optional<std::string>& out, const char* field, bool null_allowed) {
  if (const auto size = length(true, null_allowed, field)) {
    out.emplace(as_text(take(*size)));
  } else {
    out.reset();
  }
}

void reader::get(std::optional<bytes_view>& out, const char* field, bool null_allowed) noexcept {
  if (const auto size = length(false, null_allowed, field)) {
    out = take(*size);
  } else {
    out.reset();
  }
}

void reader::get(std::optional<std::vector<std::byte>>& out, const char* field, bool null_allowed) {
  if (const auto size = length(false, null_allowed, field)) {
    const bytes_view taken = take(*size);
    out.emplace(taken.begin(), taken.end());
  } else {
    out.reset();
  }
}

void reader::get(std::optional<iobuf>& out, const char* field, bool null_allowed) {
  if (const auto size = length(false, null_allowed, field)) {
    out.emplace(input_.sub(take(*size)));
  } else {
    out.reset();
  }
}

void reader::get(std::string_view& out, const char* field) noexcept {
  if (const auto size = length(true, false, field)) out = as_text(take(*size));
}

void reader::get(std::string& out, const char* field) {
  if (const auto size = length(true, false, field)) out.assign(as_text(take(*size)));
}

void reader::get(bytes_view& out, const char* field) noexcept {
  if (const auto size = length(false, false, field)) out = take(*size);
}

void reader::get(std::vector<std::byte>& out, const char* field) {
  if (const auto size = length(false, false, field)) {
    const bytes_view taken = take(*size);
    out.assign(taken.begin(), taken.end());
  }
}

void reader::get(iobuf& out, const char* field) {
  if (const auto size = length(false, false, field)) out = iobuf(input_.sub(take(*size)));
}

bool reader::struct_is_present(const char* field) noexcept {
  int8_t marker = -1;
  get(marker, field);
  if (marker != -1 && marker != 1) fail(field, "neither -1 nor 1 before an optional struct");
  return ok() && marker == 1;
}

reader::tagged_section::tagged_section(reader& in, const char* field) noexcept : in_(in), field_(field) {
  if (in.flexible_ && in.ok()) left_ = in.uvarint(field);
}

bool reader::tagged_section::next() noexcept {
  if (outer_end_ != nullptr) leave_field();
  if (left_ == 0 || !in_.ok()) return false;
  --left_;
  const int64_t tag = in_.uvarint(field_);
  const uint32_t size = in_.uvarint(field_);
  if (!in_.ok()) return false;
  if (tag <= tag_) {
    in_.fail(field_, "tags are not ascending");
    return false;
  }
  if (size > in_.remaining()) {
    in_.fail(field_, "tagged field is longer than the bytes that are left");
    return false;
  }
  tag_ = tag;
  outer_end_ = in_.end_;
  in_.end_ = in_.at_ + size;
  return true;
}

void reader::tagged_section::leave_field() noexcept {
  if (in_.ok() && in_.at_ != in_.end_) in_.fail(field_, "tagged field is longer than its value");
  in_.end_ = std::exchange(outer_end_, nullptr);
  if (!in_.ok()) in_.at_ = in_.end_;
}

void reader::skip_tags(const char* field) noexcept {
  for (tagged_section tags(*this, field); tags.next();) tags.skip();
}

}  // namespace millrace::protocol
