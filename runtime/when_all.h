// when_all: runs tasks side by side on this shard and waits for all of them.
#pragma once

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/gate.h"
#include "runtime/task.h"

namespace millrace::runtime {

namespace detail {
template <class T>
task<void> store_value(task<T> t, std::optional<T>& into) {
  into.emplace(co_await t);
}
}  // namespace detail

// The values, in the order of the tasks.
template <class T>
task<std::vector<T>> when_all(std::vector<task<T>> tasks) {
  std::vector<std::optional<T>> values(tasks.size());
  gate running;
  for (size_t i = 0; i < tasks.size(); ++i)
    running.spawn(detail::store_value(std::move(tasks[i]), values[i]));
  co_await running.close();
  std::vector<T> out;
  out.reserve(values.size());
  for (std::optional<T>& value : values) out.push_back(std::move(*value));
  co_return out;
}

inline task<void> when_all(std::vector<task<void>> tasks) {
  gate running;
  for (task<void>& t : tasks) running.spawn(std::move(t));
  co_await running.close();
}

}  // namespace millrace::runtime
