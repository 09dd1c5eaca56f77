#include <chrono>
#include <cstdlib>
#include <fmt/format.h>
#include <unistd.h>

#include "base/time_text.h"
#include "tools/cli/terminal.h"
#include "tools/kafka/offset_plan.h"
#include "tools/kafka/start_position.h"
#include "tools/text/duration.h"
#include "tools/text/json.h"
#include "tools/text/table.h"
#include "tools/verbs/outcomes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

namespace {

struct reset_options {
  std::string group;
  partition_choice choice;
  bool to_earliest = false, to_latest = false, to_current = false;
  std::optional<int64_t> to_offset, shift_by;
  std::string to_time, by_duration, from_file;
  bool is_dry = false, is_sure = false, as_csv = false;
};

result<offset_target> target_of(const reset_options& options) {
  using kind = offset_target::kind;
  if (options.to_earliest) return offset_target{.to = kind::earliest};
  if (options.to_latest) return offset_target{.to = kind::latest};
  if (options.to_current) return offset_target{.to = kind::current};
  if (options.to_offset) return offset_target{.to = kind::offset, .number = *options.to_offset};
  if (options.shift_by && std::abs(*options.shift_by / 2) >= (int64_t{1} << 61)) {
    return fail(errc::invalid_argument, "--shift-by {} leads beyond any offset", *options.shift_by);
  }
  if (options.shift_by) return offset_target{.to = kind::shift, .number = *options.shift_by};
  if (!options.from_file.empty()) return offset_target{.to = kind::file, .path = options.from_file};
  if (!options.to_time.empty()) {
    const auto ms = parse_time_ms(options.to_time);
    if (!ms) return fail(ms.error());
    return offset_target{.to = kind::time, .number = *ms};
  }
  const auto ms = parse_duration_ms(options.by_duration);
  if (!ms) return fail(ms.error());
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return offset_target{.to = kind::time,
                       .number = std::chrono::duration_cast<std::chrono::milliseconds>(now).count() - *ms};
}

std::string as_json(const reset_options& options, const std::vector<planned_offset>& plan) {
  std::string text;
  json_writer json(text);
  json.begin_object().member("group", options.group).member("done", !options.is_dry);
  json.key("offsets").begin_array();
  for (const planned_offset& p : plan) {
    json.begin_object().member("topic", p.where.topic).member("partition", p.where.partition).key("before");
    p.before ? json.value(*p.before) : json.null();
    json.member("after", p.after).member("clamped", p.was_clamped).end_object();
  }
  json.end_array().end_object();
  return text + "\n";
}

// What --from-file reads, and Kafka's own tool as well.
std::string as_csv(const std::vector<planned_offset>& plan) {
  std::string text;
  for (const planned_offset& p : plan) {
    text += fmt::format("{},{},{}\n", p.where.topic, p.where.partition, p.after);
  }
  return text;
}

std::string as_table(const std::vector<planned_offset>& plan) {
  using enum table::align;
  table rows({{"TOPIC"}, {"PARTITION", right}, {"BEFORE", right}, {"AFTER", right}, {"NOTE"}});
  for (const planned_offset& p : plan) {
    rows.add({p.where.topic, std::to_string(p.where.partition), p.before ? std::to_string(*p.before) : "-",
              std::to_string(p.after), p.was_clamped ? "nearest there is" : ""});
  }
  return rows.render(has_colour(STDOUT_FILENO));
}

// Offsets of a group that is at work would be overwritten at once; brokers refuse with less of an
// explanation.
result<void> check_idle(handle& client, const std::string& name) {
  const auto group = describe_group(client, name);
  if (!group) return group.error().code == errc::group_id_not_found ? result<void>() : fail(group.error());
  if (group->state == "Empty" || group->state == "Dead") return {};
  return fail(errc::non_empty_group, "group '{}' is at work ({}, {} member{})", name, group->state,
              group->members.size(), group->members.size() == 1 ? "" : "s");
}

result<exit_code> run(context& ctx, const reset_options& options) {
  const auto target = target_of(options);
  if (!target) return fail(target.error());
  if (options.from_file.empty() && options.choice.topics.empty() && !options.choice.all_topics) {
    return fail(errc::invalid_argument,
                "of which topics? Give --topic NAME, or --all-topics for all it has read");
  }
  const auto client = handle::open(RD_KAFKA_CONSUMER, ctx.common.to, {});
  if (!client) return fail(client.error());
  const auto plan = plan_offsets(**client, options.group, options.choice, *target);
  if (!plan) return fail(plan.error());
  if (!options.is_dry) {
    MR_TRY(check_idle(**client, options.group));
    const std::string question =
        fmt::format("{}Move these offsets of group {}?", as_table(*plan), options.group);
    if (!is_confirmed(question, options.is_sure)) {
      tell(ctx, "Nothing was changed.");
      return exit_code::failure;
    }
    std::vector<committed_offset> to;
    for (const planned_offset& p : *plan) to.push_back({.where = p.where, .offset = p.after, .metadata = {}});
    bool all_good = true;
    if (!to.empty()) {
      const auto results = alter_offsets(**client, options.group, to);
      if (!results) return fail(results.error());
      for (const result<void>& outcome : *results) {
        if (outcome) continue;
        report(ctx, outcome.error());
        all_good = false;
      }
    }
    if (!all_good) return exit_code::failure;
  }
  ctx.out.write(ctx.common.is_json ? as_json(options, *plan)
                : options.as_csv   ? as_csv(*plan)
                                   : as_table(*plan));
  tell(ctx, fmt::format("{} {} offset{} of group {}.", options.is_dry ? "Would move" : "Moved", plan->size(),
                        plan->size() == 1 ? "" : "s", options.group));
  return exit_code::ok;
}

}  // namespace

