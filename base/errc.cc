#include "base/errc.h"

namespace millrace {

namespace {

constexpr char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

// An identifier's upper-case form, made at compile time.
template <size_t n>
struct upper_name {
  char text[n]{};
  constexpr explicit upper_name(const char (&name)[n]) {
    for (size_t i = 0; i < n; ++i) text[i] = upper(name[i]);
  }
};

template <upper_name value>
constexpr std::string_view upper_view{value.text, sizeof(value.text) - 1};

}  // namespace

int16_t kafka_code(errc code) noexcept {
  switch (code) {
#define X(name, value, kafka) \
  case errc::name:            \
    return static_cast<int16_t>(errc::kafka);
    MILLRACE_INTERNAL_ERRORS(X)
#undef X
    default:
      return static_cast<int16_t>(code);
  }
}

bool is_retriable(errc code) noexcept {
  switch (static_cast<errc>(kafka_code(code))) {
#define X(name, value, retriable) \
  case errc::name:                \
    return retriable;
    MILLRACE_KAFKA_ERRORS(X)
#undef X
    default:
      return false;
  }
}

std::string_view name_of(errc code) noexcept {
  switch (code) {
#define X(name, value, other) \
  case errc::name:            \
    return upper_view<upper_name{#name}>;
    MILLRACE_KAFKA_ERRORS(X)
    MILLRACE_INTERNAL_ERRORS(X)
#undef X
  }
  return "UNKNOWN";
}

}  // namespace millrace
