#include <gtest/gtest.h>
#include <string>

#include "tools/admin/client.h"

namespace millrace::tools {
namespace {

TEST(AdminAnswer, BodyOfSuccess) {
  EXPECT_EQ(read_answer("HTTP/1.1 201 Created\r\nContent-Length: 3\r\n\r\n{}\n"), "{}\n");
}

TEST(AdminAnswer, RefusalIsTheBrokersSentence) {
  const auto refused = read_answer(
      "HTTP/1.1 404 Not Found\r\n\r\n{\"error\":{\"code\":\"RESOURCE_NOT_FOUND\",\"message\":\"there is no "
      "x\"}}");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(), (error{errc::resource_not_found, "there is no x"}));
}

TEST(AdminAnswer, NothingTheBrokerRefusesIsOurUsageError) {
  const auto refused = read_answer(
      "HTTP/1.1 400 Bad Request\r\n\r\n{\"error\":{\"code\":\"INVALID_ARGUMENT\",\"message\":\"m\"}}");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().code, errc::invalid_argument);
}

TEST(AdminAnswer, AnythingElseIsAnError) {
  const std::string whole = "HTTP/1.1 500 Oh\r\n\r\n{\"error\":{\"code\":7,\"message\":[]}}";
  for (size_t size = 0; size <= whole.size(); ++size)
    EXPECT_FALSE(read_answer(whole.substr(0, size))) << size;
  EXPECT_FALSE(read_answer("HTTP/1.1 2x0 OK\r\n\r\n{}"));
  EXPECT_FALSE(read_answer("SSH-2.0-OpenSSH_9.2\r\n\r\n"));
}

}  // namespace
}  // namespace millrace::tools