void add_group_reset_offsets(CLI::App& group, context& ctx) {
  const auto declare = [&](CLI::App& verb, reset_options& options) {
    verb.add_option("GROUP", options.group, "Name of the group; it is made if it does not exist")->required();
    verb.add_option("-t,--topic", options.choice.topics,
                    "All partitions of a topic, or some; may be repeated")
        ->type_name("TOPIC[:0,1]")
        ->allow_extra_args(false);
    verb.add_flag("--all-topics", options.choice.all_topics,
                  "Everything the group has committed offsets for");
    CLI::Option_group* where = verb.add_option_group("Where to", "One of these");
    where->add_flag("--to-earliest", options.to_earliest, "The oldest record there is");
    where->add_flag("--to-latest", options.to_latest, "The end: only what is still to come");
    where->add_flag("--to-current", options.to_current, "Where it is: with --csv, to keep it in a file");
    where->add_option("--to-offset", options.to_offset, "This offset")->type_name("N");
    where->add_option("--shift-by", options.shift_by, "So many records on, or back if negative")
        ->type_name("N");
    where
        ->add_option("--to-time", options.to_time, "The first record not older (2026-01-31T12:00:00Z, or ms)")
        ->type_name("TIME");
    where
        ->add_option("--by-duration", options.by_duration,
                     "The first record of the last 90s, 1h30m, 7d, PT15M")
        ->type_name("DURATION");
    where->add_option("--from-file", options.from_file, "As lines topic,partition,offset say")
        ->type_name("FILE");
    where->require_option(1);
    verb.add_flag("-n,--dry-run", options.is_dry, "Show what would be done and change nothing");
    verb.add_flag("-y,--yes", options.is_sure, "Do not ask, even on a terminal");
    verb.add_flag("--csv", options.as_csv, "Print lines for --from-file")->group("Output");
    add_output_options(verb, ctx);
    add_connection_options(verb, ctx);
    add_examples(
        verb,
        "  millrace group reset-offsets billing --topic orders --to-earliest --dry-run\n"
        "  millrace group reset-offsets billing --topic orders:0,2 --shift-by -100\n"
        "  millrace group reset-offsets billing --all-topics --by-duration 1h\n"
        "  millrace group reset-offsets billing --all-topics --to-current --dry-run --csv > before.csv\n"
        "  millrace group reset-offsets billing --from-file before.csv");
  };
  add_verb<reset_options>(group, ctx, "reset-offsets", "Move where a group without members goes on", declare,
                          run);
}

}  // namespace millrace::tools
