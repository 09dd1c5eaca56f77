#include "processors/bundled/exact_sum.h"

#include <cmath>
#include <millrace/sketches.h>

namespace millrace::bundled {

json finite(double value) {
  return std::isfinite(value) ? json(value) : json();
}

void put_number(const json& value, std::string& to) {
  if (value.is_null()) {
    to += '\0';
  } else if (value.is_whole()) {
    to += '\1';
    serde<std::int64_t>::encode(value.whole(), to);
  } else {
    to += '\2';
    detail::put_double(value.number(), to);
  }
}

json take_number(std::string_view& from) {
  if (from.empty()) throw failure("what the store holds is no aggregate");
  const char kind = from[0];
  from.remove_prefix(1);
  if (kind == '\0') return {};
  if (from.size() < 8 || kind > '\2') throw failure("what the store holds is no aggregate");
  json value;
  if (kind == '\1')
    value = json(serde<std::int64_t>::decode(from.substr(0, 8)));
  else
    value = json(serde<double>::decode(from.substr(0, 8)));
  from.remove_prefix(8);
  return value;
}

void exact_sum::add(const json& number) {
  if (is_whole_ && number.is_whole()) {
    std::int64_t next = 0;
    if (!__builtin_add_overflow(whole_, number.whole(), &next)) {
      whole_ = next;
      return;
    }
  }
  become_double();
  add_double(number.number());
}

void exact_sum::become_double() {
  if (!is_whole_) return;
  is_whole_ = false;
  sum_ = static_cast<double>(whole_);
  whole_ = 0;
}

void exact_sum::add_double(double number) {
  const double next = sum_ + number;
  if (std::isfinite(next))
    lost_ += std::fabs(sum_) >= std::fabs(number) ? (sum_ - next) + number : (number - next) + sum_;
  sum_ = next;
}

void exact_sum::merge(const exact_sum& other) {
  if (other.is_whole_) return add(json(other.whole_));
  become_double();
  add_double(other.sum_);
  lost_ += other.lost_;
}

json exact_sum::value() const {
  return is_whole_ ? json(whole_) : finite(sum_ + lost_);
}

void exact_sum::encode(std::string& to) const {
  put_number(is_whole_ ? json(whole_) : json(sum_), to);
  if (!is_whole_) detail::put_double(lost_, to);
}

exact_sum exact_sum::decode(std::string_view& from) {
  exact_sum made;
  const json value = take_number(from);
  made.is_whole_ = value.is_whole();
  if (made.is_whole_) {
    made.whole_ = value.whole();
  } else {
    made.sum_ = value.number();
    made.lost_ = detail::take_double(from);
  }
  return made;
}

}  // namespace millrace::bundled
