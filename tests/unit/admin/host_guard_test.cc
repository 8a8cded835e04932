#include "proxy/admin/host_guard.h"

#include <gtest/gtest.h>

namespace entrepot::admin {
namespace {

TEST(HostGuard, AdmitsTheLoopbackByAllItsNames) {
  HostGuard guard({});
  for (const char* host :
       {"localhost", "LOCALHOST:5001", "127.0.0.1", "127.0.0.1:5001", "127.1.2.3", "[::1]", "[::1]:5001"})
    EXPECT_TRUE(guard.admits_host(host)) << host;
}

TEST(HostGuard, RefusesNamesThatAreNotOurs) {
  HostGuard guard({"10.0.0.7", "cache.internal"});
  for (const char* host :
       {"rebind.evil.test", "rebind.evil.test:5001", "localhost.evil.test", "127.0.0.1.evil.test",
        "127.evil.test", "10.0.0.8", "[::2]", "", ":5001", "xcache.internal"})
    EXPECT_FALSE(guard.admits_host(host)) << host;
  EXPECT_TRUE(guard.admits_host("10.0.0.7:5001"));
  EXPECT_TRUE(guard.admits_host("Cache.Internal"));
}

TEST(HostGuard, AdmitsAddressesButNoNamesWhenItListensEverywhere) {
  for (const char* wildcard : {"0.0.0.0", "::"}) {
    HostGuard guard({wildcard});
    EXPECT_TRUE(guard.admits_host("10.0.0.8:5001"));
    EXPECT_TRUE(guard.admits_host("[fe80::1]:5001"));
    EXPECT_FALSE(guard.admits_host("rebind.evil.test"));
  }
}

TEST(HostGuard, RefusesPagesOfOtherSites) {
  HostGuard guard({});
  http::Request request;
  EXPECT_TRUE(guard.admits(request));
  request.headers = {{"Host", "localhost:5001"}, {"Sec-Fetch-Site", "none"}};
  EXPECT_TRUE(guard.admits(request));
  request.headers[1].second = "cross-site";
  EXPECT_FALSE(guard.admits(request));
}

}  // namespace
}  // namespace entrepot::admin
