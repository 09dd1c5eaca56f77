#include "processors/host/quarantine.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <unistd.h>

#include "processors/host/breadcrumb.h"

namespace millrace::processors {
namespace {

constexpr char separator = '\t';

std::string file_in(const std::string& directory) {
  return directory + "/quarantine";
}

std::string suspects_in(const std::string& directory) {
  return directory + "/suspects";
}

std::string cause_of(uint32_t verdict) {
  switch (verdict) {
    case verdict_deadline:
      return "the call did not end within processor.deadline.ms";
    case verdict_memory:
      return "it had overwritten memory of the broker";
    case verdict_exit:
      return "it ended the process with exit()";
    case verdict_leak:
      return "the broker's memory grew by more than processor.call.memory.max.bytes in its call";
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

// What a breadcrumb of the last run says, if it is about a call.
struct crumb {
  accusation about;
  bool bears_blame = false;
};

std::optional<crumb> read_crumb(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  alignas(crumb_page) char raw[sizeof(crumb_page)];
  if (!in.read(raw, sizeof(raw))) return std::nullopt;
  const auto& page = *reinterpret_cast<const crumb_page*>(raw);
  if (page.magic != crumb_page::magic_value) return std::nullopt;
  crumb found;
  found.bears_blame = page.verdict.load() != verdict_none;
  if (!found.bears_blame && page.in_call_since.load() == 0) return std::nullopt;
  accusation& a = found.about;
  a.processor = text_of(page.processor, sizeof(page.processor));
  a.content_hash = text_of(page.content_hash, sizeof(page.content_hash));
  a.topic = text_of(page.topic, sizeof(page.topic));
  a.partition = page.partition;
  a.offset = page.offset < 0 ? -1 : page.offset + page.current.load();
  if (found.bears_blame) a.why = cause_of(page.verdict.load());
  return found;
}

template <class T>
bool parse(const std::string& text, T& into) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), into);
  return code == std::errc{} && end == text.data() + text.size();
}

// Processor, content, topic, partition, offset; what follows is left in `last`.
template <class T>
bool parse_line(const std::string& line, T& into, std::string& last) {
  std::istringstream in(line);
  std::string partition;
  std::string offset;
  return std::getline(in, into.processor, separator) && std::getline(in, into.content_hash, separator) &&
         std::getline(in, into.topic, separator) && std::getline(in, partition, separator) &&
         std::getline(in, offset, separator) && std::getline(in, last, separator) &&
         parse(partition, into.partition) && parse(offset, into.offset);
}

template <class T>
std::string line_with(const T& at, std::string_view last) {
  return fmt::format("{1}{0}{2}{0}{3}{0}{4}{0}{5}{0}{6}\n", separator, at.processor, at.content_hash,
                     at.topic, at.partition, at.offset, last);
}

std::vector<suspicion> read_suspects(const std::string& directory) {
  std::vector<suspicion> all;
  std::ifstream in(suspects_in(directory));
  for (std::string line; std::getline(in, line);) {
    suspicion s;
    std::string times;
    if (parse_line(line, s, times) && parse(times, s.times)) all.push_back(std::move(s));
  }
  return all;
}

// The file holds this text, or what it held before, whatever happens.
result<void> replace_file(const std::string& file, const std::string& text) {
  const std::string unfinished = file + ".new";
  const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool is_written = fd >= 0 &&
                          ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
                          ::fsync(fd) == 0 && ::rename(unfinished.c_str(), file.c_str()) == 0;
  const int code = errno;
  if (fd >= 0) ::close(fd);
  if (!is_written) return fail(errc::io_error, "cannot write {}: {}", file, std::strerror(code));
  return {};
}

}  // namespace

std::string accusation::sentence() const {
  const std::string where = offset < 0 ? fmt::format("on partition {} of {}", partition, topic)
                                       : fmt::format("at offset {} of {}-{}", offset, topic, partition);
  return fmt::format(
      "the broker died in it {}: {}; it runs again with another library, or once it is resumed", where, why);
}

std::string quarantine::line_of(const accusation& a) {
  return line_with(a, a.why);
}

quarantine quarantine::read(const std::string& directory) {
  quarantine q;
  std::ifstream in(file_in(directory));
  for (std::string line; std::getline(in, line);) {
    accusation a;
    if (parse_line(line, a, a.why)) q.all_.push_back(std::move(a));
  }
  return q;
}

result<void> quarantine::pardon(const std::string& directory, std::string_view processor) {
  std::string kept;
  for (const accusation& a : read(directory).all_)
    if (a.processor != processor) kept += line_of(a);
  return replace_file(file_in(directory), kept);
}

result<quarantine> quarantine::load(const std::string& directory) {
  quarantine q = read(directory);
  const std::string file = file_in(directory);
  std::error_code ec;
  std::vector<std::filesystem::path> crumbs;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ec))
    if (entry.path().filename().string().starts_with("breadcrumb-")) crumbs.push_back(entry.path());
  const std::vector<suspicion> before = read_suspects(directory);
  if (crumbs.empty()) {  // it did not come to a call
    q.suspicions_ = before;
    return q;
  }
  std::ranges::sort(crumbs);
  for (const auto& path : crumbs) {
    const std::optional<crumb> found = read_crumb(path);
    if (!found) continue;
    const accusation& a = found->about;
    if (found->bears_blame)
      q.news_.push_back(a);
    else if (a.offset >= 0)
      q.suspect({a.processor, a.content_hash, a.topic, a.partition, a.offset}, before);
  }
  q.all_.insert(q.all_.end(), q.news_.begin(), q.news_.end());
  // First the lines, then the crumbs go: a start that is cut short finds either.
  if (!q.news_.empty()) {
    std::ofstream out(file, std::ios::app);
    for (const accusation& a : q.news_) out << line_of(a);
    out.flush();
    if (!out) return fail(errc::io_error, "cannot write {}: {}", file, std::strerror(errno));
  }
  if (!q.suspicions_.empty() || !before.empty()) {
    std::string lines;
    for (const suspicion& s : q.suspicions_) lines += line_with(s, std::to_string(s.times));
    MR_TRY(replace_file(suspects_in(directory), lines));
  }
  for (const auto& path : crumbs) std::filesystem::remove(path, ec);
  return q;
}

bool suspicion::is_about_the_same(const suspicion& other) const {
  return processor == other.processor && content_hash == other.content_hash && topic == other.topic &&
         partition == other.partition && offset == other.offset;
}

void quarantine::suspect(const suspicion& found, const std::vector<suspicion>& before) {
  suspicion now = found;
  const auto at =
      std::ranges::find_if(before, [&](const suspicion& s) { return s.is_about_the_same(found); });
  if (at != before.end()) now.times = at->times + 1;
  if (now.times < kills_max) return suspicions_.push_back(std::move(now));
  news_.push_back(
      {now.processor, now.content_hash, now.topic, now.partition, now.offset,
       fmt::format("it was killed {} times in a row (SIGKILL), perhaps because memory ran out", now.times)});
}

const accusation* quarantine::find(std::string_view processor, std::string_view content_hash) const {
  for (const accusation& a : all_)
    if (a.processor == processor && a.content_hash == content_hash) return &a;
  return nullptr;
}

}  // namespace millrace::processors
