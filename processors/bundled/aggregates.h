// aggregates: the functions that `aggregate` computes of a group's records, and what it keeps of them.
//
//   count()  count(x)            records; those for which x is there, and is not false
//   sum(x) mean(x) min(x) max(x) of numbers
//   variance(x) stddev(x)        of numbers as a sample (by count - 1)
//   quantile(x, 0.95)            of numbers, by DDSketch: at most 1 % off
//   distinct(x)                  different values, by HyperLogLog
//   top(5, x)  top(5, x, weight) the most frequent values, or of the largest sum of weights, by SpaceSaving
//
// x and weight are expressions (expression.h). Records for which one is missing do not count in that
// function.
#pragma once

#include <cstdint>
#include <millrace/aggregates.h>
#include <millrace/json.h>
#include <millrace/sketches.h>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "processors/bundled/exact_sum.h"
#include "processors/bundled/expression.h"
#include "processors/bundled/settings.h"

namespace millrace::bundled {

// The smallest or largest number, as it came; null if there is none.
using extreme = json;

// What is kept for one function of one group.
using cell =
    std::variant<std::int64_t, exact_sum, mean, extreme, quantile_sketch, distinct_sketch, heavy_sketch>;
using group = std::vector<cell>;

enum class function : std::uint8_t { count, sum, mean, min, max, variance, stddev, quantile, distinct, top };

// What a record brings to the functions: by the number of the argument; null where it is missing.
using arguments = std::vector<json>;

// The functions of a configuration.
class aggregates {
 public:
  // From the tables of `from` named `name`: result's name = function.
  aggregates(settings& from, std::string_view name, interpreter& with);

  arguments evaluate(const row& one) const;
  group nothing() const;
  void add(group& to, const arguments& from) const;
  void merge(group& to, const group& other) const;
  // The results as members of `to`, in the order of their names.
  void put_results(const group& from, json& to) const;
  std::string encode(const group& from) const;
  group decode(std::string_view from) const;
  // What the layout of the bytes depends on, as text.
  const std::string& layout() const { return layout_; }
  std::string describe() const;

 private:
  // What is kept; several results may come from one.
  struct kept {
    function what;
    std::size_t argument;
    std::size_t weight;
    std::size_t top;
  };
  struct shown {
    std::string name;
    std::string text;
    function what;
    double q;
    std::size_t cell;
  };
  static constexpr std::size_t no_argument = SIZE_MAX;

  void read(settings& from, const std::string& key, const std::string& name, const std::string& text,
            interpreter& with);
  std::size_t argument_of(settings& from, const std::string& key, const std::string& text, interpreter& with);
  std::size_t keep(kept one, const std::string& text);
  cell empty_cell(const kept& one) const;
  json result_of(const shown& one, const group& from) const;

  std::vector<expression> arguments_;
  std::vector<kept> kept_;
  std::vector<std::string> kept_texts_;
  std::vector<shown> shown_;
  std::string layout_;
};

}  // namespace millrace::bundled
