#include "proxy/registry/route.h"

#include <gtest/gtest.h>

namespace entrepot::registry {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

struct Good {
  std::string path;
  Route::Kind kind;
  std::string name;
  std::string reference;
};

TEST(Route, ReadsEveryEndpointFromTheRight) {
  const Good cases[] = {
      {"/v2/", Route::Kind::ping, "", ""},
      {"/v2", Route::Kind::ping, "", ""},
      {"/v2/a/manifests/latest", Route::Kind::manifest, "a", "latest"},
      {"/v2/library/alpine/blobs/" + kDigest, Route::Kind::blob, "library/alpine", kDigest},
      {"/v2/a/blobs/b/manifests/latest", Route::Kind::manifest, "a/blobs/b", "latest"},
      {"/v2/a/manifests/b/blobs/" + kDigest, Route::Kind::blob, "a/manifests/b", kDigest},
      {"/v2/a/tags/list/tags/list", Route::Kind::tags, "a/tags/list", ""},
      {"/v2/a/referrers/" + kDigest, Route::Kind::referrers, "a", kDigest},
      {"/v2/quay.io/a/b/manifests/x", Route::Kind::manifest, "quay.io/a/b", "x"},
      {"/v2/a/blobs/sha256%3A" + std::string(64, 'a'), Route::Kind::blob, "a", kDigest},
  };
  for (const Good& good : cases) {
    Result<Route> route = read_route(good.path);
    ASSERT_TRUE(route) << good.path << ": " << route.error().message;
    EXPECT_EQ(route->kind, good.kind) << good.path;
    EXPECT_EQ(route->name, good.name) << good.path;
    EXPECT_EQ(route->reference, good.reference) << good.path;
  }
}

TEST(Route, ReadsTheShapesOfAMirrorsUrl) {
  for (const char* path : {"/quay.io/v2/a/b/manifests/x", "/quay.io/a/b/manifests/x"}) {
    Result<Route> route = read_route(path);
    ASSERT_TRUE(route) << path;
    EXPECT_EQ(route->name, "quay.io/a/b") << path;
    EXPECT_TRUE(route->names_upstream) << path;
  }
  EXPECT_EQ(read_route("/quay.io/v2/")->kind, Route::Kind::ping);
  EXPECT_TRUE(read_route("/quay.io/v2/")->names_upstream);
  EXPECT_FALSE(read_route("/v2/quay.io/a/manifests/x")->names_upstream);
}

TEST(Route, AFirstComponentThatLooksLikeAHostIsARegistryThatIsNotConfigured) {
  for (const char* path :
       {"/v2/127.0.0.1:80/a/manifests/x", "/v2/Evil.Test/a/manifests/x", "/v2/localhost:5000/a/b/blobs/x"}) {
    Result<Route> route = read_route(path);
    ASSERT_FALSE(route) << path;
    EXPECT_EQ(route.error().code, Errc::name_unknown) << path;
  }
}

TEST(Route, RefusesBrokenNamesAndEncodings) {
  for (const char* path :
       {"/v2//manifests/latest", "/v2/a/./b/manifests/x", "/v2/a//b/manifests/x", "/v2/a/b//manifests/x",
        "/v2/_catalog/manifests/x", "/v2/-a/manifests/x", "/v2/A/manifests/x", "/v2/a@evil/manifests/x"}) {
    Result<Route> route = read_route(path);
    ASSERT_FALSE(route) << path;
    EXPECT_EQ(route.error().code, Errc::name_invalid) << path;
  }
  for (const char* path : {"/v2/a/%252e%252e/manifests/x", "/v2/a/manifests/x%0a",
                           "/v2/a/manifests/x%00.json", "/v2/a%2Fb/manifests/x", "/v2/a/manifests/%zz",
                           "/v2/a/manifests/%4", "/v2/a/manifests/%", "/v2/%c0%ae/manifests/x"}) {
    Result<Route> route = read_route(path);
    ASSERT_FALSE(route) << path;
    EXPECT_EQ(route.error().code, Errc::bad_request) << path;
  }
}

TEST(Route, WhatIsNoEndpointIsNotFound) {
  for (const char* path :
       {"/", "/v1/_ping", "/V2/", "//v2/", "/v2/../../etc/passwd", "/v2/a", "/v2/a/manifests/",
        "/v2/a/blobs/", "/v2/a/blobs/uploads/", "/v2/_catalog", "/metrics", "/v2/a/tags/"}) {
    Result<Route> route = read_route(path);
    ASSERT_FALSE(route) << path;
    EXPECT_EQ(route.error().code, Errc::not_found) << path << ": " << route.error().message;
  }
}

}  // namespace
}  // namespace entrepot::registry
