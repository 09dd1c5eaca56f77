#include "storage/import_manifest.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/limits.h"
#include "storage/codec.h"
#include "storage/layout.h"
#include "storage/metadata_codec.h"
#include "storage/sealed_file.h"

namespace millrace::storage {

namespace {

constexpr seal_kind manifest_seal{
    .magic = {"MRIMPO\0", 7}, .version = 1, .oldest = 1, .what = "manifest of an import"};
constexpr std::string_view directory_suffix = "-import";

// Every partition of every topic, once, and nothing else.
bool is_complete(const import_manifest& m) {
  std::set<topic_partition_id> expected;
  for (const topic_created& t : m.topics) {
    if (t.partitions < 1 || t.partitions > limits::partitions_per_topic_max) return false;
    for (int32_t p = 0; p < t.partitions; ++p)
      if (!expected.insert({t.id, p}).second) return false;
  }
  return expected.size() == m.partitions.size() &&
         std::ranges::all_of(m.partitions, [&](const checkpoint_partition& p) {
           return expected.erase(p.id) == 1 && !p.segments.empty() && p.segments.back().end == p.spilled_end;
         });
}

}  // namespace

std::vector<std::byte> encode(const import_manifest& m) {
  field_writer w;
  w.out().resize(seal_bytes);
  w.put(m.next_producer_id);
  w.put(m.newest_epoch);
  w.put(static_cast<uint32_t>(m.topics.size()));
  for (const topic_created& t : m.topics) {
    const encoded_entry entry = encode(metadata_entry(t));
    w.put(entry.kind);
    w.put_bytes(entry.body);
  }
  checkpoint partitions;
  partitions.partitions = m.partitions;
  w.put_bytes(encode(partitions));

  std::vector<std::byte> file = std::move(w.out());
  seal(file, manifest_seal);
  return file;
}

result<import_manifest> decode_import_manifest(bytes_view file, const std::string& path) {
  const auto opened = unseal(file, manifest_seal, path);
  if (!opened) return fail(opened.error());
  field_reader r(opened->body);
  import_manifest m;
  m.next_producer_id = r.get<int64_t>();
  m.newest_epoch = r.get<int32_t>();
  for (uint32_t n = r.get_count(5); n > 0 && r.ok(); --n) {
    const auto kind = r.get<uint8_t>();
    auto entry = decode_metadata(kind, r.get_bytes());
    if (!entry) return fail(entry.error().code, "{}: {}", path, entry.error().message);
    auto* topic = std::get_if<topic_created>(&*entry);
    if (!topic) return fail(errc::corruption, "{} holds an entry that creates no topic", path);
    m.topics.push_back(std::move(*topic));
  }
  auto partitions = decode_checkpoint(r.get_bytes(), path);
  if (!partitions) return fail(partitions.error());
  m.partitions = std::move(partitions->partitions);
  if (!r.ok() || !r.at_end() || !is_complete(m))
    return fail(errc::corruption, "{} is damaged: its fields do not fit", path);
  return m;
}

namespace layout {

std::string import_manifest(const std::string& data_dir) {
  return data_dir + "/import.manifest";
}
std::string import_directory(const std::string& data_dir, std::string_view topic, int32_t partition) {
  return partition_directory(data_dir, topic, partition) + std::string(directory_suffix);
}
bool is_import_directory(std::string_view name) {
  return name.ends_with(directory_suffix) &&
         parse_partition_directory(name.substr(0, name.size() - directory_suffix.size())).has_value();
}

}  // namespace layout

}  // namespace millrace::storage
