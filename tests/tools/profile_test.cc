#include "tools/cli/profile.h"

#include <gtest/gtest.h>

#include "base/prng.h"

namespace millrace::tools {
namespace {

TEST(profile, a_file_says_what_it_says) {
  const auto file = parse_profiles(R"(
profile = "b"
[profiles.a]
bootstrap = "x:1,y:2"
timeout = 30
properties = { security.protocol = "ssl", "linger.ms" = 5, enable.idempotence = true }
[profiles.b]
)",
                                   "file");
  ASSERT_TRUE(file) << file.error().message;
  EXPECT_EQ(file->in_use, "b");
  const profile* a = file->find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->bootstrap, "x:1,y:2");
  EXPECT_EQ(a->timeout_seconds, 30);
  EXPECT_EQ(a->properties,
            (std::vector<std::string>{"enable.idempotence=true", "linger.ms=5", "security.protocol=ssl"}));
  EXPECT_EQ(file->find("b")->bootstrap, std::nullopt);
  EXPECT_EQ(file->find("c"), nullptr);
  EXPECT_TRUE(parse_profiles("", "file")->all.empty());
}

TEST(profile, what_it_cannot_mean_is_an_error_with_the_place) {
  for (const std::string bad :
       {"profile = 1", "profile = \"a\"", "profiles = 1", "[profiles]\na = 1",
        "[profiles.a]\nbootstrp = \"x\"", "[profiles.a]\nbootstrap = \"\"", "[profiles.a]\ntimeout = 0",
        "[profiles.a]\ntimeout = \"1\"", "[profiles.a]\nproperties = 1",
        "[profiles.a]\nproperties = { x = [1] }", "nonsense", "bootstrap = \"x\""}) {
    const auto file = parse_profiles(bad, "/etc/file");
    ASSERT_FALSE(file) << bad;
    EXPECT_EQ(file.error().code, errc::invalid_argument) << bad;
    EXPECT_TRUE(file.error().message.contains("/etc/file")) << file.error().message;
  }
}

TEST(profile, takes_any_bytes) {
  prng random(20261130);
  constexpr std::string_view alphabet = "[]profiles.a=\"\n{}bootstrap 12,#'\xff";
  for (int round = 0; round < 2000; ++round) {
    std::string text = round % 2 == 0 ? "[profiles.a]\n" : "";
    for (uint64_t n = random.below(60); n > 0; --n) text += alphabet[random.below(alphabet.size())];
    const auto file = parse_profiles(text, "file");
    EXPECT_TRUE(file || file.error().code == errc::invalid_argument);
  }
}

}  // namespace
}  // namespace millrace::tools
