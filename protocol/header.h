// header: what stands before every request and response.
//
//   request   int32 size | int16 api key | int16 version | int32 correlation id | string? client id | [tags]
//   response  int32 size | int32 correlation id | [tags]
//
// The tags come with flexible versions of the API. Two exceptions are Kafka's: the client id keeps its
// two-byte length even there, and the answer to ApiVersions never has tags, so that a client can read it
// before it knows what the broker speaks.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/buffer.h"
#include "base/result.h"
#include "protocol/api.h"
#include "protocol/reader.h"
#include "protocol/writer.h"

namespace millrace::protocol {

struct request_header {
  int16_t api_key = 0;  // raw: may be one we do not know
  int16_t api_version = 0;
  int32_t correlation_id = 0;
  std::optional<std::string_view> client_id;  // views the input

  // Reads the header from the front of a request (its size left out) and leaves `in` at the body. Reads
  // no further than the correlation id, and succeeds, when the key or version is unknown: the form of
  // the rest is unknown too, and is_known() is false.
  static result<request_header> decode(reader& in);
  // Writes the header a client would. Requires: is_known().
  void encode(writer& out) const;

  // The schemas have this key and version.
  bool is_known() const noexcept;
  bool is_flexible() const noexcept;
};

// The correlation id and, where they belong, no tags.
void encode_response_header(writer& out, api_key key, int16_t version, int32_t correlation_id);
// The correlation id of an answer; leaves `in` at the body.
result<int32_t> decode_response_header(reader& in, api_key key, int16_t version);

// A whole answer as it goes on the wire, size first.
template <class Response>
iobuf encode_response(const Response& response, int16_t version, int32_t correlation_id,
                      size_t size_hint = 256) {
  writer out(size_hint);
  out.put(int32_t{0});
  encode_response_header(out, Response::api, version, correlation_id);
  response.encode(out, version);
  out.patch_int32(0, static_cast<int32_t>(out.size() - sizeof(int32_t)));
  return std::move(out).finish();
}

// A whole request as a client sends it, size first.
template <class Request>
iobuf encode_request(const Request& request, int16_t version, int32_t correlation_id,
                     std::optional<std::string_view> client_id, size_t size_hint = 256) {
  writer out(size_hint);
  out.put(int32_t{0});
  request_header{static_cast<int16_t>(Request::api), version, correlation_id, client_id}.encode(out);
  request.encode(out, version);
  out.patch_int32(0, static_cast<int32_t>(out.size() - sizeof(int32_t)));
  return std::move(out).finish();
}

}  // namespace millrace::protocol
