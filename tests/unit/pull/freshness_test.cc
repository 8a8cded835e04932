// How long what an upstream said of a name is given: stale_while_revalidate and stale_ttl.

#include "proxy/pull/listings.h"
#include "readers.h"

namespace entrepot::testing_support {
namespace {

using std::chrono::seconds;

class FreshnessTest : public ReadersTest {
 protected:
  void set(Duration meanwhile, std::optional<Duration> stale_ttl) {
    stop();
    settings_.stale_while_revalidate = meanwhile;
    settings_.stale_ttl = stale_ttl;
    start();
  }
  void SetUp() override {
    content_.add_manifest("library/a", "latest", old_);
    content_.add_listing("library/a", R"({"tags":["latest"]})");
  }
  Got pull() { return pull_all(1, "library/a", "latest")[0]; }

  static Task<void> read(pull::Puller& puller, std::promise<Result<pull::FoundListing>>& promise) {
    pull::ListingKey key{{"docker.io", "library/a"}, std::nullopt, {}};
    std::string client = "a client";
    Result<pull::FoundListing> found = co_await puller.listings().get(std::move(key), std::move(client));
    promise.set_value(std::move(found));
  }
  Result<pull::FoundListing> list() {
    std::promise<Result<pull::FoundListing>> promise;
    spawn(0, [this, &promise] { return read(puller(0), promise); });
    return promise.get_future().get();
  }

  const std::string old_ = manifest_of("old");
  const std::string new_ = manifest_of("new");
};

INSTANTIATE_TEST_SUITE_P(Loops, FreshnessTest, testing::Values(1, 4));

TEST_P(FreshnessTest, TheOldTagIsGivenWhileTheUpstreamIsAsked) {
  set(seconds(30), std::nullopt);
  EXPECT_EQ(pull().outcome, pull::Outcome::miss);
  content_.add_manifest("library/a", "latest", new_);
  clock_.advance(settings_.tag_ttl + seconds(1));
  Got meanwhile = pull();
  EXPECT_EQ(meanwhile.outcome, pull::Outcome::stale);
  EXPECT_EQ(meanwhile.bytes, old_);
  while (pull().bytes != new_) std::this_thread::yield();
  EXPECT_EQ(content_.manifest_heads, 2) << "in the background, once";
  clock_.advance(settings_.tag_ttl + seconds(31));
  EXPECT_EQ(pull().outcome, pull::Outcome::revalidated) << "too old to be given unasked";
}

TEST_P(FreshnessTest, AlsoWhatOnlyTheIndexKnows) {
  set(seconds(30), std::nullopt);
  pull();
  clock_.advance(settings_.tag_ttl + seconds(1));
  stop();
  start();
  content_.add_manifest("library/a", "latest", new_);
  EXPECT_EQ(pull().outcome, pull::Outcome::stale);
  while (pull().bytes != new_) std::this_thread::yield();
  EXPECT_EQ(content_.manifest_heads, 2);
}

TEST_P(FreshnessTest, WhileItIsDownTheBackgroundIsQuietToo) {
  set(seconds(3600), std::nullopt);
  pull();
  content_.is_down = true;
  clock_.advance(settings_.tag_ttl + seconds(1));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(pull().outcome, pull::Outcome::stale);
  settle();
  EXPECT_EQ(content_.manifest_heads, 2);
}

TEST_P(FreshnessTest, AfterStaleTtlTheFailureIsPassedOn) {
  set(Duration::zero(), seconds(100));
  pull();
  content_.is_down = true;
  clock_.advance(settings_.tag_ttl + seconds(99));
  EXPECT_EQ(pull().outcome, pull::Outcome::stale);
  clock_.advance(seconds(1));
  EXPECT_EQ(pull().error->code, Errc::upstream_unreachable);
  content_.is_down = false;
  EXPECT_EQ(pull().bytes, old_) << "it is not forgotten";
}

TEST_P(FreshnessTest, ListingsAreLikeTags) {
  set(seconds(30), seconds(100));
  EXPECT_EQ(list()->outcome, pull::Outcome::miss);
  content_.add_listing("library/a", R"({"tags":["latest","new"]})");
  clock_.advance(settings_.tag_ttl + seconds(1));
  EXPECT_EQ(list()->outcome, pull::Outcome::stale);
  while (list()->listing->items().size() != 2u) std::this_thread::yield();
  EXPECT_EQ(content_.listings, 2);
  content_.is_down = true;
  clock_.advance(settings_.tag_ttl + seconds(99));
  EXPECT_EQ(list()->outcome, pull::Outcome::stale);
  clock_.advance(seconds(1));
  EXPECT_EQ(list().error().code, Errc::upstream_unreachable);
}

}  // namespace
}  // namespace entrepot::testing_support
