#include "base/digest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/hasher.h"

namespace entrepot {
namespace {

constexpr char kEmptySha256[] = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Digest, OfTheEmptyStringIsTheKnownOne) { EXPECT_EQ(Digest::of("").text(), kEmptySha256); }

TEST(Digest, ParsesWhatItPrints) {
  for (DigestAlgorithm algorithm : {DigestAlgorithm::sha256, DigestAlgorithm::sha512}) {
    Digest digest = Digest::of(algorithm, "abc");
    EXPECT_EQ(Digest::parse(digest.text()), digest);
    EXPECT_EQ(Digest::from_key(digest.key()), digest);
    EXPECT_EQ(digest.key().size(), 1 + size_of(algorithm));
  }
}

TEST(Digest, RefusesEverythingElse) {
  std::string hex(64, 'a');
  for (std::string bad :
       {std::string(), std::string("sha256"), std::string("sha256:"), "SHA256:" + hex, "sha-256:" + hex,
        " sha256:" + hex, "sha256:" + hex + "a", "sha256:" + hex.substr(1), "sha512:" + hex,
        "sha256:" + hex + "\n", "sha256:" + std::string(64, 'A'), "sha256:" + std::string(64, 'g'),
        "md5:" + std::string(32, 'a'), "sha1:" + std::string(40, 'a'), "tarsum.v1+sha256:" + hex,
        "sha256:" + hex.substr(0, 63) + std::string(1, '\0')})
    EXPECT_FALSE(Digest::parse(bad)) << bad;
}

TEST(Digest, RefusesAKeyOfAnotherShape) {
  std::string key = Digest::of("x").key();
  EXPECT_FALSE(Digest::from_key(""));
  EXPECT_FALSE(Digest::from_key(key.substr(1)));
  EXPECT_FALSE(Digest::from_key(key + "x"));
  key[0] = 9;
  EXPECT_FALSE(Digest::from_key(key));
}

TEST(Hasher, GivesTheSameDigestHoweverTheBytesAreSplit) {
  std::string bytes(100'000, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  for (size_t step : {1u, 63u, 64u, 65u, 4096u}) {
    Hasher hasher(DigestAlgorithm::sha256);
    for (size_t at = 0; at < bytes.size(); at += step)
      hasher.update(std::string_view(bytes).substr(at, step));
    EXPECT_EQ(hasher.finish(), Digest::of(bytes));
  }
}

TEST(Digest, HashesOfDigestsThatBeginAlikeDiffer) {
  std::set<size_t> hashes;
  for (int i = 0; i < 10'000; ++i)
    hashes.insert(Digest::parse(fmt::format("sha256:{:064x}", i)).value().hash());
  EXPECT_EQ(hashes.size(), 10'000u);
}

}  // namespace
}  // namespace entrepot
