#include "tools/kafka/groups.h"
#include "tools/verbs/outcomes.h"
#include "tools/verbs/verbs.h"

namespace millrace::tools {

void add_group_delete(CLI::App& group, context& ctx) {
  const auto find = [](handle& client, const std::string& name) -> result<void> {
    const auto found = describe_group(client, name);
    return found ? result<void>() : fail(found.error());
  };
  add_delete(group, ctx,
             {.noun = "group",
              .goes_too = "all offsets committed in it",
              .summary = "Delete groups without members, and their offsets",
              .examples = "  millrace group delete billing\n"
                          "  millrace group delete trial-1 trial-2 --yes --if-exists",
              .name_key = "group",
              .unknown_code = errc::group_id_not_found,
              .remove = delete_groups,
              .find = find});
}

}  // namespace millrace::tools
