#include "processors/bundled/record_key.h"

namespace millrace::bundled {

record_key::record_key(settings& from, interpreter& with, std::string_view need) {
  const bool is_within = from.truth("within_partition", false);
  const auto text = from.text("key");
  if (!text) return;
  by_.push_back(with.compile(from, "key", *text));
  if (!is_within)
    from.refuse("key",
                std::string(need) +
                    ". If they are (the topic has one partition, or is partitioned by that), say so with "
                    "within_partition = true; else bring them together first: a map with this key, and "
                    "partition_by = \"key\" for its output");
}

std::optional<std::string> record_key::of(const row& one) const {
  if (!by_.empty()) return by_[0].key_text(one);
  const maybe_bytes key = one.from.key();
  if (!key) return std::nullopt;
  return std::string(*key);
}

}  // namespace millrace::bundled
