// index_check: whether `.index` and `.timeindex` agree with the segment beside them.
//
//   .index      8 bytes an entry: last offset of a batch minus the segment's base (4), its position (4)
//   .timeindex  12 bytes an entry: largest timestamp so far (8), last offset of the batch holding it minus
//   the base (4)
//
// Big-endian. A broker may keep zeros behind the last entry while it writes. The rules are those by which
// Kafka's own dump tool calls an index wrong.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "tools/log/findings.h"
#include "tools/log/segment_scan.h"

namespace millrace::tools {

struct offset_entry {
  int64_t offset = 0;  // absolute
  uint32_t position = 0;
};
struct time_entry {
  int64_t timestamp_ms = 0;
  int64_t offset = 0;  // absolute
};

// The base offset in a segment's or index's name ("00000000000000001234.log"); nothing if it has not that
// form.
std::optional<int64_t> base_offset_of(const std::string& path);

// The entries of an index file. What is wrong within it goes to `findings`.
result<std::vector<offset_entry>> load_offset_index(const std::string& path, int64_t base,
                                                    std::vector<finding>& findings);
result<std::vector<time_entry>> load_time_index(const std::string& path, int64_t base,
                                                std::vector<finding>& findings);

// Takes in a segment's batches in order and compares.
class index_check {
 public:
  // Loads whichever of the two indexes lie beside `segment_path`; files that are missing are no finding.
  static result<index_check> open(const std::string& segment_path);

  void on_batch(const located_batch& batch);
  // After the last batch: entries that no batch answered to. Behind a torn tail they belong to what was
  // cut off.
  std::vector<finding> finish(bool is_segment_torn) &&;

 private:
  std::string offset_path_;
  std::string time_path_;
  std::vector<offset_entry> offsets_;
  std::vector<time_entry> times_;
  size_t next_offset_entry_ = 0;
  size_t next_time_entry_ = 0;
  std::vector<finding> findings_;
};

}  // namespace millrace::tools
