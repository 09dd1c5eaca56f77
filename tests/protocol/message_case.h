// message_case: every generated message behind one face, so that a test says a thing once for all of them.
#pragma once

#include <string_view>
#include <vector>

#include "base/prng.h"
#include "base/result.h"
#include "protocol/message.h"
#include "tests/protocol/value.h"
#include "tests/protocol/value_maker.h"

namespace millrace::protocol::testing {

struct message_case {
  std::string_view name;
  int16_t version_min;
  int16_t version_max;

  // The encoding of a message whose fields a golden vector gives.
  slice (*encode_value)(const value& fields, int16_t version);
  // Whether decoding gives just those fields.
  bool (*decodes_to)(const value& fields, int16_t version, slice bytes);
  // The encoding of the message as it is when nobody touched it.
  slice (*encode_default)(int16_t version);
  // The encoding of a random message, decoded and compared on the way: an error names the difference.
  result<slice> (*random_round_trip)(prng& random, int16_t version);
  // Decodes, and encodes what came out. Gives how many bytes were read, too.
  struct decoded {
    slice encoded_again;
    size_t bytes_read = 0;
  };
  result<decoded> (*decode)(slice bytes, int16_t version);
};

// All messages that have a schema.
const std::vector<message_case>& all_messages();

// How generated code fills and reads one message type.
template <class Message>
struct message_traits;

template <class Message>
message_case make_case() {
  using traits = message_traits<Message>;
  return {
      .name = traits::name,
      .version_min = Message::version_min,
      .version_max = Message::version_max,
      .encode_value =
          [](const value& fields, int16_t version) {
            Message message;
            traits::parse(fields, message);
            return encode_to_slice(message, version);
          },
      .decodes_to =
          [](const value& fields, int16_t version, slice bytes) {
            Message expected;
            traits::parse(fields, expected);
            reader in(std::move(bytes));
            const auto got = Message::decode(in, version);
            return got && in.remaining() == 0 && *got == expected;
          },
      .encode_default = [](int16_t version) { return encode_to_slice(Message{}, version); },
      .random_round_trip = [](prng& random, int16_t version) -> result<slice> {
        value_maker from(random);
        Message message;
        traits::fill(from, version, message);
        const slice bytes = encode_to_slice(message, version);
        reader in(bytes);
        const auto back = Message::decode(in, version);
        if (!back) return std::unexpected(back.error());
        if (in.remaining() != 0) return fail(errc::malformed, "{} bytes were not read", in.remaining());
        if (!(*back == message)) return fail(errc::malformed, "something else came back");
        return bytes;
      },
      .decode = [](slice bytes, int16_t version) -> result<message_case::decoded> {
        reader in(std::move(bytes));
        const auto message = Message::decode(in, version);
        if (!message) return std::unexpected(message.error());
        return message_case::decoded{encode_to_slice(*message, version), in.position()};
      },
  };
}

}  // namespace millrace::protocol::testing
