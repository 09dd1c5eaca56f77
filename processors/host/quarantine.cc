#include "processors/host/quarantine.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "processors/host/breadcrumb.h"

namespace millrace::processors {
namespace {

constexpr char separator = '\t';

std::string file_in(const std::string& directory) {
  return directory + "/quarantine";
}

std::string cause_of(uint32_t verdict) {
  switch (verdict) {
    case verdict_deadline:
      return "the call did not end within processor.deadline.ms";
    case verdict_memory:
      return "it had overwritten memory of the broker";
    case verdict_exit:
      return "it ended the process with exit()";
    default:
      break;
  }
  const char* name = sigabbrev_np(static_cast<int>(verdict));
  const char* meaning = sigdescr_np(static_cast<int>(verdict));
  return name && meaning ? fmt::format("SIG{} ({})", name, meaning) : fmt::format("signal {}", verdict);
}

// What the pages hold may have been overwritten, too: printable text only.
std::string text_of(const char* from, size_t size) {
  std::string text(from, strnlen(from, size));
  std::ranges::replace_if(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; }, '?');
  return text;
}

// The blame that a breadcrumb of the last run bears, if any.
bool read_crumb(const std::filesystem::path& path, accusation& into) {
  std::ifstream in(path, std::ios::binary);
  alignas(crumb_page) char raw[sizeof(crumb_page)];
  if (!in.read(raw, sizeof(raw))) return false;
  const auto& page = *reinterpret_cast<const crumb_page*>(raw);
  if (page.magic != crumb_page::magic_value || page.verdict.load() == verdict_none) return false;
  into.processor = text_of(page.processor, sizeof(page.processor));
  into.content_hash = text_of(page.content_hash, sizeof(page.content_hash));
  into.topic = text_of(page.topic, sizeof(page.topic));
  into.partition = page.partition;
  into.offset = page.offset < 0 ? -1 : page.offset + page.current.load();
  into.why = cause_of(page.verdict.load());
  return true;
}

template <class T>
bool parse(const std::string& text, T& into) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), into);
  return code == std::errc{} && end == text.data() + text.size();
}

bool parse_line(const std::string& line, accusation& into) {
  std::istringstream in(line);
  std::string partition;
  std::string offset;
  return std::getline(in, into.processor, separator) && std::getline(in, into.content_hash, separator) &&
         std::getline(in, into.topic, separator) && std::getline(in, partition, separator) &&
         std::getline(in, offset, separator) && std::getline(in, into.why, separator) &&
         parse(partition, into.partition) && parse(offset, into.offset);
}

}  // namespace

std::string accusation::sentence() const {
  const std::string where = offset < 0 ? fmt::format("on partition {} of {}", partition, topic)
                                       : fmt::format("at offset {} of {}-{}", offset, topic, partition);
  return fmt::format(
      "the broker died in it {}: {}; it runs again with another library, or once it is resumed", where, why);
}

std::string quarantine::line_of(const accusation& a) {
  return fmt::format("{1}{0}{2}{0}{3}{0}{4}{0}{5}{0}{6}\n", separator, a.processor, a.content_hash, a.topic,
                     a.partition, a.offset, a.why);
}

quarantine quarantine::read(const std::string& directory) {
  quarantine q;
  std::ifstream in(file_in(directory));
  for (std::string line; std::getline(in, line);) {
    accusation a;
    if (parse_line(line, a)) q.all_.push_back(std::move(a));
  }
  return q;
}

result<void> quarantine::pardon(const std::string& directory, std::string_view processor) {
  std::string kept;
  for (const accusation& a : read(directory).all_)
    if (a.processor != processor) kept += line_of(a);
  const std::string file = file_in(directory);
  const std::string unfinished = file + ".new";
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool is_written = fd >= 0 &&
                          ::write(fd, kept.data(), kept.size()) == static_cast<ssize_t>(kept.size()) &&
                          ::fsync(fd) == 0 && ::rename(unfinished.c_str(), file.c_str()) == 0;
  const int code = errno;
  if (fd >= 0) ::close(fd);
  if (!is_written) return fail(errc::io_error, "cannot write {}: {}", file, std::strerror(code));
  return {};
}

result<quarantine> quarantine::load(const std::string& directory) {
  quarantine q = read(directory);
  const std::string file = file_in(directory);
  std::error_code ec;
  std::vector<std::filesystem::path> crumbs;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ec))
    if (entry.path().filename().string().starts_with("breadcrumb-")) crumbs.push_back(entry.path());
  std::ranges::sort(crumbs);
  for (const auto& path : crumbs) {
    accusation a;
    if (!read_crumb(path, a)) continue;
    q.all_.push_back(a);
    q.news_.push_back(std::move(a));
  }
  if (q.news_.empty()) return q;
  // First the line, then the crumb goes: a start that is cut short finds either.
  std::ofstream out(file, std::ios::app);
  for (const accusation& a : q.news_) out << line_of(a);
  out.flush();
  if (!out) return fail(errc::io_error, "cannot write {}: {}", file, std::strerror(errno));
  for (const auto& path : crumbs) std::filesystem::remove(path, ec);
  return q;
}

const accusation* quarantine::find(std::string_view processor, std::string_view content_hash) const {
  for (const accusation& a : all_)
    if (a.processor == processor && a.content_hash == content_hash) return &a;
  return nullptr;
}

}  // namespace millrace::processors
