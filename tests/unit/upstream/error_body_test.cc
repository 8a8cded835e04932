#include "upstream/error_body.h"

#include <gtest/gtest.h>

namespace entrepot::upstream::testing {
namespace {

int retry_after(const std::string& message) {
  return ErrorBody{"TOOMANYREQUESTS", message}.retry_after_seconds();
}

TEST(ErrorBody, TheFirstErrorIsRead) {
  ErrorBody body = ErrorBody::parse(R"({"errors":[{"code":"DENIED","message":"no"},{"code":"OTHER"}]})");
  EXPECT_EQ(body.code, "DENIED");
  EXPECT_EQ(body.message, "no");
  for (const char* none : {"", "{", "[]", "{}", R"({"errors":[]})", R"({"errors":{}})", R"({"errors":["x"]})",
                           R"({"errors":[{"code":7}]})"})
    EXPECT_EQ(ErrorBody::parse(none).code, "") << none;
}

TEST(ErrorBody, TheTimeInAMessageIsRead) {
  EXPECT_EQ(retry_after("retry-after: 880.092\u00b5s, allowed: 44000/minute"), 1) << "GHCR's";
  EXPECT_EQ(retry_after("retry-after: 880.092\u03bcs, allowed: 44000/minute"), 1);
  EXPECT_EQ(retry_after("retry-after: 15ns"), 1);
  EXPECT_EQ(retry_after("retry-after: 2.1s, allowed: 2000/minute"), 3);
  EXPECT_EQ(retry_after("retry-after: 1m2.5s"), 63);
  EXPECT_EQ(retry_after("retry-after: 1h0m1s"), 3601);
  EXPECT_EQ(retry_after("retry-after: 99999999999h"), 86400);
  for (const char* none : {"", "Rate exceeded", "retry-after: ", "retry-after: , x", "retry-after: 5",
                           "retry-after: s", "retry-after: 5x", "retry-after: -5s", "retry-after: 1e9s",
                           "retry-after: nans", "retry-after: infs", "retry-after: 1s2", "retry-after: .s"})
    EXPECT_EQ(retry_after(none), 0) << none;
}

}  // namespace
}  // namespace entrepot::upstream::testing
