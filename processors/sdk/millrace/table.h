// millrace/table.h: a store with typed keys and values.
//
//     class counter {
//      public:
//       explicit counter(const millrace::setup& setup) : counts_(setup, "counts"),
//       out_(setup.output("counts")) {} void process(const millrace::record& record, millrace::context&
//       context) {
//         const auto word = record.key_as<std::string>();
//         const std::int64_t count = counts_.get(context, word).value_or(0) + 1;
//         counts_.put(context, word, count);
//         context.emit(out_, word, std::to_string(count));
//       }
//      private:
//       millrace::table<std::string, std::int64_t> counts_;
//       millrace::output out_;
//     };
//
// The broker keeps one such store for each partition of the input, in the order of the keys' bytes
// (ordered<T> for integers), and its changes in the topic `<processor>-<store>-changelog`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "processor.h"
#include "serde.h"

namespace millrace {
inline namespace sdk_v1 {

template <class Key, class Value>
class table {
 public:
  table() = default;
  // The store must be declared in the definition.
  table(const setup& from, std::string_view name) : store_(from.store(name)) {}

  std::optional<Value> get(const context& in, const Key& key) const {
    const maybe_bytes found = in.get(store_, encode(key));
    if (!found) return std::nullopt;
    return decode<Value>(*found);
  }
  void put(context& in, const Key& key, const Value& value) const {
    in.put(store_, encode(key), encode(value));
  }
  void erase(context& in, const Key& key) const { in.erase(store_, encode(key)); }

  // Calls `visit(key, value)` for each entry from `from` on, in the order of the keys, until it returns
  // false. It may change the table.
  template <class Visit>
  void each_from(const context& in, const Key& from, Visit visit) const {
    each(in, encode(from), std::move(visit));
  }
  // The same for all entries.
  template <class Visit>
  void each(const context& in, Visit visit) const {
    each(in, std::string(), std::move(visit));
  }

 private:
  template <class Visit>
  void each(const context& in, std::string at, Visit visit) const {
    std::optional<entry> found = in.first_from(store_, at);
    while (found) {
      at.assign(found->key);
      if (!visit(decode<Key>(at), decode<Value>(found->value))) return;
      found = in.next_behind(store_, at);
    }
  }

  store store_;
};

}  // namespace sdk_v1
}  // namespace millrace
