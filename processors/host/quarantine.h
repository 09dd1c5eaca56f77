// quarantine: processors that a broker has died of, which do not run again until they are another library.
//
// At start-up the breadcrumbs of the last run are read. One that bears a blame becomes a line of the file
// `<log.dirs>/quarantine`: processor, content of its library, topic, partition, offset and cause. A processor
// is paused on all its partitions while there is a line for its name and its library's content. Deploying
// another library lifts it; so does its operator by resuming it, and so does deleting the line (or the file)
// and starting again.
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

class quarantine {
 public:
  // Reads the file and the breadcrumbs in the directory, and writes down what is new.
  static result<quarantine> load(const std::string& directory);

  // What the file says now.
  static quarantine read(const std::string& directory);
  // Deletes the lines of this processor, durably.
  static result<void> pardon(const std::string& directory, std::string_view processor);

  // The accusation against this processor with this library; null if there is none.
  const accusation* find(std::string_view processor, std::string_view content_hash) const;
  // Those that this start has found.
  const std::vector<accusation>& news() const { return news_; }

 private:
  static std::string line_of(const accusation& a);

  std::vector<accusation> all_;
  std::vector<accusation> news_;
};

}  // namespace millrace::processors
