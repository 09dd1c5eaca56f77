#include "processors/bundled/group_key.h"

namespace millrace::bundled {

group_key::group_key(settings& from, interpreter& with) : name_(from.text("key_name").value_or("key")) {
  if (name_.empty()) from.refuse("key_name", "a name is expected");
  const bool is_within = from.truth("within_partition", false);
  const auto text = from.text("key");
  if (!text) return;
  by_.push_back(with.compile(from, "key", *text));
  if (!is_within)
    from.refuse(
        "key",
        "records of one key must be in one partition. If they are (the topic has one partition, or is "
        "partitioned by that), say so with within_partition = true; else bring them together first: a map "
        "with this key, and partition_by = \"key\" for its output");
}

std::optional<std::string> group_key::of(const row& one) const {
  if (!by_.empty()) return by_[0].key_text(one);
  const maybe_bytes key = one.from.key();
  if (!key) return std::nullopt;
  if (!detail::is_utf8(*key)) throw failure("the key is not a text: it is not UTF-8");
  return std::string(*key);
}

}  // namespace millrace::bundled
