#include "proxy/pull/listing_document.h"

#include <gtest/gtest.h>

#include "base/digest.h"

namespace entrepot::pull {
namespace {

std::string join(const Listing& listing) {
  std::string text;
  for (const Listing::Item& item : listing.items()) text.append(listing.json(item)).append(" ");
  return text;
}

TEST(TagList, KeepsTheOrderAndLeavesOutWhatIsNoTag) {
  Result<Listing> tags =
      read_tag_list(R"({"name":"a","tags":["b","latest","a","../x","","a b",7,"v1.2-3_4"]})");
  ASSERT_TRUE(tags) << tags.error().message;
  EXPECT_EQ(join(*tags), R"("b" "latest" "a" "v1.2-3_4" )");
}

TEST(TagList, NullMeansNone) { EXPECT_TRUE(read_tag_list(R"({"name":"a","tags":null})")->items().empty()); }

TEST(TagList, RefusesWhatIsNone) {
  for (const char* bad : {"", "[]", "{}", "<html>", R"({"tags":{}})", R"({"tags":"a"})"})
    EXPECT_EQ(read_tag_list(bad).error().code, Errc::upstream_failed) << bad;
  std::string deep = R"({"tags":)" + std::string(1000, '[') + std::string(1000, ']') + "}";
  EXPECT_FALSE(read_tag_list(deep));
}

TEST(Referrers, KeepsDescriptorsWhole) {
  std::string digest = Digest::of("signature").text();
  std::string bytes = R"({"schemaVersion":2,"manifests":[{"mediaType":"m","digest":")" + digest +
                      R"(","size":3,"artifactType":"application/sig","annotations":{"k":"v"}},)"
                      R"({"digest":"md5:1"},7]})";
  Result<Listing> referrers = read_referrers(bytes);
  ASSERT_TRUE(referrers) << referrers.error().message;
  ASSERT_EQ(referrers->items().size(), 1u);
  EXPECT_EQ(referrers->artifact_type(referrers->items()[0]), "application/sig");
  EXPECT_NE(referrers->json(referrers->items()[0]).find(R"("annotations":{"k":"v"})"), std::string::npos);
}

TEST(Referrers, AreDescribedAsTheirManifestsSay) {
  Digest digest = Digest::of("signature");
  Listing listing;
  std::string manifest = R"({"artifactType":"application/sig","config":{"mediaType":"application/config"},)"
                         R"("annotations":{"k":"v","bad":7},"subject":{}})";
  ASSERT_TRUE(add_referrer(listing, digest, "m", manifest));
  ASSERT_TRUE(
      add_referrer(listing, Digest::of("2"), "m", R"({"config":{"mediaType":"application/config"}})"));
  ASSERT_EQ(listing.items().size(), 2u);
  EXPECT_EQ(listing.artifact_type(listing.items()[0]), "application/sig");
  EXPECT_EQ(listing.artifact_type(listing.items()[1]), "application/config");
  EXPECT_EQ(listing.json(listing.items()[0]),
            R"({"annotations":{"k":"v"},"artifactType":"application/sig","digest":")" + digest.text() +
                R"(","mediaType":"m","size":)" + std::to_string(manifest.size()) + "}");
  std::string index = R"({"manifests":[{"digest":")" + digest.text() + R"("},{"digest":")" +
                      Digest::of("3").text() + R"("}]})";
  ASSERT_TRUE(add_referrers(listing, index));
  EXPECT_EQ(listing.items().size(), 3u) << "none twice";
  EXPECT_FALSE(add_referrer(listing, digest, "m", "[]"));
}

TEST(Referrers, RefusesWhatIsNoIndex) {
  for (const char* bad : {"", "{}", "[]", R"({"manifests":{}})", R"({"layers":[]})"})
    EXPECT_EQ(read_referrers(bad).error().code, Errc::upstream_failed) << bad;
}

}  // namespace
}  // namespace entrepot::pull
