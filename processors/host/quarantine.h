// quarantine: processors that a broker has died of, which do not run again until they are another library.
//
// At start-up the breadcrumbs of the last run are read. One that bears a blame becomes a line of the file
// `<log.dirs>/quarantine`: processor, content of its library, topic, partition, offset and cause. A processor
// is paused on all its partitions while there is a line for its name and its library's content. Deploying
// another library lifts it; so does its operator by resuming it, and so does deleting the line (or the file)
// and starting again.
//
// A breadcrumb of a call that had not ended, without a blame, may mean anything: the processor ate up the
// memory and the kernel killed the broker, or somebody did who knows nothing of processors. It becomes a
// suspicion, a line of the file `<log.dirs>/suspects`. When the broker has been killed `kills_max` times in a
// row in a call at the same record (or in calls that began with it), the suspicion has become an accusation;
// a run that ends otherwise ends a row. Calls at no record (a validator's, before it has offsets) do not
// count.
//
// All calls block: start-up and helper threads only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace millrace::processors {

struct accusation {
  std::string processor;
  std::string content_hash;
  std::string topic;
  int32_t partition = 0;
  int64_t offset = -1;  // -1: in no record
  std::string why;      // "SIGSEGV (Segmentation fault)"

  // For a log and for people who wonder why the processor is paused.
  std::string sentence() const;
};

// The broker was killed while a processor was called.
struct suspicion {
  std::string processor;
  std::string content_hash;
  std::string topic;
  int32_t partition = 0;
  int64_t offset = 0;
  uint32_t times = 1;  // in a row

  bool is_about_the_same(const suspicion& other) const;
};

class quarantine {
 public:
  static constexpr uint32_t kills_max = 3;

  // Reads the files and the breadcrumbs in the directory, and writes down what is new. The breadcrumbs are
  // gone then; a start that is cut short before that finds them again, and may count a kill twice.
  static result<quarantine> load(const std::string& directory);

  // What the file says now.
  static quarantine read(const std::string& directory);
  // Deletes the lines of this processor, durably.
  static result<void> pardon(const std::string& directory, std::string_view processor);

  // The accusation against this processor with this library; null if there is none.
  const accusation* find(std::string_view processor, std::string_view content_hash) const;
  // Those that this start has found.
  const std::vector<accusation>& news() const { return news_; }
  // What of the last run is no accusation yet.
  const std::vector<suspicion>& suspicions() const { return suspicions_; }

 private:
  static std::string line_of(const accusation& a);
  void suspect(const suspicion& found, const std::vector<suspicion>& before);

  std::vector<accusation> all_;
  std::vector<accusation> news_;
  std::vector<suspicion> suspicions_;
};

}  // namespace millrace::processors
