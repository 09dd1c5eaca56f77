// load: configuration from a TOML file, the environment and --set, in rising order of precedence.
//
// The file holds Kafka's keys, quoted, in a [broker] table, and one [[processor]] table for each processor:
//
//   [broker]
//   "listeners" = "PLAINTEXT://127.0.0.1:9092"
//   "log.dirs" = "data"
//
//   [[processor]]
//   name = "clicks-by-page"
//   library = "./libclicks.so"
//   input = "clicks"
//   outputs = { pages = "clicks-by-page" }
//   config = { field = "page" }
//   on_error = "pause"        # or "skip"
//   start = "earliest"        # or "latest", an offset, "@2026-01-31T12:00:00Z"
//   compression = "none"      # of the outputs
//
// Every error names the file, the line, the key and, for a misspelt one, the nearest that exists.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "broker/config/config.h"

namespace millrace::broker {

// Reads TOML text; `file_name` is for messages only. Any bytes are safe.
result<void> load_toml(config& into, std::string_view text, std::string_view file_name);
result<void> load_file(config& into, const std::string& path);

// Reads what a [[processor]] table would say, as a JSON object with the same keys. Any bytes are safe;
// `source` is for messages only. With `replaces`, the name of a processor, it need not say that name, nor the
// library.
result<processor_entry> load_processor_json(std::string_view text, std::string_view source,
                                            std::string_view replaces = {});

// Takes MILLRACE_LOG_DIRS for log.dirs and so on out of `environment` ("NAME=value" strings). Names that fit
// no key are left alone and come back: platforms inject variables of their own (Kubernetes names them after
// services), so an unknown one is worth a warning, not a refusal.
result<std::vector<std::string>> load_environment(config& into, std::span<const char* const> environment);

// "key=value"
result<void> load_assignment(config& into, std::string_view assignment);

}  // namespace millrace::broker
