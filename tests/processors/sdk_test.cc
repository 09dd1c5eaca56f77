// The C++ SDK against a host that is played here, through nothing but the C contract.
#include <gtest/gtest.h>
#include <millrace/processor.h>
#include <string>
#include <vector>

namespace {

// A processor whose behaviour the value of each record chooses.
class chameleon {
 public:
  explicit chameleon(const millrace::setup& setup)
      : first_(setup.output("first")), second_(setup.output("second")) {
    if (setup.option("refuse")) throw millrace::failure("told to refuse");
    if (setup.option("undeclared")) setup.output("third");
    limit_ = setup.number("limit", 7);
    setup.log().info(std::string(setup.processor_name()) + " on " + std::string(setup.input_topic()));
  }

  void process(const millrace::record& record, millrace::context& context) {
    const std::string_view what = record.value().value_or("null");
    if (what == "throw") throw std::runtime_error("bad record");
    if (what == "throw int") throw 42;
    if (what == "pass") return context.emit(first_, record);
    if (what == "nowhere") return context.emit(millrace::output(), record);
    if (what == "limit") return context.emit(second_, "limit", std::to_string(limit_));
    if (what == "nulls") return context.emit(second_, std::nullopt, std::nullopt);
    if (what == "headers") {
      millrace::emission more(record);
      more.header("added", std::nullopt).timestamp_ms(99).key("new");
      context.emit(first_, more);
      if (const auto found = record.headers().find("a")) context.emit(second_, found->key, found->value);
      return;
    }
    context.emit(first_, record.key(), what);
    context.emit(second_, record.key(), what);
  }

 private:
  millrace::output first_;
  millrace::output second_;
  int64_t limit_ = 0;
};

}  // namespace

MILLRACE_PROCESSOR(chameleon,
                   millrace::define("chameleon", "2.1").output("first").output("second").reads_headers())

namespace {

millrace_bytes bytes(std::string_view text) {
  return {text.data(), static_cast<int64_t>(text.size())};
}
constexpr millrace_bytes null_bytes{nullptr, -1};
std::string text(const millrace_bytes& b) {
  return b.size < 0 ? "<null>" : std::string(b.data, static_cast<size_t>(b.size));
}

// Writes down all that the processor does.
struct fake_host {
  std::vector<std::string> emitted;
  std::vector<std::string> logged;
  std::string explained;
  int32_t answer = MILLRACE_OK;

  static fake_host& of(millrace_scope* scope) { return *reinterpret_cast<fake_host*>(scope); }
  static int32_t emit(millrace_scope* scope, const millrace_emission* e) {
    EXPECT_EQ(e->struct_size, sizeof(millrace_emission));
    if (e->output >= 2) return MILLRACE_UNKNOWN_OUTPUT;
    std::string line = std::to_string(e->record) + ">" + std::to_string(e->output) + " " + text(e->key) +
                       "=" + text(e->value);
    if (e->timestamp_ms != MILLRACE_INHERIT_TIMESTAMP) line += " @" + std::to_string(e->timestamp_ms);
    for (uint32_t i = 0; i < e->header_count; ++i)
      line += " " + text(e->headers[i].key) + ":" + text(e->headers[i].value);
    of(scope).emitted.push_back(line);
    return of(scope).answer;
  }
  static void log(millrace_scope* scope, int32_t level, const char* line, uint64_t size) {
    of(scope).logged.push_back(std::to_string(level) + " " + std::string(line, size));
  }
  static void explain(millrace_scope* scope, const char* why, uint64_t size) {
    of(scope).explained.assign(why, size);
  }

  const millrace_host table{sizeof(millrace_host), MILLRACE_PROCESSOR_ABI_VERSION, 0, &emit, &log, &explain};
  millrace_scope* scope() { return reinterpret_cast<millrace_scope*>(this); }
};

class sdk_test : public testing::Test {
 protected:
  ~sdk_test() override {
    if (instance_) table_.destroy(instance_);
  }

  int32_t create(std::vector<millrace_option> options = {}) {
    millrace_setup setup{};
    setup.struct_size = sizeof(setup);
    setup.partition = 3;
    setup.processor_name = bytes("mine");
    setup.input_topic = bytes("lines");
    setup.options = options.data();
    setup.option_count = static_cast<uint32_t>(options.size());
    setup.option_stride = sizeof(millrace_option);
    return table_.create(&host_.table, host_.scope(), &setup, &instance_);
  }

  // Processes records with these values; returns the status.
  int32_t process(const std::vector<std::string_view>& values) {
    // Elements are farther apart than this header knows, as a later host would have them.
    struct larger_record {
      millrace_record record{};
      uint64_t added_later = ~uint64_t{0};
    };
    std::vector<larger_record> records(values.size());
    for (size_t i = 0; i < values.size(); ++i) {
      records[i].record.offset = static_cast<int64_t>(100 + i);
      records[i].record.timestamp_ms = 1000;
      records[i].record.key = bytes("k");
      records[i].record.value = values[i] == "null" ? null_bytes : bytes(values[i]);
      records[i].record.headers = headers_.data();
      records[i].record.header_count = static_cast<uint32_t>(headers_.size());
    }
    millrace_call call{};
    call.struct_size = sizeof(call);
    call.record_count = static_cast<uint32_t>(records.size());
    call.records = records.data();
    call.record_stride = sizeof(larger_record);
    call.records_done = &done_;
    call.stop = &stop_;
    return table_.process(instance_, &call);
  }

