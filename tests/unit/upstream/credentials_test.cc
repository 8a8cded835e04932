#include "upstream/credentials.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "harness.h"

namespace entrepot::upstream::testing {
namespace {

class CredentialsTest : public ::testing::Test {
 protected:
  CredentialsTest() : harness_(settings_for("http://127.0.0.1:1")) {
    settings_.name = "up.test";
    settings_.access = Access::shared;
    settings_.username = "user";
  }
  std::string basic(Credentials& credentials) {
    Result<Credential> ours =
        harness_.begin<Result<Credential>>([&] { return credentials.credential(0); }).get();
    if (!ours) return "error: " + ours.error().message;
    return std::string(ours->authorization.reveal());
  }
  Credentials credentials() { return Credentials(settings_, harness_.pool(), harness_.loop()); }

  Harness harness_;
  Settings settings_;
};

// RFC 7617 has no place for line breaks; Google wants its key files as they are.
TEST_F(CredentialsTest, LineBreaksAreForGooglesKeyFilesAlone) {
  settings_.password_file = temporary_file("key.json", "{\n \"a\": 1\n}\n");
  Credentials as_user = credentials();
  EXPECT_NE(basic(as_user).find("control byte"), std::string::npos);
  settings_.username = "_json_key";
  Credentials as_key = credentials();
  EXPECT_EQ(basic(as_key), "Basic X2pzb25fa2V5OnsKICJhIjogMQp9");
  settings_.password_file = temporary_file("zero", std::string("a\0b", 3));
  Credentials with_zero = credentials();
  EXPECT_NE(basic(with_zero).find("control byte"), std::string::npos);
}

TEST_F(CredentialsTest, FileIsReadAgainWhenItChanged) {
  settings_.password_file = temporary_file("password", "one\r\n");
  Credentials source = credentials();
  EXPECT_EQ(basic(source), "Basic dXNlcjpvbmU=");
  EXPECT_EQ(basic(source), "Basic dXNlcjpvbmU=");
  std::string next = temporary_file("password", "two");  // same size as "one" would be: the inode tells
  ASSERT_EQ(std::rename(next.c_str(), settings_.password_file.c_str()), 0);
  EXPECT_EQ(basic(source), "Basic dXNlcjp0d28=");
  ASSERT_EQ(std::remove(settings_.password_file.c_str()), 0);
  EXPECT_TRUE(basic(source).starts_with("error: up.test: no usable credential: "));
}

TEST_F(CredentialsTest, VariableIsRead) {
  ::setenv("ENTREPOT_TEST_PASSWORD", "one", 1);
  settings_.password_env = "ENTREPOT_TEST_PASSWORD";
  Credentials source = credentials();
  EXPECT_EQ(basic(source), "Basic dXNlcjpvbmU=");
  settings_.password_env = "ENTREPOT_TEST_NO_SUCH";
  EXPECT_TRUE(basic(source).starts_with("error: "));
}

TEST_F(CredentialsTest, UnusableOnesAreRefusedWithoutTheirText) {
  for (const char* text : {"", "\n", "canary\nX: 1", "canary\rb", "canary\x7f"}) {
    settings_.password_file = temporary_file("password", text);
    Credentials source = credentials();
    std::string answer = basic(source);
    EXPECT_TRUE(answer.starts_with("error: ")) << text;
    EXPECT_EQ(answer.find("canary"), std::string::npos);
  }
  settings_.password_file = temporary_file("password", std::string(20'000, 'x'));
  Credentials large = credentials();
  EXPECT_TRUE(basic(large).starts_with("error: "));
  settings_.password_file = "/";
  Credentials directory = credentials();
  EXPECT_TRUE(basic(directory).starts_with("error: "));
  settings_.password_file = temporary_file("password", "good");
  for (const char* name : {"a:b", "a\r\nb"}) {
    settings_.username = name;
    Credentials source = credentials();
    EXPECT_TRUE(basic(source).starts_with("error: ")) << name;
  }
}

TEST_F(CredentialsTest, AnonymousUpstreamsHaveNone) {
  EXPECT_TRUE(has_credential(settings_));
  settings_.access = Access::anonymous;
  EXPECT_FALSE(has_credential(settings_));
  settings_.access = Access::shared;
  settings_.auth = Auth::anonymous;
  EXPECT_FALSE(has_credential(settings_));
  settings_.auth = Auth::basic;
  settings_.username = "";
  EXPECT_FALSE(has_credential(settings_));
}

}  // namespace
}  // namespace entrepot::upstream::testing
