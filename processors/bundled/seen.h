// seen: which values of an expression have been there within a time, for `clean`.
//
// The store "seen" holds each value with the timestamp of the record that it came with; "seen-calendar" when
// it may be forgotten (millrace/window_store.h).
#pragma once

#include <memory>
#include <millrace/topology.h>
#include <millrace/window_store.h>
#include <millrace/windows.h>
#include <string>

#include "processors/bundled/expression.h"
#include "processors/bundled/settings.h"

namespace millrace::bundled {

class seen {
 public:
  // Null without `unique`. Adds its step behind `source`.
  static std::shared_ptr<const seen> make(topology& t, settings& from, std::size_t source);
  // Whether no record with its value and a timestamp at most `within` away has been there; then it is noted.
  bool is_first(const row& one, const detail::moment& when) const;
  std::size_t step() const { return step_; }

 private:
  explicit seen(expression by) : by_(std::move(by)) {}
  // The first stream time at which nothing can be a duplicate of a record at `at_ms` any more.
  std::int64_t forget_at(std::int64_t at_ms) const {
    return detail::later(detail::later(at_ms, within_ms_), 1);
  }

  expression by_;
  std::int64_t within_ms_ = 0;
  std::size_t step_ = 0;
  store kept_;
  store calendar_;
};

}  // namespace millrace::bundled
