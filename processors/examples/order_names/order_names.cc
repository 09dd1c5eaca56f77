// Orders with the name of who ordered: `orders` are texts with the user's id as their key, and `users`,
// another topic, has each user's latest name under the same key. An order of somebody unknown goes out
// without a name.
#include <millrace/stream.h>
#include <optional>
#include <string>

using text = std::string;

void build(millrace::topology& t) {
  const auto users = t.from<text, std::optional<text>>("users").to_table("users");
  t.from<text, text>("orders")
      .left_join(users,
                 [](const text& order, const std::optional<text>& user) {
                   return order + " by " + user.value_or("(unknown)");
                 })
      .to("named");
}

MILLRACE_TOPOLOGY(build, "order-names", "1.0")
