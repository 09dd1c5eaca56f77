// record_key: what puts records into one partition and one place: the key of the Kafka record, or an
// expression.
//
//   key = "road"                 an expression; without it the key of the Kafka record
//   within_partition = true      needed with `key`: says that records are where they belong by it
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "processors/bundled/expression.h"
#include "processors/bundled/settings.h"

namespace millrace::bundled {

class record_key {
 public:
  // `need` is what within_partition says: "records of one key must be in one partition".
  record_key(settings& from, interpreter& with, std::string_view need);
  // Any bytes, if it is that of the record, else a text. Nothing if there is none.
  std::optional<std::string> of(const row& one) const;
  std::string describe() const { return by_.empty() ? "key of the record" : by_[0].text(); }

 private:
  std::vector<expression> by_;  // one or none
};

}  // namespace millrace::bundled
