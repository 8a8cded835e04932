#include <fcntl.h>
#include <sys/stat.h>

#include "readers.h"

namespace entrepot::testing_support {
namespace {

class Coalescing : public ReadersTest {};

INSTANTIATE_TEST_SUITE_P(Loops, Coalescing, testing::Values(1, 2, 4));

TEST_P(Coalescing, AHundredClientsOnOneColdBlobMakeOneFetch) {
  std::string bytes = pattern(5'000'000);
  content_.add_blob("library/a", bytes);
  for (const Got& got : read_all(100, "library/a", Digest::of(bytes))) {
    EXPECT_FALSE(got.error);
    EXPECT_TRUE(got.bytes == bytes);
  }
  EXPECT_EQ(content_.blob_gets, 1);
}

TEST_P(Coalescing, ACommittedBlobIsAHitAlsoAfterARestart) {
  std::string bytes = pattern(300'000);
  content_.add_blob("library/a", bytes);
  read_all(1, "library/a", Digest::of(bytes));
  wait_committed(Digest::of(bytes));
  content_.is_down = true;
  EXPECT_EQ(read_all(1, "library/a", Digest::of(bytes))[0].outcome, pull::Outcome::hit);
  stop();
  start();
  Got got = read_all(1, "library/a", Digest::of(bytes))[0];
  EXPECT_EQ(got.outcome, pull::Outcome::hit);
  EXPECT_TRUE(got.bytes == bytes);
}

TEST_P(Coalescing, AWrongByteNeverCompletesAndIsNotCached) {
  for (size_t size :
       {size_t{0}, size_t{1}, size_t{65'535}, size_t{65'536}, size_t{65'537}, size_t{1'000'000}}) {
    std::string right = pattern(size) + "x";
    std::string wrong = pattern(size) + "y";
    content_.add_wrong_blob("library/a", Digest::of(right), wrong);
    for (const Got& got : read_all(8, "library/a", Digest::of(right))) {
      ASSERT_TRUE(got.error);
      EXPECT_EQ(got.error->code, Errc::digest_mismatch);
      EXPECT_LT(got.bytes.size(), wrong.size());
    }
    EXPECT_EQ(state_of(Digest::of(right)), pull::ObjectState::absent);
    content_.add_blob("library/a", right);
    EXPECT_TRUE(read_all(1, "library/a", Digest::of(right))[0].bytes == right);
  }
}

TEST_P(Coalescing, AnEmptyBlobAndOneOfUnknownSizeArrive) {
  for (bool hidden : {false, true}) {
    content_.hides_sizes = hidden;
    for (size_t size : {size_t{0}, size_t{65'536}, size_t{400'001}}) {
      std::string bytes = pattern(size) + (hidden && size > 0 ? "h" : "");
      content_.add_blob("library/a", bytes);
      Got got = read_all(1, "library/a", Digest::of(bytes))[0];
      EXPECT_FALSE(got.error);
      EXPECT_TRUE(got.bytes == bytes);
    }
  }
}

TEST_P(Coalescing, AHundredClientsOnOneColdTagMakeOneHeadAndOneGet) {
  std::string manifest = manifest_of("layer");
  content_.add_manifest("library/a", "latest", manifest);
  for (const Got& got : pull_all(100, "library/a", "latest")) EXPECT_EQ(got.bytes, manifest);
  EXPECT_EQ(content_.manifest_heads, 1);
  EXPECT_EQ(content_.manifest_gets, 1);
}

TEST_P(Coalescing, ATagIsAskedAgainAfterItsTtlByHeadAlone) {
  std::string manifest = manifest_of("layer");
  content_.add_manifest("library/a", "latest", manifest);
  pull_all(1, "library/a", "latest");
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].outcome, pull::Outcome::hit);
  wait_committed(Digest::of(manifest));
  clock_.advance(settings_.tag_ttl + Duration(1));
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].outcome, pull::Outcome::revalidated);
  EXPECT_EQ(content_.manifest_heads, 2);
  EXPECT_EQ(content_.manifest_gets, 1);
}

TEST_P(Coalescing, AnUpstreamThatIsDownLeavesTheOldTagStale) {
  std::string manifest = manifest_of("layer");
  content_.add_manifest("library/a", "latest", manifest);
  pull_all(1, "library/a", "latest");
  wait_committed(Digest::of(manifest));
  clock_.advance(settings_.tag_ttl + Duration(1));
  content_.is_down = true;
  for (int i = 0; i < 3; ++i) {
    Got got = pull_all(1, "library/a", "latest")[0];
    EXPECT_EQ(got.outcome, pull::Outcome::stale);
    EXPECT_EQ(got.bytes, manifest);
  }
  EXPECT_EQ(content_.manifest_heads, 2);  // left alone after it failed
  stop();
  start();
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].outcome, pull::Outcome::stale);
}

