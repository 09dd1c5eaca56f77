// clean: puts fields right, and drops records that are of no use or have been there already.
//
//   fields.NAME.trim = true          a text loses blanks at both ends
//   fields.NAME.cast = "number"      text, number, whole or boolean; what cannot be one counts as missing
//   fields.NAME.default = 0          what a missing field becomes
//   fields.NAME.missing = "drop"     a record without it: "keep" (the default), "drop", "fail"
//   fields.NAME.min, .max            bounds of a number
//   fields.NAME.outside = "clamp"    what becomes of one beyond them: "clamp" (the default), "drop", "fail"
//   unique = "id"                    of records with the same value the first is kept,
//   within = "10min"                 if they come within this time of each other
//
// NAME may be a path: position.lat. A field is missing if it is not there, null, or a text of nothing once
// trimmed.
#include <cmath>
#include <map>
#include <memory>
#include <utility>

#include "processors/bundled/cleaner.h"
#include "processors/bundled/expression.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/pass.h"
#include "processors/bundled/reader.h"
#include "processors/bundled/seen.h"

namespace millrace::bundled {

void build_clean(topology& t, settings& from) {
  const auto source = std::make_shared<reader>(from);
  const auto rules = std::make_shared<cleaner>(from);
  t.keep_headers();
  const std::size_t first = t.add_step({"from", "input", {}, {}, true});
  std::size_t last = t.add_step({"clean", rules->describe(), {first}, {}, false});
  const auto known = seen::make(t, from, last);
  if (known) last = known->step();
  if (rules->empty() && !known)
    from.refuse("fields", "a table of rules is expected, or unique = \"expression\"");
  t.add_step({"to", main_output, {last}, {}, true});
  t.set_source(
      [source, rules, known, out = t.add_output(main_output)](const record& one, const detail::moment& when) {
        json value = source->read(one);
        if (!rules->apply(value)) return when.ctx().count("dropped");
        if (known && !known->is_first({value, one}, when)) return when.ctx().count("duplicates");
        pass_as(value, one, out, when);
      });
}

}  // namespace millrace::bundled
