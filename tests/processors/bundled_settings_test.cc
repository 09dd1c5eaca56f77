// Mistakes in configurations are found before any record, and the message names the key, the value and what
// is possible.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

#include "tests/processors/bundled_kit.h"

using namespace bundled_kit;
using testing::HasSubstr;

namespace {

using mistake = std::pair<config, std::string>;

// `with` on top of what the kind needs.
void expect_refused(const config& needed, const std::vector<mistake>& mistakes) {
  ASSERT_EQ(refusal(needed), "none");
  for (const auto& [with, message] : mistakes) {
    config whole = needed;
    for (const auto& [key, value] : with) {
      if (value == "(none)")
        whole.erase(key);
      else
        whole[key] = value;
    }
    EXPECT_THAT(refusal(whole), HasSubstr(message));
  }
}

TEST(bundled_settings, of_all) {
  EXPECT_THAT(refusal({}), HasSubstr("config.processor: it is missing; one of aggregate, alert, clean"));
  EXPECT_THAT(refusal({{"processor", "join"}}),
              HasSubstr("config.processor = \"join\": there is no such bundled processor"));
  expect_refused(
      {{"processor", "filter"}, {"keep", "a"}},
      {{{{"kep", "b"}},
        "config.kep = \"b\": there is no such key; there are columns, format, keep, processor, separator"},
       {{{"keep", "(none)"}}, "config.keep: it is missing"},
       {{{"separator", ";"}}, "config.separator = \";\": it goes with format = \"csv\""},
       {{{"format", "xml"}}, "config.format = \"xml\": json or csv is expected"},
       {{{"format", "csv"}}, "config.columns: with format = \"csv\" the names of the columns are expected"},
       {{{"format", "csv"}, {"columns", "a, a"}}, "there are two columns a"},
       {{{"format", "csv"}, {"columns", "a:colour"}}, "\"colour\" is no type; text, number"},
       {{{"format", "csv"}, {"columns", "a"}, {"separator", ";;"}}, "one character or \"tab\""}});
}

TEST(bundled_settings, of_map_route_and_sample) {
  expect_refused({{"processor", "map"}, {"fields.a", "b"}},
                 {{{{"fields.a", "(none)"}}, "config.fields: a table of NAME = \"expression\""},
                  {{{"others", "maybe"}}, "config.others = \"maybe\": drop or keep is expected"},
                  {{{"remove", "x"}}, "it goes with others = \"keep\""},
                  {{{"key", "1 +"}}, "config.key = \"1 +\": not an expression"}});
  expect_refused({{"processor", "route"}, {"outputs.a", "b"}},
                 {{{{"outputs.a", "(none)"}}, "config.outputs: a table of NAME"},
                  {{{"rest", "a"}}, "config.rest = \"a\": it is an output with an expression already"}});
  expect_refused({{"processor", "sample"}, {"share", "0.1"}},
                 {{{{"share", "(none)"}}, "config.share: it is missing; a number from 0 to 1"},
                  {{{"share", "2"}}, "config.share = \"2\": a number from 0 to 1"},
                  {{{"share", "some"}}, "config.share = \"some\": a number is expected"}});
}

TEST(bundled_settings, of_clean) {
  expect_refused(
      {{"processor", "clean"}, {"fields.a.cast", "number"}},
      {{{{"fields.a.cast", "(none)"}}, "config.fields: a table of rules is expected"},
       {{{"fields.a.cast", "colour"}}, "config.fields.a.cast = \"colour\": \"colour\" is no type"},
       {{{"fields.a.casts", "text"}}, "there is no rule \"casts\"; there are cast, default"},
       {{{"fields.a", "text"}}, "a table of rules is expected: NAME.cast"},
       {{{"fields.a.default", "x"}}, "config.fields.a.default = \"x\": it is not of the type"},
       {{{"fields.a.missing", "lose"}}, "keep or drop or fail is expected"},
       {{{"fields.a.default", "1"}, {"fields.a.missing", "drop"}},
        "with a default there are no missing fields"},
       {{{"fields.a.min", "3"}, {"fields.a.max", "2"}}, "config.fields.a.min = \"3\": it is above max"},
       {{{"fields.a.min", "x"}}, "config.fields.a.min = \"x\": a number is expected"},
       {{{"fields.a.outside", "drop"}}, "it goes with min or max"},
       {{{"fields.a.trim", "yes"}}, "true or false is expected"},
       {{{"unique", "id"}}, "config.within: it is missing"},
       {{{"within", "1min"}}, "it goes with unique"}});
}

TEST(bundled_settings, of_aggregate) {
  expect_refused(
      {{"processor", "aggregate"}, {"window", "1min"}, {"results.n", "count()"}},
      {{{{"results.n", "(none)"}}, "config.results: results are expected"},
       {{{"results.n", "average(x)"}}, "config.results.n = \"average(x)\": a function is expected: count()"},
       {{{"results.n", "count(a, b)"}}, "count() or count(x) is expected"},
       {{{"results.n", "sum()"}}, "sum(x) is expected"},
       {{{"results.n", "sum(x >)"}}, "not an expression of Lua"},
       {{{"results.n", "quantile(x)"}}, "quantile(x, 0.95) is expected"},
       {{{"results.n", "quantile(x, 95)"}}, "the second argument is a number from 0 to 1"},
       {{{"results.n", "top(0, x)"}}, "the first argument is a whole number from 1 to 100"},
       {{{"results.window_start", "count()"}}, "results have a member window_start already"},
       {{{"window", "1 minute"}}, "config.window = \"1 minute\": a time with its unit (ms, s, min, h or d)"},
       {{{"window", "0s"}}, "at least 1ms is expected"},
       {{{"window", "9999999999d"}}, "at most 1,000 years"},
       {{{"every", "2min"}}, "windows that begin farther apart than they are long leave gaps"},
       {{{"every", "1ms"}}, "each record would be in more than 10,000 windows"},
       {{{"session", "1min"}}, "one of window, sliding and session is possible"},
       {{{"window", "(none)"}, {"grace", "1s"}},
        "config.grace = \"1s\": it goes with window, sliding or session"},
       {{{"window", "(none)"}, {"every", "1s"}}, "config.every = \"1s\": it goes with window"},
       {{{"window", "(none)"}, {"session", "1s"}, {"emit", "update"}}, "give results when they are closed"},
       {{{"emit", "never"}}, "close or update is expected"},
       {{{"key", "road"}}, "config.key = \"road\": records of one key must be in one partition"}});
}

TEST(bundled_settings, of_alert) {
  expect_refused(
      {{"processor", "alert"}, {"value", "x"}, {"above", "3"}},
      {{{{"above", "(none)"}, {"value", "(none)"}}, "at least one of above, below, rise, fall and absent"},
       {{{"value", "(none)"}}, "config.value: it is missing"},
       {{{"above", "(none)"}, {"absent", "1min"}}, "config.value = \"x\": it goes with above"},
       {{{"below", "3"}}, "config.below = \"3\": it is not less than above"},
       {{{"margin", "-1"}}, "a number from 0 on"},
       {{{"rise", "1"}}, "config.per: it is missing"},
       {{{"per", "1min"}}, "it goes with rise or fall"},
       {{{"key_name", "limit"}}, "results have a member of that name already"}});
}

TEST(bundled_settings, of_enrich) {
  expect_refused(
      {{"processor", "enrich"}, {"fields.a", "b"}},
      {{{{"fields.a", "(none)"}}, "config.fields: a table of NAME = \"expression on the table's entry\""},
       {{{"under", "a"}}, "config.under = \"a\": fields has one of that name already"},
       {{{"under", ""}}, "a name is expected"},
       {{{"missing", "lose"}}, "keep or drop or fail is expected"},
       {{{"key", "road"}},
        "config.key = \"road\": records must be in the partition that has their entry of the table"},
       {{{"key_name", "road"}},
        "there is no such key; there are columns, format, key, missing, processor, "
        "separator, table.columns, table.format, table.separator, under, "
        "within_partition, fields.NAME"},
       {{{"table.separator", ";"}}, "config.table.separator = \";\": it goes with table.format = \"csv\""},
       {{{"table.format", "csv"}}, "config.table.columns: with table.format = \"csv\" the names"}});
}

}  // namespace
