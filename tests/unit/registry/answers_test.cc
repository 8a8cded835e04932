#include "proxy/registry/answers.h"

#include <gtest/gtest.h>

namespace entrepot::registry {
namespace {

std::string field(const http::Head& head, std::string_view name) {
  for (const auto& [key, value] : head.headers)
    if (key == name) return value;
  return "(none)";
}

TEST(CacheStatus, SaysWhatHappened) {
  EXPECT_EQ(cache_status(pull::Outcome::hit), "entrepot; hit");
  EXPECT_EQ(cache_status(pull::Outcome::miss), "entrepot; fwd=miss");
  EXPECT_EQ(cache_status(pull::Outcome::collapsed), "entrepot; fwd=miss; collapsed");
  EXPECT_EQ(cache_status(pull::Outcome::stale, Duration(-120'000)), "entrepot; hit; ttl=-120; detail=stale");
  EXPECT_EQ(cache_status(pull::Outcome::limited, Duration(-120'000)),
            "entrepot; hit; ttl=-120; detail=stale-rate-limited");
}

TEST(Heads, CarryWhatEveryClientLooksFor) {
  Digest digest = Digest::of("x");
  http::Head blob = blob_head(digest, "entrepot; hit", "quay.io");
  EXPECT_EQ(field(blob, "Docker-Content-Digest"), digest.text());
  EXPECT_EQ(field(blob, "ETag"), '"' + digest.text() + '"');
  EXPECT_EQ(field(blob, "Accept-Ranges"), "bytes");
  EXPECT_EQ(field(blob, "Content-Type"), "application/octet-stream");
  EXPECT_EQ(field(blob, "OCI-Namespace"), "quay.io");
  http::Head manifest = manifest_head(digest, "application/x", "entrepot; hit", "");
  EXPECT_EQ(field(manifest, "Content-Type"), "application/x");
  EXPECT_EQ(field(manifest, "OCI-Namespace"), "(none)");
  EXPECT_EQ(field(manifest, "Cache-Status"), "entrepot; hit");
}

}  // namespace
}  // namespace entrepot::registry
