// The host's side of the ABI against plugins that do as they please.
#include "processors/host/instance.h"

#include <functional>
#include <gtest/gtest.h>
#include <millrace/stream.h>

#include "tests/processors/plugins/a_table.h"
#include "tests/processors/processor_kit.h"

namespace millrace::processors {
namespace {

using kit::bytes;
using lines = std::vector<std::string>;

// A plugin whose process() is `body`.
const millrace_host* host = nullptr;
millrace_scope* scope = nullptr;
std::function<int32_t(const millrace_call&)> body;

millrace_processor scripted_table() {
  static constexpr const char* outputs[] = {"a", "b"};
  millrace_processor table = a_table();
  table.output_count = 2;
  table.outputs = outputs;
  table.create = [](const millrace_host* h, millrace_scope* s, const millrace_setup*, void**) -> int32_t {
    host = h;
    scope = s;
    return MILLRACE_OK;
  };
  table.process = [](void*, const millrace_call* call) -> int32_t { return body(*call); };
  return table;
}

millrace_emission emission(uint32_t record, uint32_t output, std::string_view value) {
  millrace_emission e{};
  e.struct_size = sizeof(e);
  e.record = record;
  e.output = output;
  e.timestamp_ms = MILLRACE_INHERIT_TIMESTAMP;
  e.key = kit::null_bytes;
  e.value = bytes(value);
  return e;
}

int32_t emit(const millrace_emission& e) {
  return host->emit(scope, &e);
}

class instance_test : public testing::Test {
 protected:
  void SetUp() override {
    code_ = plugin::wrap(&table_).value();
    deployed_ = deployment::assemble({kit::spec_for(*code_, "p", "in")}, {code_}).value();
    instance_ = instance::create(*deployed_.processors()[0], 0).value();
  }
  run_outcome run(uint32_t records, uint64_t output_bytes_target = instance::call_output_bytes_target) {
    std::vector<millrace_record> batch;
    for (uint32_t i = 0; i < records; ++i) batch.push_back(kit::record("v", i));
    return instance_->run(batch, output_bytes_target);
  }
  lines output() { return kit::lines_of(instance_->output()); }

