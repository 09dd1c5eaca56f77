#include "processors/bundled/group_key.h"

namespace millrace::bundled {

group_key::group_key(settings& from, interpreter& with)
    : by_(from, with, "records of one key must be in one partition"),
      name_(from.text("key_name").value_or("key")) {
  if (name_.empty()) from.refuse("key_name", "a name is expected");
}

std::optional<std::string> group_key::of(const row& one) const {
  std::optional<std::string> key = by_.of(one);
  if (key && !detail::is_utf8(*key)) throw failure("the key is not a text: it is not UTF-8");
  return key;
}

}  // namespace millrace::bundled