  const millrace_processor& table_ = *millrace_processor_entry(MILLRACE_PROCESSOR_ABI_VERSION);
  fake_host host_;
  void* instance_ = nullptr;
  uint32_t done_ = 0;
  volatile uint32_t stop_ = 0;
  std::vector<millrace_header> headers_;
};

using lines = std::vector<std::string>;

TEST_F(sdk_test, the_table_says_what_the_definition_says) {
  EXPECT_EQ(table_.struct_size, sizeof(millrace_processor));
  EXPECT_EQ(table_.abi_version, MILLRACE_PROCESSOR_ABI_VERSION);
  EXPECT_STREQ(table_.name, "chameleon");
  EXPECT_STREQ(table_.version, "2.1");
  EXPECT_EQ(table_.traits, MILLRACE_READS_HEADERS | MILLRACE_THREAD_COMPATIBLE);
  EXPECT_EQ(table_.needs, 0u);
  ASSERT_EQ(table_.output_count, 2u);
  EXPECT_STREQ(table_.outputs[0], "first");
  EXPECT_STREQ(table_.outputs[1], "second");
}

TEST_F(sdk_test, each_record_emits_to_its_outputs) {
  ASSERT_EQ(create(), MILLRACE_OK);
  EXPECT_EQ(host_.logged, lines{"1 mine on lines"});
  EXPECT_EQ(process({"x", "null", "pass", "nulls"}), MILLRACE_OK);
  EXPECT_EQ(done_, 4u);
  EXPECT_EQ(host_.emitted,
            (lines{"0>0 k=x", "0>1 k=x", "1>0 k=null", "1>1 k=null", "2>0 k=pass", "3>1 <null>=<null>"}));
}

TEST_F(sdk_test, headers_come_and_go) {
  ASSERT_EQ(create(), MILLRACE_OK);
  headers_ = {{bytes("a"), bytes("1")}, {bytes("a"), null_bytes}, {bytes(""), bytes("")}};
  EXPECT_EQ(process({"headers"}), MILLRACE_OK);
  EXPECT_EQ(host_.emitted, (lines{"0>0 new=headers @99 a:1 a:<null> : added:<null>", "0>1 a=<null>"}));
}

TEST_F(sdk_test, options_are_read_in_the_constructor) {
  ASSERT_EQ(create({{bytes("limit"), bytes("12")}}), MILLRACE_OK);
  EXPECT_EQ(process({"limit"}), MILLRACE_OK);
  EXPECT_EQ(host_.emitted, lines{"0>1 limit=12"});
}

TEST_F(sdk_test, a_throwing_constructor_is_an_error_with_its_reason) {
  EXPECT_EQ(create({{bytes("refuse"), bytes("")}}), MILLRACE_ERROR);
  EXPECT_EQ(host_.explained, "told to refuse");
  EXPECT_EQ(create({{bytes("undeclared"), bytes("")}}), MILLRACE_ERROR);
  EXPECT_EQ(host_.explained, "the definition declares no output \"third\"");
  EXPECT_EQ(create({{bytes("limit"), bytes("12x")}}), MILLRACE_ERROR);
  EXPECT_EQ(host_.explained, "option limit = \"12x\" is not a whole number");
  EXPECT_EQ(instance_, nullptr);
}

TEST_F(sdk_test, an_exception_fails_its_record_only) {
  ASSERT_EQ(create(), MILLRACE_OK);
  EXPECT_EQ(process({"x", "throw", "y"}), MILLRACE_ERROR);
  EXPECT_EQ(done_, 1u);
  EXPECT_EQ(host_.explained, "bad record");
  EXPECT_EQ(process({"throw int"}), MILLRACE_ERROR);
  EXPECT_EQ(done_, 0u);
  EXPECT_EQ(host_.explained, "process() threw something that is not a std::exception");
  EXPECT_EQ(process({"y"}), MILLRACE_OK);
}

TEST_F(sdk_test, a_refused_emission_fails_its_record) {
  ASSERT_EQ(create(), MILLRACE_OK);
  EXPECT_EQ(process({"x", "nowhere"}), MILLRACE_ERROR);
  EXPECT_EQ(done_, 1u);
  EXPECT_EQ(host_.explained, "emit: the output was not declared");
  host_.answer = MILLRACE_TOO_LARGE;
  EXPECT_EQ(process({"x"}), MILLRACE_ERROR);
  EXPECT_EQ(host_.explained, "emit: the outputs and changes of one record are larger than the broker allows");
}

TEST_F(sdk_test, it_stops_after_the_current_record_when_asked_to) {
  ASSERT_EQ(create(), MILLRACE_OK);
  stop_ = 1;
  EXPECT_EQ(process({"x", "y"}), MILLRACE_OK);
  EXPECT_EQ(done_, 1u);
}

}  // namespace
