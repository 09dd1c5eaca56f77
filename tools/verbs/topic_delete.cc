#include "tools/kafka/topics.h"
#include "tools/verbs/outcomes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

void add_topic_delete(CLI::App& topic, context& ctx) {
  const auto find = [](handle& client, const std::string& name) -> result<void> {
    const auto found = find_topic(client, name);
    return found ? result<void>() : fail(found.error());
  };
  add_delete(topic, ctx,
             {.noun = "topic",
              .goes_too = "all records in it",
              .summary = "Delete topics and all their records",
              .examples = "  millrace topic delete events\n"
                          "  millrace topic delete scratch-1 scratch-2 --yes --if-exists",
              .unknown_code = errc::unknown_topic_or_partition,
              .remove = delete_topics,
              .find = find});
}

}  // namespace millrace::tools