TEST_P(Coalescing, ATrue404IsPassedOnAndNotTurnedIntoAStaleAnswer) {
  EXPECT_EQ(pull_all(1, "library/a", "missing")[0].error->code, Errc::manifest_unknown);
}

TEST_P(Coalescing, OneRepositorysBlobIsNotAnothersByKnowingItsDigest) {
  std::string bytes = pattern(200'000);
  content_.add_blob("library/private", bytes);
  read_all(1, "library/private", Digest::of(bytes));
  wait_committed(Digest::of(bytes));
  Got other = read_all(1, "library/other", Digest::of(bytes))[0];
  ASSERT_TRUE(other.error);
  EXPECT_EQ(other.error->code, Errc::blob_unknown);
  content_.add_blob("library/other", bytes);
  EXPECT_TRUE(read_all(1, "library/other", Digest::of(bytes))[0].bytes == bytes);
}

// A base layer that came through one repository, asked for through another right after its manifest: the link
// is not in the index yet.
TEST_P(Coalescing, ASharedLayerIsServedBeforeItsLinkIsCommitted) {
  std::string layer = pattern(200'000);
  content_.add_blob("library/a", layer);
  read_all(1, "library/a", Digest::of(layer));
  wait_committed(Digest::of(layer));
  for (int i = 0; i < 20; ++i) {
    std::string name = "library/b" + std::to_string(i);
    content_.add_manifest(name, "latest", manifest_of(layer));
    content_.add_blob(name, layer);
    pull_all(1, name, "latest");
    Got got = read_all(1, name, Digest::of(layer))[0];
    ASSERT_FALSE(got.error) << got.error->message;
    EXPECT_TRUE(got.bytes == layer);
  }
  EXPECT_EQ(content_.blob_gets, 1);
}

TEST_P(Coalescing, ABlobWhoseFileHasGoneIsFetchedAgain) {
  std::string bytes = pattern(100'000);
  content_.add_blob("library/a", bytes);
  read_all(1, "library/a", Digest::of(bytes));
  Digest digest = Digest::of(bytes);
  wait_committed(digest);
  std::filesystem::remove(std::filesystem::path(directory_) / "blobs/sha256" / digest.hex().substr(0, 2) /
                          digest.hex());
  // The fill outlives its commit by a moment, and has the file open.
  while (content_.blob_gets < 2) {
    Got got = read_all(1, "library/a", digest)[0];
    ASSERT_FALSE(got.error) << got.error->message;
    ASSERT_TRUE(got.bytes == bytes);
  }
  EXPECT_EQ(content_.blob_gets, 2);
}

TEST_P(Coalescing, ATagThatIsGoneUpstreamDoesNotComeBackAsStale) {
  std::string manifest = manifest_of("layer");
  content_.add_manifest("library/a", "latest", manifest);
  pull_all(1, "library/a", "latest");
  wait_committed(Digest::of(manifest));
  content_.remove_tag("library/a", "latest");
  clock_.advance(settings_.tag_ttl + Duration(1));
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].error->code, Errc::manifest_unknown);
  content_.is_down = true;
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].error->code, Errc::manifest_unknown) << "for negative_ttl";
  clock_.advance(settings_.negative_ttl + Duration(1));
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].error->code, Errc::upstream_unreachable);
  stop();
  start();
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].error->code, Errc::upstream_unreachable);
}

TEST_P(Coalescing, TwoRepositoriesAtOnceGetWhatTheirOwnUpstreamGives) {
  std::string bytes = pattern(2'000'000);
  content_.add_blob("library/a", bytes);
  content_.is_held = true;
  std::promise<Got> first;
  std::promise<Got> second;
  Digest digest = Digest::of(bytes);
  spawn(0, [&] { return read_blob(puller(0), repository("library/a"), digest, first); });
  while (state_of(digest) != pull::ObjectState::filling) std::this_thread::yield();
  spawn(1, [&] { return read_blob(puller(1), repository("library/forbidden"), digest, second); });
  EXPECT_EQ(second.get_future().get().error->code, Errc::blob_unknown);
  content_.is_held = false;
  EXPECT_TRUE(first.get_future().get().bytes == bytes);
}

}  // namespace
}  // namespace entrepot::testing_support
