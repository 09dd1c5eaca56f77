#include "protocol/header.h"

#include "base/assert.h"

namespace millrace::protocol {

namespace {

bool response_has_tags(api_key key, int16_t version) noexcept {
  return key != api_key::api_versions && version >= info_of(key).flexible_min;
}

}  // namespace

bool request_header::is_known() const noexcept {
  const api_info* info = find_api(api_key);
  return info && api_version >= info->version_min && api_version <= info->version_max;
}

bool request_header::is_flexible() const noexcept {
  const api_info* info = find_api(api_key);
  return info && api_version >= info->flexible_min;
}

result<request_header> request_header::decode(reader& in) {
  request_header header;
  in.set_flexible(false);
  in.get(header.api_key, "api_key");
  in.get(header.api_version, "api_version");
  in.get(header.correlation_id, "correlation_id");
  if (header.is_known()) {
    in.get(header.client_id, "client_id");
    in.set_flexible(header.is_flexible());
    in.skip_tags("tagged fields");
  }
  MR_TRY(in.status("request_header", header.api_version));
  return header;
}

void request_header::encode(writer& out) const {
  MR_ASSERT(is_known());
  out.set_flexible(false);
  out.put(api_key);
  out.put(api_version);
  out.put(correlation_id);
  out.put(client_id);
  out.set_flexible(is_flexible());
  out.put_tag_count(0);
}

void encode_response_header(writer& out, api_key key, int16_t version, int32_t correlation_id) {
  out.put(correlation_id);
  out.set_flexible(response_has_tags(key, version));
  out.put_tag_count(0);
}

result<int32_t> decode_response_header(reader& in, api_key key, int16_t version) {
  int32_t correlation_id = 0;
  in.get(correlation_id, "correlation_id");
  in.set_flexible(response_has_tags(key, version));
  in.skip_tags("tagged fields");
  MR_TRY(in.status("response_header", version));
  return correlation_id;
}

}  // namespace millrace::protocol
