// What a shadow has derived, beside what its processor has derived from the same records.
//
// The broker tells, for each partition, at which offsets of the processor's outputs the shadow began; from
// there on both must say the same, record by record. Where they part, the nearest records that are equal
// again are looked for, so that one record more or less is one difference.
#include <map>
#include <nlohmann/json.hpp>

#include "tools/admin/client.h"
#include "tools/kafka/record_stream.h"
#include "tools/text/json.h"
#include "tools/verbs/twins.h"

namespace millrace::tools {

namespace {

using nlohmann::json;

constexpr size_t look_ahead_records = 500;
constexpr size_t shown_bytes_max = 200;

struct diff_options {
  admin_options broker;
  std::string processor;
  uint64_t count = 20;
};

// One partition of one output.
struct pair_of_topics {
  std::string output;
  int32_t partition = 0;
  std::string live_topic;
  int64_t live_from = 0;
  std::string shadow_topic;
};

struct comparison {
  std::vector<pair_of_topics> pairs;
  std::vector<std::string> left_out;  // outputs
  // Both have processed the same of their input, and stand there: what one has more is a difference.
  std::map<int32_t, std::pair<int64_t, int64_t>> positions;  // by partition: live, shadow
};

struct tally {
  uint64_t equal = 0;
  uint64_t differences = 0;
  uint64_t pending = 0;  // records that the other one may still derive
};

result<json> ask(const admin_options& broker, const std::string& name) {
  const auto answer = ask_broker(broker, "GET", "/v1/processors/" + name);
  if (!answer) return fail(answer.error());
  json parsed = json::parse(*answer, nullptr, false);
  if (!parsed.is_object()) return fail(errc::malformed, "the broker's answer is not what this program knows");
  return parsed;
}

result<comparison> look(const diff_options& options) {
  const auto shadow = ask(options.broker, options.processor + ".shadow");
  if (!shadow) {
    if (shadow.error().code == errc::closed) return fail(shadow.error());
    return fail(shadow.error().code, "{}. A shadow is deployed with `millrace processor deploy --shadow`",
                shadow.error().message);
  }
  const auto live = ask(options.broker, options.processor);
  if (!live) return fail(live.error());
  comparison found;
  for (const json& f : live->value("flows", json::array()))
    found.positions[f.value("partition", 0)].first = f.value("position", int64_t{-1});
  std::map<std::string, bool> is_compared;
  for (const auto& [output, topic] : shadow->value("outputs", json::object()).items())
    is_compared[output] = false;
  bool has_begun = false;
  for (const json& f : shadow->value("flows", json::array())) {
    const auto partition = f.value("partition", 0);
    found.positions[partition].second = f.value("position", int64_t{-2});
    for (const json& c : f.value("compared", json::array())) {
      has_begun = true;
      is_compared[c.value("output", "")] = true;
      found.pairs.push_back({c.value("output", ""), partition, c.value("live_topic", ""),
                             c.value("live_from", int64_t{0}), c.value("shadow_topic", "")});
    }
  }
  if (has_begun)
    for (const auto& [output, compared] : is_compared)
      if (!compared) found.left_out.push_back(output);
  return found;
}

std::string shown(const std::optional<std::string>& bytes) {
  if (!bytes) return "null";
  std::string text;
  append_json_string(text, std::string_view(*bytes).substr(0, shown_bytes_max));
  if (bytes->size() > shown_bytes_max) text += "...";
  return text;
}

std::string shown(const owned_record& r) {
  std::string text =
      fmt::format("@{} {} = {} time {}", r.offset, shown(r.key), shown(r.value), r.timestamp_ms);
  for (const auto& [name, value] : r.headers) text += fmt::format(" {}: {}", shown(name), shown(value));
  return text;
}

class partition_diff {
 public:
  partition_diff(context& ctx, const pair_of_topics& what, uint64_t shown_max, tally& sum)
      : ctx_(ctx), what_(what), shown_max_(shown_max), sum_(sum) {}

  // `is_settled`: what one has more, the other one will not derive any more.
  result<void> run(record_stream& live, record_stream& shadow, bool is_settled) {
    for (;;) {
      const auto a = live.peek(0);
      if (!a) return fail(a.error());
      const auto b = shadow.peek(0);
      if (!b) return fail(b.error());
      if (!*a && !*b) return {};
      if (!*a || !*b) {
        if (is_settled)
          tell_one(*a, *b);
        else
          ++sum_.pending;
        (*a ? live : shadow).skip(1);
        continue;
      }
      if ((*a)->says_the_same(**b)) {
        ++sum_.equal;
        live.skip(1);
        shadow.skip(1);
        continue;
      }
      MR_TRY(pass_difference(live, shadow));
    }
  }

