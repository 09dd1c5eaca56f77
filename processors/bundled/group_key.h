// group_key: what records are grouped by, in aggregate and alert: a text.
//
//   key, within_partition        record_key.h
//   key_name = "road"            what results call it, "key" if not given
#pragma once

#include <optional>
#include <string>

#include "processors/bundled/record_key.h"

namespace millrace::bundled {

class group_key {
 public:
  group_key(settings& from, interpreter& with);
  // Nothing if there is none. Throws if it is no text.
  std::optional<std::string> of(const row& one) const;
  const std::string& name() const { return name_; }
  std::string describe() const { return by_.describe(); }

 private:
  record_key by_;
  std::string name_;
};

}  // namespace millrace::bundled
