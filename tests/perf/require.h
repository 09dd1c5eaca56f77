// require: what a micro benchmark cannot do without. It ends with the reason, since there is nothing to
// measure.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "base/result.h"

namespace millrace::perf {

inline void require(const result<void>& done) {
  if (done) return;
  std::fprintf(stderr, "%s\n", to_string(done.error()).c_str());
  std::exit(1);
}

template <class T>
T require(result<T> made) {
  if (!made) require(result<void>(std::unexpected(std::move(made).error())));
  return *std::move(made);
}

}  // namespace millrace::perf
