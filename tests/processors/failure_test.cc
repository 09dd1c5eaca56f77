// What happens to records that fail: dead letters, attempts after a pause, refusal at the producer.
#include "processors/host/validators.h"
#include "tests/processors/host_bench.h"
#include "tests/processors/stateful_kit.h"

namespace millrace::processors {
namespace {

using namespace kit;

const std::vector<std::string> topics{"in", "in.counts", "c-counts-changelog", "c-meta-changelog", "dead"};

deployment deploy_counter(const std::function<void(processor_spec&)>& change) {
  const auto code = code_of<counter_traits>();
  processor_spec spec = spec_for(*code, "c", "in");
  change(spec);
  return deployment::assemble({spec}, {code}).value();
}

// Fails for a record until it has seen it `attempts` times, by a clock of its own: what a processor must not
// do, but what a machine at fault does.
class flaky {
 public:
  static inline int failures_left = 0;
  explicit flaky(const millrace::setup& setup) : out_(setup.output("out")) {}
  void process(const millrace::record& record, millrace::context& context) {
    context.emit(out_, record);
    if (record.value() == "flaky" && failures_left-- > 0) throw millrace::failure("not now");
  }

 private:
  millrace::output out_;
};
struct flaky_traits {
  using type = flaky;
  static constexpr millrace::definition shape = millrace::define("flaky", "1").output("out");
};

// Lets numbers pass.
class only_numbers {
 public:
  void process(const millrace::record& record, millrace::context&) {
    const std::string_view text = record.value().value_or("");
    for (const char c : text)
      if (c < '0' || c > '9') throw millrace::failure("not a number");
  }
};
struct only_numbers_traits {
  using type = only_numbers;
  static constexpr millrace::definition shape = millrace::define("only_numbers", "1");
};

class failure_test : public host_test {};

TEST_F(failure_test, a_dead_letter_is_the_record_and_why_it_failed) {
  const deployment what = deploy_counter([](processor_spec& s) {
    s.on_error = error_policy::dead_letter;
    s.dead_letter = "dead";
  });
  live(topics, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    const lsn frame = b.produce("in", {"a", "b=poison", "a"});
    EXPECT_EQ(b.store->open_lsn(b.log("in")), frame);
    EXPECT_EQ(b.log("dead").log_end().value(), 1);  // in the frame of its input
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.counts"), (values{"a:1", "a:2"}));
    EXPECT_EQ(co_await all_of(b, "dead"),
              values{"b=poison millrace.processor:c millrace.reason:poison millrace.topic:in "
                     "millrace.partition:0 millrace.offset:1"});
    EXPECT_EQ(b.status("c").counters.records_dead, 1u);
    EXPECT_EQ(b.status("c").cursor, 3);
  });
}

TEST_F(failure_test, a_record_is_tried_again_before_the_policy_applies) {
  const auto code = code_of<flaky_traits>();
  processor_spec spec = spec_for(*code, "f", "in");
  spec.retries = 3;
  spec.retry_backoff_ms = 50;
  spec.on_error = error_policy::skip;
  const deployment what = deployment::assemble({spec}, {code}).value();
  live({"in", "in.out"}, what, [&](bench& b) -> task<void> {
    b.host->start();
    co_await settled(*b.host, *b.store);
    flaky::failures_left = 3;
    const auto began = runtime::reactor::current().now();
    b.produce("in", {"1", "flaky", "2"});
    EXPECT_EQ(b.log("in.out").log_end().value(), 1);
    EXPECT_EQ(b.status("f").state, flow_state::lagging);
    co_await settled(*b.host, *b.store);
    EXPECT_GE(runtime::reactor::current().now() - began, std::chrono::milliseconds(50 + 100 + 200));
    EXPECT_EQ(co_await all_of(b, "in.out"), (values{"1", "flaky", "2"}));
    EXPECT_EQ(b.status("f").counters.retries, 3u);
    EXPECT_EQ(b.status("f").counters.records_skipped, 0u);

    flaky::failures_left = 4;
    b.produce("in", {"flaky", "3"});
    co_await settled(*b.host, *b.store);
    EXPECT_EQ(co_await all_of(b, "in.out"), (values{"1", "flaky", "2", "3"}));
    EXPECT_EQ(b.status("f").counters.records_skipped, 1u);
  });
}

TEST_F(failure_test, a_validator_names_the_records_it_refuses) {
  const auto code = code_of<only_numbers_traits>();
  processor_spec spec = spec_for(*code, "v", "in");
  spec.on_error = error_policy::reject;
  const deployment what = deployment::assemble({spec}, {code}).value();
  live({"in", "other"}, what, [&](bench& b) -> task<void> {
    b.host->start();
    EXPECT_TRUE(b.host->status().empty());  // it has no position, and never lags
    validators all(what);
    protocol::batch_options packed;
    packed.compression = protocol::codec::zstd;
    for (const auto& options : {protocol::batch_options{}, packed}) {
      EXPECT_FALSE(all.check(b.log("in"), batch_of({"1", "22"}, options)));
      EXPECT_FALSE(all.check(b.log("other"), batch_of({"x"}, options)));
      const auto refused = all.check(b.log("in"), batch_of({"1", "x", "2", "-"}, options));
      EXPECT_TRUE(refused);
      if (!refused) continue;
      EXPECT_EQ(refused->code, errc::invalid_record);
      EXPECT_EQ(refused->message, "refused by v: not a number");
      EXPECT_EQ(refused->records.size(), 2u);
      EXPECT_EQ(refused->records[0].batch_index, 1);
      EXPECT_EQ(refused->records[1].batch_index, 3);
      EXPECT_EQ(refused->records[1].message, "not a number");
    }
    co_return;
  });
}

}  // namespace
}  // namespace millrace::processors
