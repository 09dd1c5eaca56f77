// processor_bench: what a processor costs inside the broker, per record and per batch, without disk and
// sockets.
//
//   processor_bench [RECORDS_PER_BATCH ...]
//
// For each size: a call through the ABI that does nothing, in ns; decoding a stored batch, running
// line_cleaner on it, and making batches of what it emits, in ns a record; the sum in MB/s of record values.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <malloc.h>
#include <vector>

#include "processors/examples/line_cleaner/line_cleaner.cc"
#include "processors/host/deployment.h"
#include "processors/host/derived_batches.h"
#include "processors/host/instance.h"
#include "processors/host/record_block.h"
#include "protocol/batch_builder.h"

using namespace millrace;
using namespace millrace::processors;

namespace {

using clock_type = std::chrono::steady_clock;
constexpr double measured_seconds = 0.4;

// Nanoseconds that one call of `work` takes, best of three.
template <class Work>
double time_of(Work work) {
  double best = 1e18;
  for (int round = 0; round < 3; ++round) {
    const auto began = clock_type::now();
    uint64_t calls = 0;
    double seconds = 0;
    do {
      for (int i = 0; i < 16; ++i) work();
      calls += 16;
      seconds = std::chrono::duration<double>(clock_type::now() - began).count();
    } while (seconds < measured_seconds / 3);
    best = std::min(best, seconds * 1e9 / static_cast<double>(calls));
  }
  return best;
}

slice make_batch(uint64_t records, size_t& value_bytes) {
  protocol::batch_builder builder;
  value_bytes = 0;
  for (uint64_t i = 0; i < records; ++i) {
    const std::string line =
        fmt::format("2026-01-05T12:00:{:02}Z, station-{:03}, {}.{:02}, {}, all is well here", i % 60, i % 500,
                    i % 40, i % 100, i % 101);
    value_bytes += line.size();
    builder.add(1'767'225'600'000 + static_cast<int64_t>(i), as_bytes("17"), as_bytes(line));
  }
  return builder.build({});
}

deployment deploy(std::shared_ptr<const plugin> code) {
  processor_spec spec;
  spec.name = "bench";
  spec.library = "linked in";
  spec.input = "in";
  for (const std::string& output : code->outputs()) spec.outputs[output] = output;
  spec.options = {{"columns", "time:text, station:text, celsius:number, humidity:number?, note:text?"}};
  return deployment::assemble({spec}, {code}).value();
}

int32_t do_nothing(void*, const millrace_call* call) {
  *call->records_done = call->record_count;
  return MILLRACE_OK;
}

}  // namespace

int main(int argc, char** argv) {
  // As millraced does: memory that is taken and given back all the time stays with the process.
  ::mallopt(M_MMAP_THRESHOLD, 32 * 1024 * 1024);
  ::mallopt(M_TRIM_THRESHOLD, 256 * 1024 * 1024);
  std::vector<uint64_t> sizes;
  for (int i = 1; i < argc; ++i) sizes.push_back(std::strtoull(argv[i], nullptr, 10));
  if (sizes.empty()) sizes = {1, 10, 100, 1000};

  millrace_processor idle = *millrace_processor_entry(MILLRACE_PROCESSOR_ABI_VERSION);
  idle.process = do_nothing;
  const deployment idling = deploy(plugin::wrap(&idle).value());
  const deployment cleaning =
      deploy(plugin::wrap(millrace_processor_entry(MILLRACE_PROCESSOR_ABI_VERSION)).value());
  const auto nobody = instance::create(*idling.processors()[0], 0).value();
  const auto cleaner = instance::create(*cleaning.processors()[0], 0).value();

  std::printf("%8s %12s %12s %12s %12s %12s %10s\n", "records", "call ns", "decode ns/r", "clean ns/r",
              "build ns/r", "total ns/r", "MB/s");
  for (const uint64_t size : sizes) {
    size_t value_bytes = 0;
    const slice batch = make_batch(size, value_bytes);
    record_block block;
    batch_assembler assembler;
    const double decode = time_of([&] {
      if (!block.fill(batch)) std::abort();
      if (block.from(0, true).size() != size) std::abort();
    });
    const auto records = block.from(0, true);
    const double call = time_of([&] { nobody->run(records); });
    const double clean = time_of([&] {
      if (cleaner->run(records).records_done != size) std::abort();
    });
    const double build = time_of([&] {
      if (assembler.assemble(cleaner->output(), {}, records, 2, protocol::codec::none).size() != 1)
        std::abort();
    });
    const double count = static_cast<double>(size);
    const double total = decode + clean + build;
    std::printf("%8llu %12.1f %12.1f %12.1f %12.1f %12.1f %10.0f\n", static_cast<unsigned long long>(size),
                call, decode / count, clean / count, build / count, total / count,
                static_cast<double>(value_bytes) / total * 1e3);
  }
}
