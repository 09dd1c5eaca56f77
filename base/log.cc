#include "base/log.h"

#include <atomic>
#include <memory>
#include <spdlog/async.h>
#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

namespace millrace::log {

namespace {

constexpr size_t queue_lines_max = 1024;

spdlog::level::level_enum spdlog_level(level l) {
  switch (l) {
    case level::trace:
      return spdlog::level::trace;
    case level::debug:
      return spdlog::level::debug;
    case level::info:
      return spdlog::level::info;
    case level::warn:
      return spdlog::level::warn;
    case level::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

constexpr const char* line_pattern = "%Y-%m-%dT%H:%M:%S.%e %^%L%$ %v";

std::shared_ptr<spdlog::logger>& logger() {
  static std::shared_ptr<spdlog::logger> instance = [] {
    auto direct =
        std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    direct->set_pattern(line_pattern);
    return direct;
  }();
  return instance;
}

std::atomic<level> lowest_level{level::info};

}  // namespace

void start(level lowest) {
  lowest_level = lowest;
  spdlog::init_thread_pool(queue_lines_max, 1);
  auto async = std::make_shared<spdlog::async_logger>(
      "millrace", std::make_shared<spdlog::sinks::stderr_color_sink_mt>(), spdlog::thread_pool(),
      spdlog::async_overflow_policy::overrun_oldest);
  async->set_pattern(line_pattern);
  async->set_level(spdlog::level::trace);
  async->flush_on(spdlog::level::warn);
  logger() = std::move(async);
}

void stop() {
  auto direct =
      std::make_shared<spdlog::logger>("millrace", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  direct->set_pattern(line_pattern);
  logger() = std::move(direct);
  spdlog::shutdown();
}

bool is_enabled(level l) noexcept {
  return l >= lowest_level.load(std::memory_order_relaxed);
}

void write(level l, std::string_view line) {
  logger()->log(spdlog_level(l), "{}", line);
}

}  // namespace millrace::log
