// adopt: makes the topics of an import (import_manifest.h) topics of this broker.
//
// Runs when the data directory is opened, before any shard opens and before partitions are placed anew. A
// topic is there whole or not at all, wherever a crash falls:
//
//   1. the topics are created in the metadata log: one durable step
//   2. the partitions' directories take their final names
//   3. the shards' checkpoints name the partitions with their segments
//   4. the manifest is removed
//
// Each step finds out what of it is done already, and while the manifest exists every start begins here; so a
// crash between two steps is finished by the next start, which serves nobody before.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "runtime/task.h"
#include "storage/metadata_log.h"

namespace millrace::storage {

// What of an imported topic's configuration this broker can keep. It says itself what it left out.
using config_filter = std::function<config_map(const topic_metadata&)>;

// `shards` is the number by which partitions are placed at present. Does nothing without a manifest, except
// removing what an import that did not come to its end left behind. errc::already_exists if a topic of
// that name is there.
runtime::task<result<void>> adopt_imported(std::string data_dir, uint32_t shards, metadata_log& metadata,
                                           config_filter keep);

}  // namespace millrace::storage
