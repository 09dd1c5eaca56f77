// sample: passes on a share of the records, as they are. Which ones depends on nothing but what they hold, so
// that a replay takes the same.
//
//   share = 0.1             of the records, or of the values of `by`
//   by = "user"             all records with the same value, or none; without it each for itself
#include <memory>
#include <millrace/partition.h>

#include "processors/bundled/expression.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/pass.h"
#include "processors/bundled/reader.h"

namespace millrace::bundled {

void build_sample(topology& t, settings& from) {
  const auto share = from.number("share");
  if (!share) from.refuse("share", "it is missing; a number from 0 to 1 is expected, such as 0.1");
  if (*share < 0 || *share > 1) from.refuse("share", "a number from 0 to 1 is expected");
  const auto source = std::make_shared<reader>(from);
  std::vector<expression> by;
  if (const auto text = from.text("by")) by.push_back(interpreter::make()->compile(from, "by", *text));
  t.keep_headers();
  const std::size_t first = t.add_step({"from", "input", {}, {}, true});
  const std::size_t sample =
      t.add_step({"sample",
                  from.text("share").value_or("") + (by.empty() ? "" : " by " + by[0].text()),
                  {first},
                  {},
                  false});
  t.add_step({"to", main_output, {sample}, {}, true});
  const double limit = *share * 4294967296.0;
  t.set_source(
      [source, by, limit, out = t.add_output(main_output)](const record& one, const detail::moment& when) {
        std::optional<std::string> of = std::to_string(one.offset());
        if (!by.empty()) {
          const json value = source->read(one);
          of = by[0].key_text({value, one});
          if (!of) throw failure("by = \"" + by[0].text() + "\": it is missing");
        }
        // Twice, since what differs little in its last bytes differs little in its murmur2, too.
        const std::string hash = std::to_string(murmur2(*of));
        if (static_cast<double>(murmur2(hash)) < limit) pass(one, out, when);
      });
}

}  // namespace millrace::bundled
