// try_plugin SHOUT.so LINE_CLEANER.so: loads the two examples, however they were built, and runs them through
// the host's side of the ABI. Both are loaded twice over, as an old and a new version would be.
#include <cstdio>
#include <cstdlib>

#include "tests/processors/processor_kit.h"
#include "tests/temporary_directory.h"

using namespace millrace;
using namespace millrace::processors;

namespace {

using lines = std::vector<std::string>;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "failed: %s\n", what);
  std::exit(1);
}

lines run(const deployed_processor& processor, std::string_view value) {
  auto made = instance::create(processor, 0);
  expect(made.has_value(), "an instance is made");
  const millrace_record one = kit::record(value);
  const run_outcome outcome = (*made)->run(std::span(&one, 1));
  expect(outcome.records_done == 1 && !outcome.failure, "the record is processed");
  return kit::lines_of((*made)->output());
}

void try_both(const char* shout, const char* cleaner, const std::string& store) {
  std::vector<processor_spec> specs(2);
  specs[0].name = "shout";
  specs[0].library = shout;
  specs[0].input = "quiet";
  specs[0].outputs = {{"loud", "loud"}};
  specs[1].name = "cleaner";
  specs[1].library = cleaner;
  specs[1].input = "lines";
  specs[1].outputs = {{"clean", "clean"}, {"rejected", "rejected"}};
  specs[1].options = {{"columns", "name:text, size:number"}};
  const auto deployed = deployment::load(specs, store);
  if (!deployed) std::fprintf(stderr, "%s\n", deployed.error().message.c_str());
  expect(deployed.has_value(), "both load");
  expect(run(*deployed->processors()[0], "hey") == lines{"0>0 k=HEY"}, "shout shouts");
  expect(run(*deployed->processors()[1], "a, 1.5") == lines{R"(0>0 k={"name":"a","size":1.5})"},
         "a good line is clean");
  expect(run(*deployed->processors()[1], "a, x") ==
             lines{"0>1 k=a, x reject.reason:not a number reject.column:size"},
         "a bad line is rejected");
}

}  // namespace

int main(int argc, char** argv) {
  expect(argc == 3, "usage: try_plugin SHOUT.so LINE_CLEANER.so");
  const temporary_directory store;
  try_both(argv[1], argv[2], store.path());
  try_both(argv[1], argv[2], store.path());
}
