// fs: names in the file system.
//
// Creating, renaming and removing names is durable only after sync_directory() of the directory that
// holds them. Errors name the path. Any shard may call; all calls take the current reactor's backend.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/buffer.h"
#include "base/bytes.h"
#include "base/result.h"
#include "runtime/io_op.h"
#include "runtime/task.h"

namespace millrace::runtime::fs {

// Fails with already_exists if there is something of that name.
task<result<void>> make_directory(std::string path);
// Makes it and all that is missing above it, each name durably; fine if it is there.
task<result<void>> make_directories(std::string path);
// Sorted by name, without "." and "..".
task<result<std::vector<directory_entry>>> list_directory(std::string path);
// Atomic; an existing file at `to` is replaced.
task<result<void>> rename(std::string from, std::string to);
task<result<void>> unlink(std::string path);
// Requires an empty directory.
task<result<void>> remove_directory(std::string path);
// The directory with everything in it.
task<result<void>> remove_tree(std::string path);
task<result<void>> sync_directory(std::string path);
task<result<bool>> exists(std::string path);
task<result<uint64_t>> file_size(std::string path);
task<result<disk_space>> disk_free(std::string path);
// The whole file; limit_exceeded if it is larger than `bytes_max`.
task<result<slice>> read_file(std::string path, uint64_t bytes_max);
// Puts `bytes` at `path` so that after a power cut either the old or the new content is there, never a
// mixture: writes `path`.tmp, syncs it, renames, syncs the directory.
task<result<void>> replace_file(std::string path, bytes_view bytes);

// The part before the last '/'; "." if there is none.
std::string directory_of(const std::string& path);

}  // namespace millrace::runtime::fs
