// outcomes: what a verb that does one thing to several names tells about each.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/cli/verb.h"

namespace millrace::tools {

struct outcome_words {
  std::string name_key = "name";  // in JSON
  std::string done_key;           // in JSON: "created"; false where it was as wanted before
  std::string done;               // "Created topic {}."
  std::string as_wanted;          // "Topic {} exists already."
  errc as_wanted_code;            // the error that means so,
  bool is_as_wanted_fine;         // which is none if the user said so
  // A better message than the broker's for that error, if there is one.
  std::function<error(const std::string& name, const error& e)> explain = {};
};

// Tells each outcome, as JSON or text. failure if any is an error.
exit_code tell_outcomes(context& ctx, const std::vector<std::string>& names,
                        const std::vector<result<void>>& outcomes, const outcome_words& words);

// What became of one partition.
struct partition_outcome {
  std::string topic;
  int32_t partition = 0;
  result<std::string> done;             // what to tell a person
  std::optional<int64_t> first_offset;  // in JSON, if there is one
};

// Tells each, as JSON or text. failure if any is an error.
exit_code tell_outcomes(context& ctx, const std::vector<partition_outcome>& outcomes);

// A person at a terminal is asked `question` and must say yes; a script, or one who gave --yes, is not asked.
bool is_confirmed(const std::string& question, bool is_sure);

// What `millrace NOUN delete NAME...` deletes.
struct deletable {
  std::string noun;      // "topic"
  std::string goes_too;  // "all records in it"
  std::string summary;
  std::string examples;
  std::string name_key = "name";  // in JSON
  errc unknown_code;              // of a name that there is not
  std::function<result<std::vector<result<void>>>(handle&, const std::vector<std::string>&)> remove;
  // The error for such a name, with the nearest one that there is.
  std::function<result<void>(handle&, const std::string&)> find;
};

// Adds the verb "delete" for `what`.
void add_delete(CLI::App& noun, context& ctx, const deletable& what);

}  // namespace millrace::tools
