// route: sends records on, as they are, to each output whose expression is true for them.
//
//   outputs.NAME = "severity >= 4"     NAME is an output of the deployment
//   rest = "other"                     the output for those that go nowhere else; without it they are dropped
#include <memory>
#include <utility>

#include "processors/bundled/expression.h"
#include "processors/bundled/kinds.h"
#include "processors/bundled/pass.h"
#include "processors/bundled/reader.h"

namespace millrace::bundled {

void build_route(topology& t, settings& from) {
  struct way {
    expression when;
    output to;
  };
  const auto source = std::make_shared<reader>(from);
  const auto lua = interpreter::make();
  t.keep_headers();
  const std::size_t first = t.add_step({"from", "input", {}, {}, true});
  std::vector<way> ways;
  std::optional<output> rest;
  const auto rest_name = from.text("rest");
  for (const auto& [name, text] : from.table("outputs")) {
    if (rest_name == name) from.refuse("rest", "it is an output with an expression already");
    const expression when = lua->compile(from, "outputs." + name, text);
    const std::size_t step = t.add_step({"route", when.text(), {first}, {}, false});
    t.add_step({"to", name, {step}, {}, true});
    ways.push_back({when, t.add_output(name)});
  }
  if (ways.empty()) from.refuse("outputs", "a table of NAME = \"expression\" is expected");
  if (rest_name) {
    const std::size_t step = t.add_step({"route", "the rest", {first}, {}, false});
    t.add_step({"to", *rest_name, {step}, {}, true});
    rest = t.add_output(*rest_name);
  }
  t.set_source([source, ways, rest](const record& one, const detail::moment& when) {
    const json value = source->read(one);
    bool has_way = false;
    for (const way& w : ways) {
      if (!w.when.truth({value, one})) continue;
      has_way = true;
      pass(one, w.to, when);
    }
    if (has_way) return;
    if (rest)
      pass(one, *rest, when);
    else
      when.ctx().count("dropped");
  });
}

}  // namespace millrace::bundled
