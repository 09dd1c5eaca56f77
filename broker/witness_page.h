// witness_page: the file behind a shard's storage::commit_witness.
//
// One page, `<log.dirs>/witness-<shard>`, mapped shared: what is stored there is the kernel's at once and so
// outlives this process, however it ends. A broker runs as well without (a full disk, an odd file system).
#pragma once

#include <string>

#include "base/types.h"
#include "storage/witness.h"

namespace millrace::broker {

class witness_page {
 public:
  // Starts from zero. Runs on: start-up only.
  witness_page(const std::string& data_directory, shard_id shard);
  ~witness_page();
  witness_page(const witness_page&) = delete;
  witness_page& operator=(const witness_page&) = delete;

  // Null if the page could not be had. Lives as long as this.
  storage::commit_witness* get() const noexcept { return page_; }

 private:
  storage::commit_witness* page_ = nullptr;
};

}  // namespace millrace::broker
