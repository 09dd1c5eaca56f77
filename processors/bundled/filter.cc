// filter: passes on the records for which an expression is true, as they are.
//
//   keep = "speed > 30 and road == 'A1'"
#include <memory>

#include "processors/bundled/expression.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/pass.h"
#include "processors/bundled/reader.h"

namespace millrace::bundled {

void build_filter(topology& t, settings& from) {
  const auto source = std::make_shared<reader>(from);
  const expression keep = interpreter::make()->compile(
      from, "keep", from.required("keep", "an expression that is true for what passes"));
  t.keep_headers();
  const std::size_t first = t.add_step({"from", "input", {}, {}, true});
  const std::size_t filter = t.add_step({"filter", keep.text(), {first}, {}, false});
  t.add_step({"to", main_output, {filter}, {}, true});
  t.set_source(
      [source, keep, out = t.add_output(main_output)](const record& one, const detail::moment& when) {
        const json value = source->read(one);
        if (keep.truth({value, one})) pass(one, out, when);
      });
}

}  // namespace millrace::bundled
