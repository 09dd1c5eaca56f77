// reader: takes Kafka messages apart, trusting nothing.
//
// The primitives of the wire, in the flexible and the older encoding. The first failure is kept with
// the field's name and the position, and everything after it yields zeros: generated code reads field
// after field without a check, loops ask ok(), and whoever started asks status() once. No read goes
// past the end. Arrays are bounded twice: by the bytes that are left (each element needs some) and by a
// budget of memory for one message, so that a small frame cannot make us allocate much.
//
// Strings and bytes of requests are views into the input; whoever holds the decoded request keeps the
// input slice alive. records fields are slices and keep it alive themselves.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "base/uuid.h"

namespace millrace::protocol {

// Memory that the arrays of one message may take once decoded.
inline constexpr size_t decoded_bytes_max = size_t{64} << 20;

class reader {
 public:
  explicit reader(slice input) noexcept
      : input_(std::move(input)), at_(input_.data()), end_(input_.data() + input_.size()) {}

  bool ok() const noexcept { return fault_ == nullptr; }
  // The first failure, if there was one, as errc::malformed: "produce_request v9: acks at byte 12: cut off".
  result<> status(std::string_view message, int16_t version) const;

  size_t position() const noexcept { return static_cast<size_t>(at_ - input_.data()); }
  size_t remaining() const noexcept { return static_cast<size_t>(end_ - at_); }

  // Chooses the encoding of strings, bytes, arrays and tagged sections from here on.
  void set_flexible(bool flexible) noexcept { flexible_ = flexible; }
  bool is_flexible() const noexcept { return flexible_; }

  template <std::integral T>
  void get(T& out, const char* field) noexcept {
    if (remaining() < sizeof(T)) [[unlikely]]
      return fail(field, "cut off");
    out = load_be<T>(at_);
    at_ += sizeof(T);
  }
  void get(bool& out, const char* field) noexcept;
  void get(double& out, const char* field) noexcept;
  void get(uuid& out, const char* field) noexcept;
  void get(std::string_view& out, const char* field) noexcept;
  void get(std::string& out, const char* field);
  void get(bytes_view& out, const char* field) noexcept;
  void get(std::vector<std::byte>& out, const char* field);
  void get(iobuf& out, const char* field);
  // `null_allowed`: whether this version of the message permits it.
  void get(std::optional<std::string_view>& out, const char* field, bool null_allowed = true) noexcept;
  void get(std::optional<std::string>& out, const char* field, bool null_allowed = true);
  void get(std::optional<bytes_view>& out, const char* field, bool null_allowed = true) noexcept;
  void get(std::optional<std::vector<std::byte>>& out, const char* field, bool null_allowed = true);
  void get(std::optional<iobuf>& out, const char* field, bool null_allowed = true);

  // The number of elements of an array of T, each of at least `element_bytes_min` on the wire; 0 after
  // a failure. nullable_array_length gives nothing for null.
  template <class T>
  size_t array_length(size_t element_bytes_min, const char* field) noexcept {
    return array_length(element_bytes_min, sizeof(T), false, field).value_or(0);
  }
  template <class T>
  std::optional<size_t> nullable_array_length(size_t element_bytes_min, const char* field,
                                              bool null_allowed = true) noexcept {
    return array_length(element_bytes_min, sizeof(T), null_allowed, field);
  }

  // The marker byte before a nullable struct.
  bool struct_is_present(const char* field) noexcept;

  // A tagged section, one field at a time. Older encodings have none, and next() is false at once.
  //   for (tagged_section tags(in, "topics"); tags.next();)
  //     if (tags.tag() == 0) read the field; else tags.skip();
  // A known field has to use exactly the bytes it announced.
  class tagged_section {
   public:
    tagged_section(reader& in, const char* field) noexcept;
    bool next() noexcept;
    uint32_t tag() const noexcept { return static_cast<uint32_t>(tag_); }
    void skip() noexcept { in_.at_ = in_.end_; }

   private:
    void leave_field() noexcept;

    reader& in_;
    const char* field_;
    const std::byte* outer_end_ = nullptr;  // set while inside a field, which ends at in_.end_
    uint32_t left_ = 0;
    int64_t tag_ = -1;
  };
  // A tagged section without a known field.
  void skip_tags(const char* field) noexcept;

 private:
  void fail(const char* field, const char* fault) noexcept;
  uint32_t uvarint(const char* field) noexcept;
  // Length of a string or byte string; nothing for null. Ensures: that many bytes are left.
  std::optional<size_t> length(bool is_string, bool null_allowed, const char* field) noexcept;
  std::optional<size_t> array_length(size_t element_bytes_min, size_t element_size, bool null_allowed,
                                     const char* field) noexcept;
  bytes_view take(size_t size) noexcept {
    const bytes_view taken(at_, size);
    at_ += size;
    return taken;
  }

  slice input_;
  const std::byte* at_;
  const std::byte* end_;
  bool flexible_ = false;
  size_t decoded_bytes_ = 0;
  const char* fault_ = nullptr;
  const char* fault_field_ = nullptr;
  size_t fault_position_ = 0;
};

}  // namespace millrace::protocol
