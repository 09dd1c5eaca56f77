// result: a value, or an error that says what happened, where, and what to do.
//
// Expected failures are returned and checked on the next line; exceptions are not used for them.
#pragma once

#include <expected>
#include <fmt/format.h>
#include <string>
#include <utility>

#include "base/errc.h"

namespace millrace {

struct error {
  errc code = errc::unknown_server_error;
  std::string message;  // one sentence for a person; may be empty where the code says it all

  bool operator==(const error&) const = default;
};

template <class T = void>
using result = std::expected<T, error>;

// fail(errc::disk_full, "cannot extend {}: {}", path, reason) returns something any result<T> takes.
template <class... Args>
std::unexpected<error> fail(errc code, fmt::format_string<Args...> text, Args&&... args) {
  return std::unexpected(error{code, fmt::format(text, std::forward<Args>(args)...)});
}

inline std::unexpected<error> fail(errc code) {
  return std::unexpected(error{code, {}});
}

inline std::unexpected<error> fail(error e) {
  return std::unexpected(std::move(e));
}

// "NOT_FOUND: no such file"
inline std::string to_string(const error& e) {
  return e.message.empty() ? std::string(name_of(e.code)) : fmt::format("{}: {}", name_of(e.code), e.message);
}

}  // namespace millrace

// Leaves the enclosing function with the error if `expression` (a result<...>) holds one.
// Not for coroutines: there, name the value and co_return.
#define MR_TRY(expression)                                       \
  do {                                                           \
    if (auto mr_try_result_ = (expression); !mr_try_result_)     \
      return std::unexpected(std::move(mr_try_result_).error()); \
  } while (false)
