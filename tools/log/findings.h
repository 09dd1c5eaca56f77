// findings: what was seen wrong in a file, and how bad it is.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::tools {

// In order of badness.
enum class severity {
  note,     // worth knowing, nothing wrong
  torn,     // the file ends in the middle of something: what a crash leaves, recovery deals with it
  corrupt,  // something that was written whole has changed, or contradicts the rest
};

constexpr std::string_view name_of(severity s) {
  switch (s) {
    case severity::note:
      return "note";
    case severity::torn:
      return "torn";
    case severity::corrupt:
      return "corrupt";
  }
  return "?";
}

struct finding {
  severity how_bad = severity::note;
  std::string file;
  uint64_t position = 0;
  std::string what;
};

// A file and what was found in it, for `log verify`.
struct file_report {
  std::string path;
  std::string_view kind;  // "segment", "wal"
  uint64_t bytes = 0;
  uint64_t batches = 0;  // of a WAL: in all of its frames
  uint64_t records = 0;
  uint64_t frames = 0;  // WAL only
  int64_t first = -1;   // offset, or lsn of a WAL; -1: none
  int64_t last = -1;
  std::vector<finding> findings;

  severity worst() const {
    severity worst = severity::note;
    for (const finding& f : findings) worst = std::max(worst, f.how_bad);
    return worst;
  }
};

}  // namespace millrace::tools
