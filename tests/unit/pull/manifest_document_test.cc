#include "proxy/pull/manifest_document.h"

#include <gtest/gtest.h>

namespace entrepot::pull {
namespace {

constexpr char kManifest[] = "application/vnd.oci.image.manifest.v1+json";
constexpr char kIndex[] = "application/vnd.oci.image.index.v1+json";

std::string descriptor(const std::string& content) {
  return R"({"digest":")" + Digest::of(content).text() + R"(","size":)" + std::to_string(content.size()) +
         "}";
}

TEST(ManifestDocument, NamesItsConfigAndLayersOnceEach) {
  std::string bytes = R"({"schemaVersion":2,"config":)" + descriptor("c") + R"(,"layers":[)" +
                      descriptor("one") + "," + descriptor("one") + "," + descriptor("two") + "]}";
  Result<ManifestDocument> document = read_manifest(bytes, kManifest);
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(document->media_type, kManifest);
  EXPECT_EQ(document->children.size(), 3u);
}

TEST(ManifestDocument, AForeignLayerIsNoProofThatTheRegistryHoldsIt) {
  std::string foreign =
      R"({"urls":["https://example.com/x"],"digest":")" + Digest::of("f").text() + R"(","size":1})";
  Result<ManifestDocument> document =
      read_manifest(R"({"layers":[)" + foreign + "," + descriptor("one") + "]}", kManifest);
  ASSERT_TRUE(document);
  ASSERT_EQ(document->children.size(), 1u);
  EXPECT_EQ(document->children[0].digest, Digest::of("one"));
}

TEST(ManifestDocument, TakesItsTypeFromTheDocumentWhereTheUpstreamSaysNothing) {
  std::string index = R"({"mediaType":")" + std::string(kIndex) + R"(","manifests":[]})";
  EXPECT_EQ(read_manifest(index, "text/plain")->media_type, kIndex);
  EXPECT_EQ(read_manifest(R"({"manifests":[]})", "")->media_type, kIndex);
  EXPECT_EQ(read_manifest(R"({"layers":[]})", "")->media_type, kManifest);
}

TEST(ManifestDocument, AnUnknownTypeIsKeptAsItCame) {
  EXPECT_EQ(read_manifest("{}", "application/vnd.example+json")->media_type, "application/vnd.example+json");
}

// GHSA-qq97-vm5h-rrhg, GHSA-5j5w-g665-5m35, GHSA-xmmx-7jpf-fx42 (CVE-2021-41190)
TEST(ManifestDocument, RefusesADocumentThatIsBothAManifestAndAnIndex) {
  EXPECT_FALSE(read_manifest(R"({"layers":[],"manifests":[]})", ""));
  EXPECT_FALSE(read_manifest(R"({"config":{},"manifests":[]})", kIndex));
  EXPECT_FALSE(read_manifest(R"({"mediaType":")" + std::string(kIndex) + R"(","layers":[]})", kManifest));
}

TEST(ManifestDocument, RefusesWhatIsNoManifest) {
  for (const char* bad :
       {"", "[]", "null", "\"x\"", "{", "<html></html>", R"({"schemaVersion":1,"fsLayers":[]})",
        R"({"layers":{}})", R"({"layers":[1]})", R"({"layers":[{"digest":"md5:x"}]})", R"({"config":7})"})
    EXPECT_FALSE(read_manifest(bad, "")) << bad;
  std::string deep(1000, '[');
  EXPECT_FALSE(read_manifest(R"({"a":)" + deep, ""));
  std::string nested = R"({"a":)" + deep + std::string(1000, ']') + "}";
  EXPECT_FALSE(read_manifest(nested, ""));
}

// Another reader may take the other of two values for one key, or see more or less than we do.
TEST(ManifestDocument, RefusesWhatCanBeReadInTwoWays) {
  std::string good = R"({"layers":[)" + descriptor("one") + "]}";
  ASSERT_TRUE(read_manifest(good, kManifest));
  EXPECT_FALSE(read_manifest(R"({"layers":[],"layers":[)" + descriptor("one") + "]}", kManifest));
  EXPECT_FALSE(read_manifest(R"({"layers":[{"digest":")" + Digest::of("a").text() + R"(","digest":")" +
                                 Digest::of("b").text() + R"(","size":1}]})",
                             kManifest));
  EXPECT_FALSE(read_manifest("\xef\xbb\xbf" + good, kManifest));
  EXPECT_FALSE(read_manifest(good + std::string("\0{}", 3), kManifest));
  // The same key in two objects, or in what nobody reads, is no ambiguity.
  EXPECT_TRUE(read_manifest(
      R"({"annotations":{"a":1,"a":2},"layers":[)" + descriptor("one") + "," + descriptor("two") + "]}",
      kManifest));
}

TEST(ManifestDocument, ASizeBeyondAllSizesIsRefused) {
  auto sized = [](const char* size) {
    return R"({"layers":[{"digest":")" + Digest::of("a").text() + R"(","size":)" + size + "}]}";
  };
  EXPECT_EQ(read_manifest(sized("9223372036854775807"), kManifest)->children.front().size,
            9223372036854775807u);
  EXPECT_FALSE(read_manifest(sized("9223372036854775808"), kManifest));
  EXPECT_EQ(read_manifest(sized("-1"), kManifest)->children.front().size, 0u);
}

TEST(ManifestDocument, NoMutationOfAManifestCrashesIt) {
  std::string bytes =
      R"({"schemaVersion":2,"config":)" + descriptor("c") + R"(,"layers":[)" + descriptor("one") + "]}";
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int byte = 0; byte < 256; byte += 5) {
      std::string mutated = bytes;
      mutated[i] = static_cast<char>(byte);
      (void)read_manifest(mutated, kManifest);
    }
    (void)read_manifest(bytes.substr(0, i), kManifest);
  }
}

}  // namespace
}  // namespace entrepot::pull
