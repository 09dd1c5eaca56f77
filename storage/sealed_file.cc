#include "storage/sealed_file.h"

#include <cstring>

#include "base/assert.h"
#include "base/checksum.h"

namespace millrace::storage {

namespace {

constexpr size_t version_at = 7;
constexpr size_t length_at = 8;
constexpr size_t sum_at = 16;

}  // namespace

void seal(std::vector<std::byte>& file, const seal_kind& kind) {
  MR_ASSERT(file.size() >= seal_bytes && kind.magic.size() == version_at);
  const bytes_view body = bytes_view(file).subspan(seal_bytes);
  std::memcpy(file.data(), kind.magic.data(), version_at);
  file[version_at] = static_cast<std::byte>(kind.version);
  store_le<uint64_t>(file.data() + length_at, body.size());
  store_le<uint64_t>(file.data() + sum_at, xxh3(body));
}

result<unsealed> unseal(bytes_view file, const seal_kind& kind, const std::string& path) {
  if (file.size() < seal_bytes || std::memcmp(file.data(), kind.magic.data(), version_at) != 0)
    return fail(errc::corruption, "{} is no {}", path, kind.what);
  const auto version = static_cast<uint8_t>(file[version_at]);
  if (version < kind.oldest || version > kind.version)
    return fail(errc::not_supported, "{} has {} format {}; this version of Millrace reads {} to {}", path,
                kind.what, static_cast<int>(version), static_cast<int>(kind.oldest),
                static_cast<int>(kind.version));
  const bytes_view body = file.subspan(seal_bytes);
  if (load_le<uint64_t>(file.data() + length_at) != body.size() ||
      load_le<uint64_t>(file.data() + sum_at) != xxh3(body))
    return fail(errc::corruption, "{} is damaged: its checksum does not match", path);
  return unsealed{version, body};
}

}  // namespace millrace::storage