 private:
  // Up to the nearest records that are the same.
  result<void> pass_difference(record_stream& live, record_stream& shadow) {
    size_t only_live = 1;
    size_t only_shadow = 1;
    for (size_t distance = 1; distance <= look_ahead_records; ++distance) {
      bool is_found = false;
      for (size_t i = 0; i <= distance && !is_found; ++i) {
        const auto a = live.peek(i);
        if (!a) return fail(a.error());
        if (!*a) break;
        const owned_record copy = **a;
        const auto b = shadow.peek(distance - i);
        if (!b) return fail(b.error());
        if (!*b || !copy.says_the_same(**b)) continue;
        only_live = i;
        only_shadow = distance - i;
        is_found = true;
      }
      if (is_found) break;
    }
    while (only_live > 0 || only_shadow > 0) {
      const auto a = live.peek(0);
      if (!a) return fail(a.error());
      const auto b = shadow.peek(0);
      if (!b) return fail(b.error());
      tell_one(only_live > 0 ? *a : nullptr, only_shadow > 0 ? *b : nullptr);
      if (only_live > 0) live.skip(1), --only_live;
      if (only_shadow > 0) shadow.skip(1), --only_shadow;
    }
    return {};
  }

  void tell_one(const owned_record* live, const owned_record* shadow) {
    if (++sum_.differences > shown_max_) return;
    if (ctx_.common.is_json) {
      json told{{"output", what_.output}, {"partition", what_.partition}};
      told["live"] = json_of(live);
      told["shadow"] = json_of(shadow);
      ctx_.out.write(told.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
      return;
    }
    std::string text = fmt::format("{} of partition {}:\n", what_.output, what_.partition);
    text += fmt::format("  live    {}\n", live ? shown(*live) : "nothing");
    text += fmt::format("  shadow  {}\n", shadow ? shown(*shadow) : "nothing");
    ctx_.out.write(text);
  }
  static json json_of(const owned_record* r) {
    if (!r) return nullptr;
    json headers = json::array();
    for (const auto& [name, value] : r->headers)
      headers.push_back({{"name", name}, {"value", value ? json(*value) : json()}});
    return {{"offset", r->offset},
            {"timestamp_ms", r->timestamp_ms},
            {"key", r->key ? json(*r->key) : json()},
            {"value", r->value ? json(*r->value) : json()},
            {"headers", std::move(headers)}};
  }

  context& ctx_;
  const pair_of_topics& what_;
  const uint64_t shown_max_;
  tally& sum_;
};

result<exit_code> compare(context& ctx, const diff_options& options) {
  const auto found = look(options);
  if (!found) return fail(found.error());
  tally sum;
  for (const pair_of_topics& pair : found->pairs) {
    auto live = record_stream::open(ctx.common.to, pair.live_topic, pair.partition, pair.live_from);
    if (!live) return fail(live.error());
    auto shadow = record_stream::open(ctx.common.to, pair.shadow_topic, pair.partition, 0);
    if (!shadow) return fail(shadow.error());
    // What both have of it when they stand at the same offset is all they will have of it.
    const auto [of_live, of_shadow] = found->positions.at(pair.partition);
    const auto now = look(options);
    if (!now) return fail(now.error());
    const bool is_settled = of_live == of_shadow && now->positions.contains(pair.partition) &&
                            now->positions.at(pair.partition) == std::pair(of_live, of_shadow);
    MR_TRY(partition_diff(ctx, pair, options.count, sum).run(*live, *shadow, is_settled));
  }
  if (ctx.common.is_json) {
    ctx.out.write(json{{"equal", sum.equal},
                       {"differences", sum.differences},
                       {"pending", sum.pending},
                       {"left_out", found->left_out}}
                      .dump() +
                  "\n");
  } else {
    tell(ctx,
         fmt::format(
             "{} records are the same, {} differ{}.", sum.equal, sum.differences,
             sum.pending > 0 ? fmt::format(", {} wait for the other one to come so far", sum.pending) : ""));
    if (found->pairs.empty()) tell(ctx, "The shadow has not begun yet.");
    for (const std::string& output : found->left_out)
      tell(ctx, fmt::format("{} is not compared: it is not an output of both that stays with its partition.",
                            output));
  }
  return sum.differences == 0 ? exit_code::ok : exit_code::failure;
}

// Members of another type than expected are the library's exceptions.
result<exit_code> run(context& ctx, const diff_options& options) {
  try {
    return compare(ctx, options);
  } catch (const json::exception&) {
    return fail(errc::malformed, "the broker's answer is not what this program knows");
  }
}

}  // namespace

void add_processor_diff(CLI::App& processor, context& ctx) {
  const auto declare = [&](CLI::App& verb, diff_options& options) {
    verb.add_option("PROCESSOR", options.processor, "The one that has a shadow")->required();
    verb.add_option("-n,--count", options.count, "Show so many differences; all are counted")
        ->type_name("N")
        ->capture_default_str();
    add_output_options(verb, ctx);
    add_admin_options(verb, options.broker);
    verb.add_option("-b,--bootstrap", ctx.common.to.bootstrap, "The broker, as host:port")
        ->type_name("HOST:PORT");
    add_examples(verb,
                 "  millrace processor diff cleaner                  # exit code 1 if something differs\n"
                 "  millrace processor diff cleaner --json | jq .");
  };
  add_verb<diff_options>(processor, ctx, "diff",
                         "Compare what a shadow derives with what its processor derives", declare, run);
}

}  // namespace millrace::tools
