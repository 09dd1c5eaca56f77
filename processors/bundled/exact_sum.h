// exact_sum: the sum of JSON's numbers, and numbers as bytes.
#pragma once

#include <cstdint>
#include <millrace/json.h>
#include <string>
#include <string_view>

namespace millrace::bundled {

// A number, whole ones as such, or null.
void put_number(const json& value, std::string& to);
// Takes it from the front. Throws if there is none.
json take_number(std::string_view& from);

// Infinity and not-a-number have no place in JSON: null.
json finite(double value);

// A sum that stays whole as long as what it is made of is, and it fits 64 bits; else compensated (Neumaier).
class exact_sum {
 public:
  void add(const json& number);
  void merge(const exact_sum& other);
  json value() const;
  void encode(std::string& to) const;
  static exact_sum decode(std::string_view& from);

 private:
  void add_double(double number);
  void become_double();

  bool is_whole_ = true;
  std::int64_t whole_ = 0;
  double sum_ = 0;
  double lost_ = 0;
};

}  // namespace millrace::bundled
