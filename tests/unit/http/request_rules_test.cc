#include "proxy/http/request_rules.h"

#include <gtest/gtest.h>

namespace entrepot::http {
namespace {

TEST(ValidHost, TakesNamesAndAddressesWithAndWithoutPort) {
  for (const char* host :
       {"r", "r.test", "r.test:5000", "r.test:", "127.0.0.1:80", "[::1]", "[::1]:65535", "a_b-c.d~e", "r:0"})
    EXPECT_TRUE(is_valid_host(host)) << host;
}

TEST(ValidHost, RefusesEverythingElse) {
  for (const char* host : {"", ":80", "a b", "a/b", "a@b", "a,b", "a%2fb", "[::1", "[]", "[::1]x", "[g::1]",
                           "[::1]:x", "r:65536", "r:-1", "r:+1", "r:1:2", "r:8 0", "\xc3\xa9"}) {
    EXPECT_FALSE(is_valid_host(host)) << host;
  }
  EXPECT_FALSE(is_valid_host(std::string(256, 'a')));
}

}  // namespace
}  // namespace entrepot::http
