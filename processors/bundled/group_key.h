// group_key: what records are grouped by, in aggregate and alert.
//
//   key = "road"                 an expression; without it the key of the Kafka record
//   within_partition = true      needed with `key`: says that records of one key are in one partition
//   key_name = "road"            what results call it, "key" if not given
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "processors/bundled/expression.h"
#include "processors/bundled/settings.h"

namespace millrace::bundled {

class group_key {
 public:
  group_key(settings& from, interpreter& with);
  // Nothing if there is none. Throws if it is no text.
  std::optional<std::string> of(const row& one) const;
  const std::string& name() const { return name_; }
  std::string describe() const { return by_.empty() ? "key of the record" : by_[0].text(); }

 private:
  std::vector<expression> by_;  // one or none
  std::string name_;
};

}  // namespace millrace::bundled