  millrace_processor table_ = scripted_table();
  std::shared_ptr<const plugin> code_;
  deployment deployed_;
  std::unique_ptr<instance> instance_;
};

TEST_F(instance_test, emissions_stand_in_their_order) {
  body = [](const millrace_call& call) {
    EXPECT_EQ(emit(emission(0, 1, "x")), MILLRACE_OK);
    EXPECT_EQ(emit(emission(0, 0, "y")), MILLRACE_OK);
    EXPECT_EQ(emit(emission(2, 0, "")), MILLRACE_OK);
    *call.records_done = 3;
    return MILLRACE_OK;
  };
  const run_outcome outcome = run(3);
  EXPECT_EQ(outcome.records_done, 3u);
  EXPECT_FALSE(outcome.failure);
  EXPECT_EQ(output(), (lines{"0>1 <null>=x", "0>0 <null>=y", "2>0 <null>="}));
}

TEST_F(instance_test, a_failed_record_leaves_nothing_and_those_before_it_stand) {
  body = [](const millrace_call& call) {
    emit(emission(0, 0, "kept"));
    emit(emission(1, 0, "dropped"));
    emit(emission(2, 0, "dropped"));
    host->explain(scope, "because\n", 8);
    *call.records_done = 1;
    return MILLRACE_ERROR;
  };
  const run_outcome outcome = run(3);
  EXPECT_EQ(outcome.records_done, 1u);
  EXPECT_EQ(outcome.failure, "because ");
  EXPECT_EQ(output(), lines{"0>0 <null>=kept"});
}

TEST_F(instance_test, a_refused_emission_fails_its_record_even_if_the_plugin_ignores_it) {
  body = [](const millrace_call& call) {
    EXPECT_EQ(emit(emission(0, 0, "kept")), MILLRACE_OK);
    EXPECT_EQ(emit(emission(1, 0, "dropped")), MILLRACE_OK);
    EXPECT_EQ(emit(emission(1, 2, "no such output")), MILLRACE_UNKNOWN_OUTPUT);
    EXPECT_EQ(emit(emission(2, 0, "dropped")), MILLRACE_OK);
    *call.records_done = 3;
    return MILLRACE_OK;
  };
  const run_outcome outcome = run(3);
  EXPECT_EQ(outcome.records_done, 1u);
  EXPECT_TRUE(outcome.failure);
  EXPECT_EQ(output(), lines{"0>0 <null>=kept"});
}

TEST_F(instance_test, malformed_emissions_are_refused) {
  body = [](const millrace_call& call) {
    EXPECT_EQ(host->emit(scope, nullptr), MILLRACE_INVALID_ARGUMENT);
    millrace_emission e = emission(0, 0, "x");
    e.struct_size = 8;
    EXPECT_EQ(emit(e), MILLRACE_INVALID_ARGUMENT);
    e = emission(0, 0, "x");
    e.value = {nullptr, 5};
    EXPECT_EQ(emit(e), MILLRACE_INVALID_ARGUMENT);
    e = emission(0, 0, "x");
    e.header_count = 3;
    EXPECT_EQ(emit(e), MILLRACE_INVALID_ARGUMENT);
    const millrace_header null_key{kit::null_bytes, bytes("v")};
    e.headers = &null_key;
    e.header_count = 1;
    EXPECT_EQ(emit(e), MILLRACE_INVALID_ARGUMENT);
    e = emission(0, 0, "x");
    e.timestamp_ms = -2;
    EXPECT_EQ(emit(e), MILLRACE_INVALID_ARGUMENT);
    EXPECT_EQ(emit(emission(call.record_count, 0, "x")), MILLRACE_OUT_OF_ORDER);
    EXPECT_EQ(emit(emission(0, 0, "x")), MILLRACE_OK);
    EXPECT_EQ(emit(emission(1, 0, "x")), MILLRACE_OK);
    EXPECT_EQ(emit(emission(0, 0, "x")), MILLRACE_OUT_OF_ORDER);
    *call.records_done = call.record_count;
    return MILLRACE_OK;
  };
  EXPECT_EQ(run(2).records_done, 0u);
  EXPECT_TRUE(output().empty());
}

TEST_F(instance_test, one_record_has_a_limit_on_its_output) {
  const std::string half(emissions::record_output_bytes_max / 2, 'x');
  body = [&](const millrace_call& call) {
    millrace_emission e = emission(0, 0, half);
    EXPECT_EQ(emit(e), MILLRACE_OK);
    e.record = 1;  // a limit for each record, not for the call
    EXPECT_EQ(emit(e), MILLRACE_OK);
    EXPECT_EQ(emit(e), MILLRACE_TOO_LARGE);
    e.value.size = INT64_MAX;
    EXPECT_EQ(emit(e), MILLRACE_TOO_LARGE);
    *call.records_done = 2;
    return MILLRACE_OK;
  };
  EXPECT_EQ(run(2).records_done, 1u);
  EXPECT_EQ(instance_->output().count(), 1u);
}

TEST_F(instance_test, empty_records_cost_something_too) {
  body = [](const millrace_call&) {
    uint64_t count = 0;
    while (emit(emission(0, 0, "")) == MILLRACE_OK) ++count;
    EXPECT_LT(count, 1'000'000u);
    return MILLRACE_ERROR;
  };
  EXPECT_EQ(run(1).records_done, 0u);
}

TEST_F(instance_test, it_is_asked_to_stop_once_its_output_is_large) {
  body = [](const millrace_call& call) {
    uint32_t done = 0;
    while (done < call.record_count && *call.stop == 0) {
      emit(emission(done, 0, "0123456789"));
      ++done;
    }
    *call.records_done = done;
    return MILLRACE_OK;
  };
  const run_outcome outcome = run(1000, 1000);
  EXPECT_GT(outcome.records_done, 10u);
  EXPECT_LT(outcome.records_done, 100u);
  EXPECT_EQ(output().size(), outcome.records_done);
}

TEST_F(instance_test, impossible_answers_fail_the_first_record) {
  const std::pair<int32_t, uint32_t> answers[] = {
      {MILLRACE_OK, 0}, {MILLRACE_OK, 3}, {MILLRACE_ERROR, 2}, {MILLRACE_ERROR, 9}};
  for (const auto& [status, done] : answers) {
    body = [&](const millrace_call& call) {
      emit(emission(0, 0, "x"));
      *call.records_done = done;
      return status;
    };
    const run_outcome outcome = run(2);
    EXPECT_EQ(outcome.records_done, 0u);
    EXPECT_TRUE(outcome.failure);
    EXPECT_TRUE(output().empty());
  }
}

TEST_F(instance_test, emitting_outside_of_a_call_is_refused) {
  EXPECT_EQ(emit(emission(0, 0, "x")), MILLRACE_NOT_IN_CALL);
}

TEST_F(instance_test, a_create_that_fails_says_why) {
  table_.create = [](const millrace_host* h, millrace_scope* s, const millrace_setup*, void**) -> int32_t {
    h->explain(s, "no licence", 10);
    return 5;
  };
  deployed_processor changed = *deployed_.processors()[0];
  changed.code = plugin::wrap(&table_).value();
  const auto made = instance::create(changed, 4);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message, "processor p does not start on partition 4: no licence");
}

TEST(deployment_test, outputs_are_mapped_one_for_one) {
  millrace_processor table = scripted_table();
  const auto code = plugin::wrap(&table).value();
  processor_spec spec = kit::spec_for(*code, "p", "in");
  spec.outputs.erase("b");
  EXPECT_EQ(deployment::assemble({spec}, {code}).error().message,
            "processor p: its output b has no topic (outputs.b = \"...\")");
  spec.outputs["b"] = "x";
  spec.outputs["c"] = "y";
  EXPECT_EQ(deployment::assemble({spec}, {code}).error().message,
            "processor p: it has no output c; it has a, b");
}

void two_of_one_store(millrace::topology& t) {
  for (int i = 0; i < 2; ++i)
    t.from<std::string>("in")
        .group_by([](const auto& v) { return v; }, millrace::within_partition)
        .count("counts");
}
struct broken_names {
  static const char* name() { return "broken"; }
  static const char* version() { return "1"; }
};

TEST(deployment_test, a_topology_that_cannot_be_built_says_why) {
  const auto code =
      plugin::wrap(millrace::topology_entry<millrace::topology_traits<two_of_one_store, broken_names>>())
          .value();
  processor_spec spec = kit::spec_for(*code, "p", "in");
  spec.outputs["out"] = "x";
  const auto refused = deployment::assemble({spec}, {code});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message.starts_with("processor p does not start on partition 0: "))
      << refused.error().message;
}

TEST(deployment_test, steps_are_told_unless_they_are_endless) {
  millrace_processor table = scripted_table();
  table.topology = "a\tb\n";
  EXPECT_EQ(plugin::wrap(&table).value()->topology(), "a b\n");
  const std::string endless(plugin::topology_bytes_max + 1, 'x');
  table.topology = endless.c_str();
  EXPECT_EQ(plugin::wrap(&table).value()->topology(), "");
}

TEST(deployment_test, a_processor_without_effect_is_refused) {
  millrace_processor table = scripted_table();
  table.output_count = 0;
  const auto code = plugin::wrap(&table).value();
  processor_spec spec = kit::spec_for(*code, "p", "in");
  EXPECT_EQ(deployment::assemble({spec}, {code}).error().message,
            "processor p: it has neither outputs nor stores, so it can only validate: on_error = \"reject\"");
  spec.on_error = error_policy::reject;
  EXPECT_TRUE(deployment::assemble({spec}, {code}));
}

}  // namespace
}  // namespace millrace::processors
