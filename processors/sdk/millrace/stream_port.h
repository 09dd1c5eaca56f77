// millrace/stream_port.h: what carries records from step to step of a topology. For <millrace/stream.h>.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "processor.h"
#include "serde.h"
#include "topology.h"

namespace millrace {
inline namespace sdk_v1 {
namespace detail {

// Bytes that may be null, as a T and back: only std::optional<T> takes null.
template <class T>
struct nullable {
  static T decode(const maybe_bytes& bytes, const char* part) {
    if (!bytes) throw failure(std::string("the ") + part + " is null");
    try {
      return serde<T>::decode(*bytes);
    } catch (const std::exception& e) {
      throw failure(std::string("the ") + part + " is " + e.what());
    }
  }
  // A view of `into`.
  static maybe_bytes encode(const T& from, std::string& into) {
    serde<T>::encode(from, into);
    return std::string_view(into);
  }
};
template <class T>
struct nullable<std::optional<T>> {
  static std::optional<T> decode(const maybe_bytes& bytes, const char* part) {
    if (!bytes) return std::nullopt;
    return nullable<T>::decode(bytes, part);
  }
  static maybe_bytes encode(const std::optional<T>& from, std::string& into) {
    if (!from) return std::nullopt;
    return nullable<T>::encode(*from, into);
  }
};

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

// f(key, value), or f(value) if that is what it takes.
template <class F, class K, class V>
decltype(auto) apply_to(F& f, const K& key, const V& value) {
  if constexpr (std::is_invocable_v<F&, const K&, const V&>)
    return f(key, value);
  else
    return f(value);
}
template <class F, class K, class V>
using result_of =
    std::decay_t<decltype(apply_to(std::declval<F&>(), std::declval<const K&>(), std::declval<const V&>()))>;

// Where a step's records come out. It owns, by what is connected, the steps behind it.
template <class K, class V>
class port {
 public:
  using receiver = std::function<void(const K&, const V&, const moment&)>;
  void connect(receiver next) { next_.push_back(std::move(next)); }
  void push(const K& key, const V& value, const moment& when) const {
    for (const receiver& next : next_) next(key, value, when);
  }

 private:
  std::vector<receiver> next_;
};

template <class K, class V>
using port_ptr = std::shared_ptr<port<K, V>>;

// A place in a topology: what every step hands on to the next while it is built.
template <class K, class V>
struct place {
  topology* in;
  port_ptr<K, V> from;
  std::size_t step;
  bool has_new_key;  // the key is not the one that put the record into its partition

  // Before what keeps state by key.
  void require_own_key() const {
    if (has_new_key)
      throw failure(
          "the key has changed: send the records to where they belong by it, with through(\"a name\") "
          "before this step, or say within_partition where it changes");
  }
};

// Adds a step behind `at` that gives <K2, V2>.
template <class K2, class V2, class K, class V>
place<K2, V2> behind(const place<K, V>& at, std::string what, bool has_new_key, std::string text = {}) {
  return {at.in, std::make_shared<port<K2, V2>>(),
          at.in->add_step({std::move(what), std::move(text), {at.step}, {}, false}), has_new_key};
}

// A late record: counted, and sent on as it came in if there is somewhere to send it.
struct late_policy {
  std::string count_as;
  std::optional<output> to;

  void apply(const moment& when, std::string_view missed_window = {}) const {
    when.ctx().count(count_as);
    if (!to) return;
    const record& cause = *when.of->cause;
    emission sent;
    if (when.is_input) sent = emission(cause);
    sent.key(cause.key()).value(cause.value()).timestamp_ms(cause.timestamp_ms());
    if (!missed_window.empty()) sent.header("millrace.window", missed_window);
    when.of->spent_bytes += cause.key().value_or("").size() + cause.value().value_or("").size();
    when.ctx().emit(*to, sent);
  }
};

}  // namespace detail
}  // namespace sdk_v1
}  // namespace millrace
