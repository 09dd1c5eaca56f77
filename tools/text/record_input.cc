#include "tools/text/record_input.h"

#include <errno.h>
#include <nlohmann/json.hpp>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "tools/cli/interrupt.h"
#include "tools/text/json.h"
#include "tools/text/suggest.h"

namespace millrace::tools {

namespace {

using nlohmann::ordered_json;

constexpr size_t read_bytes = 256 * 1024;

// A member that holds bytes: a string as it is, base64 under NAME_base64, null, or any other JSON as its
// text.
result<std::optional<std::string>> bytes_of(const ordered_json& object, const std::string& name) {
  if (const auto encoded = object.find(name + "_base64"); encoded != object.end()) {
    std::optional<std::string> decoded;
    if (encoded->is_string()) decoded = decode_base64(encoded->get_ref<const std::string&>());
    if (!decoded) return fail(errc::malformed, "'{}_base64' is no base64", name);
    return decoded;
  }
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return std::optional<std::string>();
  if (found->is_string()) return std::optional(found->get<std::string>());
  return std::optional(found->dump());
}

result<int64_t> integer_of(const ordered_json& object, const std::string& name, int64_t if_absent) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return if_absent;
  if (!found->is_number_integer()) return fail(errc::malformed, "'{}' is no whole number", name);
  return found->get<int64_t>();
}

result<void> check_member_names(const ordered_json& object) {
  static const std::vector<std::string> known = {"topic",          "partition", "offset",     "timestamp",
                                                 "timestamp_type", "key",       "key_base64", "value",
                                                 "value_base64",   "headers"};
  for (const auto& [name, value] : object.items()) {
    if (std::ranges::find(known, name) == known.end()) {
      return fail(errc::malformed,
                  "a record has no '{}'{} (a value that is JSON itself goes under \"value\")", name,
                  did_you_mean(name, known));
    }
  }
  return {};
}

}  // namespace

result<std::optional<std::string_view>> split_reader::next() {
  while (true) {
    const size_t at = delimiter_.empty() ? std::string::npos : buffer_.find(delimiter_, scanned_);
    if (at != std::string::npos) {
      const std::string_view piece(buffer_.data() + begin_, at - begin_);
      begin_ = scanned_ = at + delimiter_.size();
      return piece;
    }
    if (is_at_end_) {
      const std::string_view rest(buffer_.data() + begin_, buffer_.size() - begin_);
      begin_ = scanned_ = buffer_.size();
      if (rest.empty()) return std::nullopt;
      return rest;
    }
    const result<bool> more = read_more();
    if (!more) return fail(more.error());
    is_at_end_ = !*more;
    if (interrupted()) return std::nullopt;
  }
}

result<bool> split_reader::read_more() {
  buffer_.erase(0, begin_);
  begin_ = 0;
  if (buffer_.size() > piece_bytes_max) {
    return fail(errc::limit_exceeded, "no delimiter within {} bytes of input", piece_bytes_max);
  }
  // A delimiter may straddle two reads.
  scanned_ = buffer_.size() - std::min(buffer_.size(), delimiter_.size());
  const size_t held = buffer_.size();
  buffer_.resize(held + read_bytes);
  while (true) {
    pollfd wait = {.fd = descriptor_, .events = POLLIN, .revents = 0};
    const int ready = poll(&wait, 1, 100);
    if (ready == 0) on_wait_();
    if (interrupted()) {
      buffer_.resize(held);
      return false;
    }
    if (ready <= 0) continue;
    const ssize_t got = ::read(descriptor_, buffer_.data() + held, read_bytes);
    if (got < 0 && errno == EINTR) continue;
    buffer_.resize(held + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got < 0) return fail(errc::io_error, "cannot read the input: {}", strerror(errno));
    bytes_read_ += static_cast<uint64_t>(got);
    return got > 0;
  }
}

result<outgoing_record> record_parser::parse(std::string_view piece) {
  if (rules_.format == input_format::json) return parse_json(piece);
  return parse_line(piece);
}

result<outgoing_record> record_parser::parse_line(std::string_view piece) const {
  outgoing_record record{.partition = rules_.partition};
  if (!rules_.headers.empty()) record.headers = &rules_.headers;
  if (rules_.fixed_key) record.key = *rules_.fixed_key;
  if (rules_.format == input_format::lines && !rules_.key_separator.empty()) {
    const size_t at = piece.find(rules_.key_separator);
    if (at == std::string_view::npos) {
      return fail(errc::malformed, "no key separator '{}' in it", rules_.key_separator);
    }
    record.key = null_if_empty(piece.substr(0, at));
    piece.remove_prefix(at + rules_.key_separator.size());
  }
  record.value = null_if_empty(piece);
  return record;
}

result<outgoing_record> record_parser::parse_json(std::string_view piece) {
  const ordered_json object = ordered_json::parse(piece, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return fail(errc::malformed, "it is no JSON object");
  MR_TRY(check_member_names(object));
  auto key = bytes_of(object, "key");
  if (!key) return fail(key.error());
  auto value = bytes_of(object, "value");
  if (!value) return fail(value.error());
  const auto partition = integer_of(object, "partition", -1);
  if (!partition) return fail(partition.error());
  const auto timestamp = integer_of(object, "timestamp", 0);
  if (!timestamp) return fail(timestamp.error());
  if (*partition < -1 || *partition > INT32_MAX) return fail(errc::malformed, "'partition' is out of range");

  headers_ = rules_.headers;
  if (const auto found = object.find("headers"); found != object.end() && !found->is_null()) {
    if (!found->is_array()) return fail(errc::malformed, "'headers' is no array of {{\"name\", \"value\"}}");
    for (const ordered_json& header : *found) {
      if (!header.is_object() || !header.contains("name") || !header["name"].is_string()) {
        return fail(errc::malformed, "a header has no \"name\"");
      }
      auto header_value = bytes_of(header, "value");
      if (!header_value) return fail(header_value.error());
      headers_.emplace_back(header["name"].get<std::string>(), *std::move(header_value));
    }
  }
  key_ = rules_.fixed_key ? rules_.fixed_key : *std::move(key);
  value_ = *std::move(value);
  outgoing_record record{
      .partition = rules_.partition >= 0 ? rules_.partition : static_cast<int32_t>(*partition),
      .timestamp_ms = *timestamp};
  if (key_) record.key = *key_;
  if (value_) record.value = *value_;
  if (!headers_.empty()) record.headers = &headers_;
  return record;
}

}  // namespace millrace::tools
