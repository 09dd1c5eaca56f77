// cleaner: the rules of `clean` about fields; clean.cc says which there are.
#pragma once

#include <millrace/json.h>
#include <optional>
#include <string>
#include <vector>

#include "processors/bundled/reader.h"
#include "processors/bundled/settings.h"

namespace millrace::bundled {

class cleaner {
 public:
  explicit cleaner(settings& from);
  bool empty() const { return rules_.empty(); }
  // False if the record is to be dropped; throws if it is to fail.
  bool apply(json& record) const;
  std::string describe() const;

 private:
  enum class fate : std::uint8_t { keep, clamp, drop, fail };
  struct rule {
    std::string name;
    std::vector<std::string> path;
    bool is_trimmed = false;
    std::optional<field_type> cast;
    json otherwise;
    fate missing = fate::keep;
    std::optional<double> min;
    std::optional<double> max;
    json min_value;  // as it was written
    json max_value;
    fate outside = fate::clamp;
  };
  rule& rule_for(const std::string& name);
  void read(settings& from, const std::string& key, rule& into, const std::string& what,
            const std::string& text);
  bool apply(const rule& one, json& record) const;

  std::vector<rule> rules_;
};

}  // namespace millrace::bundled
