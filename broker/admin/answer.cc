#include "broker/admin/answer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <time.h>
#include <vector>

#include "broker/admin/json_forms.h"
#include "broker/admin/metrics.h"
#include "broker/config/load.h"
#include "broker/processing/control.h"
#include "broker/processing/processing.h"
#include "broker/shard_context.h"
#include "processors/host/bundled_library.h"
#include "processors/host/trusted_path.h"
#include "runtime/shards.h"

namespace millrace::broker::admin {

using nlohmann::json;
using runtime::task;

namespace {

constexpr std::string_view body_name = "the request";

// "/v1/processors/cleaner/pause?x=y", taken apart.
struct target {
  std::vector<std::string> steps;
  std::vector<std::pair<std::string, std::string>> query;

  explicit target(std::string_view text) {
    const size_t mark = std::min(text.find('?'), text.size());
    for (std::string& step : split(text.substr(0, mark), '/'))
      if (!step.empty()) steps.push_back(std::move(step));
    for (const std::string& pair : split(text.substr(std::min(mark + 1, text.size())), '&')) {
      if (pair.empty()) continue;
      const size_t equals = std::min(pair.find('='), pair.size());
      query.emplace_back(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
    }
  }

 private:
  static std::vector<std::string> split(std::string_view text, char at) {
    std::vector<std::string> parts;
    for (size_t begin = 0; begin <= text.size();) {
      const size_t end = std::min(text.find(at, begin), text.size());
      parts.emplace_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return parts;
  }
};

unsigned status_of(errc code) {
  switch (code) {
    case errc::resource_not_found:
    case errc::not_found:
    case errc::unknown_topic_or_partition:
      return 404;
    case errc::duplicate_resource:
    case errc::already_exists:
    case errc::policy_violation:
      return 409;
    case errc::invalid_config:
    case errc::invalid_argument:
    case errc::malformed:
    case errc::limit_exceeded:
    case errc::offset_out_of_range:
      return 400;
    case errc::not_supported:
      return 501;
    case errc::broker_not_available:
      return 503;
    default:
      return 500;
  }
}

http_response refusal(const error& e) {
  return error_response(status_of(e.code), e);
}

http_response good(const json& body, unsigned status = 200) {
  return {.status = status, .body = to_text(body)};
}

http_response outcome(const result<void>& done, const std::string& name) {
  return done ? good({{"name", name}}) : refusal(done.error());
}

http_response outcome(const result<deploy_outcome>& done, unsigned status = 200) {
  return done ? good(json_of(*done), status) : refusal(done.error());
}

http_response no_such_thing(const http_request& request) {
  return refusal({errc::not_found, fmt::format("there is no {} {}; docs/admin.md names what there is",
                                               request.method, request.target)});
}

// Only what nobody else can change may come in here: what it holds runs as the broker's user.
result<void> settle_library(const settings& s, processor_entry& entry) {
  if (entry.library.empty()) return {};
  if (entry.library != processors::bundled_name && !entry.library.starts_with('/'))
    entry.library = fmt::format("{}/{}", s.processor_directory, entry.library);
  const result<void> trusted = processors::check_trusted(entry.library, processors::trust::owner_only);
  if (!trusted) return fail(errc::invalid_config, "processor {}: {}", entry.name, trusted.error().message);
  return {};
}

task<http_response> deploy(node& whole, std::string body) {
  auto entry = load_processor_json(body, body_name);
  if (!entry) co_return refusal(entry.error());
  if (const result<void> settled = settle_library(whole.config, *entry); !settled)
    co_return refusal(settled.error());
  const auto done = co_await whole.processors->control().deploy(*std::move(entry));
  co_return outcome(done, 201);
}

task<http_response> replace(node& whole, std::string name, std::string body) {
  auto entry = load_processor_json(body, body_name, name);
  if (!entry) co_return refusal(entry.error());
  if (const result<void> settled = settle_library(whole.config, *entry); !settled)
    co_return refusal(settled.error());
  const auto done = co_await whole.processors->control().replace(*std::move(entry));
  co_return outcome(done);
}

task<http_response> list(node& whole) {
  const std::vector<processor_summary> all = co_await whole.processors->control().list();
  json there = json::array();
  for (const processor_summary& s : all) there.push_back(json_of(s));
  co_return good({{"processors", std::move(there)}});
}

task<http_response> describe(node& whole, std::string name) {
  const auto found = co_await whole.processors->control().describe(std::move(name));
  co_return found ? good(json_of(*found)) : refusal(found.error());
}

task<http_response> remove(node& whole, std::string name, const target& at) {
  bool purge = false;
  for (const auto& [key, value] : at.query) {
    if (key != "purge" || (value != "true" && value != "false"))
      co_return refusal(
          {errc::invalid_argument, fmt::format("{}={}: purge=true or purge=false is possible", key, value)});
    purge = value == "true";
  }
  const result<void> done = co_await whole.processors->control().remove(name, purge);
  co_return outcome(done, name);
}

// POST /v1/processors/NAME/VERB
task<http_response> act(node& whole, std::string name, std::string verb, http_request request) {
  processor_control& control = whole.processors->control();
  if (verb == "pause") {
    const result<void> done = co_await control.pause(name);
    co_return outcome(done, name);
  }
  if (verb == "resume") {
    const result<void> done = co_await control.resume(name);
    co_return outcome(done, name);
  }
  if (verb == "shadow") {
    auto entry = load_processor_json(request.body, body_name, name);
    if (!entry) co_return refusal(entry.error());
    if (const result<void> settled = settle_library(whole.config, *entry); !settled)
      co_return refusal(settled.error());
    const auto done = co_await control.shadow(*std::move(entry));
    co_return outcome(done, 201);
  }
  if (verb == "promote") {
    const auto done = co_await control.promote(name);
    co_return outcome(done);
  }
  if (verb == "discard") {
    const result<void> done = co_await control.discard(name);
    co_return outcome(done, name);
  }
  if (verb == "replay") {
    auto wanted = replay_request_of(request.body);
    if (!wanted) co_return refusal(wanted.error());
    const auto done = co_await control.replay(name, *std::move(wanted));
    co_return outcome(done, 201);
  }
  if (verb == "rollback") {
    const auto done = co_await control.rollback(name);
    co_return outcome(done);
  }
  co_return no_such_thing(request);
}

task<http_response> metrics(node& whole) {
  processor_control& control = whole.processors->control();
  std::vector<processor_details> all;
  const std::vector<processor_summary> there = co_await control.list();
  for (const processor_summary& s : there) {
    auto found = co_await control.describe(s.name);
    if (found) all.push_back(*std::move(found));
  }
  co_return http_response{.content_type = "text/plain; version=0.0.4", .body = metrics_text(all)};
}

http_response health(const node& whole) {
  return good({{"status", "ok"},
               {"version", MILLRACE_VERSION},
               {"cluster_id", whole.cluster_id},
               {"node_id", whole.config.node_id},
               {"shards", whole.shard_count()}});
}

// Each shard speaks for itself; the time is that of its thread.
json describe_shard(const shard_context& shard) {
  size_t partitions = 0;
  for (const topic_ptr& t : shard.image()->topics())
    for (int32_t p = 0; p < t->partitions; ++p) partitions += shard.owner(*t, p) == shard.id();
  timespec cpu{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu);
  const storage::store_stats stats = shard.store().stats();
  return {{"shard", shard.id().value()},
          {"partitions", partitions},
          {"cpu_seconds", static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9},
          {"commits", stats.commits},
          {"appended_batches", stats.appended_batches},
          {"appended_bytes", stats.appended_bytes},
          {"cached_bytes", stats.cached_bytes},
          {"wal_bytes", stats.wal_bytes},
          {"request_bytes", shard.requests.used_bytes()}};
}

task<http_response> shards(node& whole) {
  json there = json::array();
  for (const shard_context* shard : whole.shards) {
    const auto describe_there = [shard] { return describe_shard(*shard); };
    auto call = runtime::call_on(shard->id(), describe_there);
    there.push_back(co_await call);
  }
  co_return good({{"cluster_id", whole.cluster_id}, {"shards", std::move(there)}});
}

}  // namespace

task<http_response> answer(node& whole, http_request request) {
  const target at(request.target);
  const std::vector<std::string>& steps = at.steps;
  const bool gets = request.method == "GET";
  const bool posts = request.method == "POST";
  if (steps.size() < 2 || steps[0] != "v1") co_return no_such_thing(request);
  if (steps.size() == 2 && steps[1] == "health" && gets) co_return health(whole);
  if (steps.size() == 2 && steps[1] == "shards" && gets) co_return co_await shards(whole);
  if (steps.size() == 2 && steps[1] == "metrics" && gets) co_return co_await metrics(whole);
  if (steps[1] != "processors" || steps.size() > 4) co_return no_such_thing(request);
  if (steps.size() == 2 && gets) co_return co_await list(whole);
  if (steps.size() == 2 && posts) co_return co_await deploy(whole, std::move(request.body));
  if (steps.size() == 3 && gets) co_return co_await describe(whole, steps[2]);
  if (steps.size() == 3 && request.method == "PUT")
    co_return co_await replace(whole, steps[2], std::move(request.body));
  if (steps.size() == 3 && request.method == "DELETE") co_return co_await remove(whole, steps[2], at);
  if (steps.size() == 4 && posts) co_return co_await act(whole, steps[2], steps[3], std::move(request));
  co_return no_such_thing(request);
}

}  // namespace millrace::broker::admin
