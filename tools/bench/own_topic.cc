#include "tools/bench/own_topic.h"

#include <random>

namespace millrace::tools {

result<own_topic> own_topic::make(const connection& to, new_topic like) {
  auto client = handle::open(RD_KAFKA_CONSUMER, to, {});
  if (!client) return fail(client.error());
  like.name = fmt::format("millrace-bench-{:08x}", std::random_device()());
  const auto made = create_topics(**client, {like});
  if (!made) return fail(made.error());
  if (made->size() != 1)
    return fail(errc::unknown_server_error, "cannot create a topic: the answer is empty");
  MR_TRY(made->front());
  return own_topic(*std::move(client), std::move(like.name));
}

result<void> own_topic::remove() {
  const auto removed = delete_topics(*client_, {name_});
  if (!removed) return fail(removed.error());
  return removed->empty() ? result<void>() : removed->front();
}

}  // namespace millrace::tools
