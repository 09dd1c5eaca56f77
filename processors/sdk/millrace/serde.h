// millrace/serde.h: values as bytes and back.
//
//     const auto amount = record.value_as<double>();                 // throws if these bytes are no double
//     context.emit(out, record.key(), millrace::encode(amount * 2));
//
// What `serde<T>` knows, byte for byte what Kafka's own serializers of that name make:
//
//   std::string                  text, UTF-8 (checked when read)
//   std::int64_t, std::int32_t   Long and Integer: big-endian, 8 and 4 bytes
//   double, float                Double and Float: IEEE 754, big-endian
//   raw                          the bytes as they are, not copied
//   ordered<T>                   integers in an order that bytes sort by, for keys of stores
//
// <millrace/json.h> adds `json`. For a type of your own, specialise it:
//
//     template <>
//     struct millrace::serde<point> {
//       static void encode(const point& from, std::string& to) { ... append to `to` ... }
//       static point decode(std::string_view from) { ... throw millrace::failure if it is none ... }
//     };
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace millrace {

inline namespace sdk_v1 {

// A failure with a reason for people. Any std::exception does; this one is short to write.
class failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace sdk_v1

// Specialised for what can be encoded. Not in the inline namespace, so that anybody can.
template <class T, class = void>
struct serde;

inline namespace sdk_v1 {

// Bytes as they are; a view.
struct raw {
  std::string_view bytes;
};

// An integer whose encoding sorts as the integer does, negative ones too.
template <class T>
struct ordered {
  static_assert(std::is_integral_v<T>, "an integer is expected");
  T value{};
  ordered() = default;
  ordered(T v) : value(v) {}  // NOLINT: as good as the integer itself
  operator T() const { return value; }
};

namespace detail {

template <class U>
void put_big_endian(U bits, std::string& to) {
  for (int shift = (static_cast<int>(sizeof(U)) - 1) * 8; shift >= 0; shift -= 8)
    to.push_back(static_cast<char>(static_cast<unsigned char>(bits >> shift)));
}

template <class U>
U get_big_endian(std::string_view from, const char* what) {
  if (from.size() != sizeof(U))
    throw failure("not " + std::string(what) + ": " + std::to_string(from.size()) + " bytes instead of " +
                  std::to_string(sizeof(U)));
  std::uint64_t bits = 0;
  for (const char c : from) bits = bits << 8 | static_cast<unsigned char>(c);
  return static_cast<U>(bits);
}

template <class To, class From>
To same_bits(const From& from) {
  static_assert(sizeof(To) == sizeof(From), "of one size");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

// Whether it is well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
inline bool is_utf8(std::string_view text) noexcept {
  for (std::size_t i = 0; i < text.size();) {
    const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[k]); };
    const unsigned first = at(i);
    if (first < 0x80) {
      ++i;
      continue;
    }
    const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4 || i + length > text.size()) return false;
    const unsigned second = at(i + 1);
    if (first == 0xe0 && second < 0xa0) return false;
    if (first == 0xed && second > 0x9f) return false;
    if (first == 0xf0 && second < 0x90) return false;
    if (first == 0xf4 && second > 0x8f) return false;
    for (std::size_t k = 1; k < length; ++k)
      if ((at(i + k) & 0xc0) != 0x80) return false;
    i += length;
  }
  return true;
}

}  // namespace detail
}  // namespace sdk_v1

template <>
struct serde<std::string> {
  static void encode(std::string_view from, std::string& to) { to.append(from); }
  static std::string decode(std::string_view from) {
    if (!sdk_v1::detail::is_utf8(from)) throw failure("not a text: it is not UTF-8");
    return std::string(from);
  }
};

template <>
struct serde<raw> {
  static void encode(const raw& from, std::string& to) { to.append(from.bytes); }
  static raw decode(std::string_view from) { return {from}; }
};

template <class T>
struct serde<T, std::enable_if_t<std::is_same_v<T, std::int32_t> || std::is_same_v<T, std::int64_t>>> {
  using bits = std::make_unsigned_t<T>;
  static void encode(T from, std::string& to) { sdk_v1::detail::put_big_endian(static_cast<bits>(from), to); }
  static T decode(std::string_view from) {
    return static_cast<T>(sdk_v1::detail::get_big_endian<bits>(from, "an integer"));
  }
};

template <class T>
struct serde<T, std::enable_if_t<std::is_floating_point_v<T> && (sizeof(T) == 4 || sizeof(T) == 8)>> {
  using bits = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;
  static void encode(T from, std::string& to) {
    sdk_v1::detail::put_big_endian(sdk_v1::detail::same_bits<bits>(from), to);
  }
  static T decode(std::string_view from) {
    return sdk_v1::detail::same_bits<T>(
        sdk_v1::detail::get_big_endian<bits>(from, "a floating-point number"));
  }
};

template <class T>
struct serde<ordered<T>> {
  using bits = std::make_unsigned_t<T>;
  static constexpr bits flip = std::is_signed_v<T> ? bits{1} << (sizeof(T) * 8 - 1) : bits{0};
  static void encode(const ordered<T>& from, std::string& to) {
    sdk_v1::detail::put_big_endian(static_cast<bits>(static_cast<bits>(from.value) ^ flip), to);
  }
  static ordered<T> decode(std::string_view from) {
    return static_cast<T>(sdk_v1::detail::get_big_endian<bits>(from, "an ordered integer") ^ flip);
  }
};

inline namespace sdk_v1 {

template <class T>
std::string encode(const T& value) {
  std::string bytes;
  serde<T>::encode(value, bytes);
  return bytes;
}

// Throws millrace::failure if the bytes are no such value.
template <class T>
T decode(std::string_view bytes) {
  return serde<T>::decode(bytes);
}

}  // namespace sdk_v1
}  // namespace millrace
