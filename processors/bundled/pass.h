// pass: a record as it is, and one with another value, to an output.
#pragma once

#include <millrace/json.h>
#include <millrace/topology.h>

namespace millrace::bundled {

// With its headers, if the topology keeps them, and its timestamp.
inline void pass(const record& one, output to, const detail::moment& when) {
  when.ctx().emit(to, one);
  when.of->spent_bytes += one.key().value_or("").size() + one.value().value_or("").size();
}

// The same with another value.
inline void pass_as(const json& value, const record& one, output to, const detail::moment& when) {
  const std::string bytes = encode(value);
  when.ctx().emit(to, emission(one).value(bytes));
  when.of->spent_bytes += one.key().value_or("").size() + bytes.size();
}

}  // namespace millrace::bundled
