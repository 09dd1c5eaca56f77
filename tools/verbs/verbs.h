// verbs: every command of `millrace`, one file each.
#pragma once

#include <span>
#include <string>

#include "tools/cli/verb.h"

namespace millrace::tools {

void add_topic_list(CLI::App& topic, context& ctx);
void add_topic_create(CLI::App& topic, context& ctx);
void add_topic_describe(CLI::App& topic, context& ctx);
void add_topic_alter(CLI::App& topic, context& ctx);
void add_topic_add_partitions(CLI::App& topic, context& ctx);
void add_topic_delete_records(CLI::App& topic, context& ctx);
void add_topic_delete(CLI::App& topic, context& ctx);
void add_config_get(CLI::App& config, context& ctx);
void add_config_set(CLI::App& config, context& ctx);
void add_config_unset(CLI::App& config, context& ctx);
void add_config_list(CLI::App& config, context& ctx);
void add_cluster(CLI::App& root, context& ctx);
void add_group_list(CLI::App& group, context& ctx);
void add_group_describe(CLI::App& group, context& ctx);
void add_group_delete(CLI::App& group, context& ctx);
void add_group_reset_offsets(CLI::App& group, context& ctx);
void add_group_delete_offsets(CLI::App& group, context& ctx);
void add_produce(CLI::App& root, context& ctx);
void add_consume(CLI::App& root, context& ctx);
void add_top(CLI::App& root, context& ctx);
void add_bench(CLI::App& root, context& ctx);
void add_processor_deploy(CLI::App& processor, context& ctx);
void add_processor_list(CLI::App& processor, context& ctx);
void add_processor_describe(CLI::App& processor, context& ctx);
void add_processor_actions(CLI::App& processor, context& ctx);
void add_processor_test(CLI::App& processor, context& ctx);
void add_log_dump(CLI::App& log, context& ctx);
void add_log_explain(CLI::App& log, context& ctx);
void add_log_verify(CLI::App& log, context& ctx);
void add_log_import(CLI::App& log, context& ctx);
void add_log_export(CLI::App& log, context& ctx);
void add_profiles(CLI::App& root, context& ctx);
void add_completion(CLI::App& root, context& ctx);

// `millrace __complete WORD...`: what the scripts of `millrace completion` ask, see tools/cli/completion.h.
exit_code run_complete(const CLI::App& root, context& ctx, std::span<const std::string> words);

}  // namespace millrace::tools
