#include "proxy/pull/absent_tags.h"
#include "proxy/pull/miss_limit.h"
#include "readers.h"

namespace entrepot::testing_support {
namespace {

using pull::AbsentTags;
using pull::MissLimit;

constexpr MonotonicTime kNow{std::chrono::hours(1)};
const Error kUnknown{Errc::manifest_unknown, "no such tag"};

TEST(AbsentTags, AreKnownForTheirTime) {
  AbsentTags absent;
  absent.add("a", kUnknown, kNow + Duration(5));
  EXPECT_EQ(absent.find("a", kNow + Duration(4))->code, Errc::manifest_unknown);
  EXPECT_FALSE(absent.find("b", kNow));
  EXPECT_FALSE(absent.find("a", kNow + Duration(5)));
  EXPECT_EQ(absent.size(), 0u);
}

TEST(AbsentTags, TheOldestGoesFirst) {
  AbsentTags absent;
  for (size_t i = 0; i < AbsentTags::kMaxTags; ++i)
    absent.add(std::to_string(i), kUnknown, kNow + Duration(5));
  absent.add("0", kUnknown, kNow + Duration(5));  // heard of again
  for (size_t i = 0; i < 10; ++i) absent.add("new" + std::to_string(i), kUnknown, kNow + Duration(5));
  EXPECT_EQ(absent.size(), AbsentTags::kMaxTags);
  EXPECT_TRUE(absent.find("0", kNow));
  EXPECT_FALSE(absent.find("1", kNow));
  EXPECT_FALSE(absent.find("10", kNow));
  EXPECT_TRUE(absent.find("11", kNow));
}

TEST(MissLimit, ABurstThenOneAtATime) {
  constexpr int kLoops = 4;
  MissLimit limit(kLoops);
  int taken = 0;
  for (; limit.wait_of("x", kNow) == Duration::zero(); ++taken) limit.count("x", kNow);
  EXPECT_EQ(taken, MissLimit::kBurst / kLoops);
  EXPECT_EQ(limit.wait_of("x", kNow), MissLimit::kInterval * kLoops);
  EXPECT_EQ(limit.wait_of("y", kNow), Duration::zero()) << "another client";
  MonotonicTime later = kNow + MissLimit::kInterval * kLoops;
  EXPECT_EQ(limit.wait_of("x", later), Duration::zero());
  limit.count("x", later);
  EXPECT_GT(limit.wait_of("x", later), Duration::zero());
  EXPECT_EQ(limit.wait_of("x", kNow + MissLimit::kInterval * MissLimit::kBurst * 2), Duration::zero());
}

TEST(MissLimit, RemembersSoManyClientsOnly) {
  MissLimit limit(1);
  for (int i = 0; i < MissLimit::kBurst; ++i) limit.count("x", kNow);
  for (size_t i = 0; i < MissLimit::kMaxClients; ++i) limit.count(std::to_string(i), kNow);
  EXPECT_EQ(limit.wait_of("x", kNow), Duration::zero());
}

class Absent : public ReadersTest {};
INSTANTIATE_TEST_SUITE_P(Loops, Absent, testing::Values(1, 4));

TEST_P(Absent, AMissingTagIsAskedForOnceInItsTime) {
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(pull_all(1, "library/a", "missing")[0].error->code, Errc::manifest_unknown);
  EXPECT_EQ(content_.manifest_heads, 1);
  std::string manifest = manifest_of("layer");
  content_.add_manifest("library/a", "missing", manifest);
  clock_.advance(settings_.negative_ttl + Duration(1));
  EXPECT_EQ(pull_all(1, "library/a", "missing")[0].bytes, manifest);
}

TEST_P(Absent, ADigestIsAskedForEachTime) {
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(read_all(1, "library/a", Digest::of("missing"))[0].error->code, Errc::blob_unknown);
  EXPECT_EQ(content_.blob_gets, 3);
}

TEST_P(Absent, WhoAsksForTooMuchThatIsNotThereGetsWhatIsCachedAndNoMore) {
  std::string manifest = manifest_of("layer");
  content_.add_manifest("library/a", "latest", manifest);
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].bytes, manifest);
  int refused = 0;
  for (int i = 0; i < 2 * MissLimit::kBurst; i += 50) {
    std::vector<std::promise<Got>> promises(50);
    for (int one = 0; one < 50; ++one)
      spawn(0, [this, name = "t" + std::to_string(i + one), &promise = promises[static_cast<size_t>(one)]] {
        return pull_tag(puller(0), repository("library/a"), name, promise);
      });
    for (std::promise<Got>& promise : promises)
      refused += promise.get_future().get().error->code == Errc::client_rate_limited;
  }
  EXPECT_GT(refused, MissLimit::kBurst / 2);
  EXPECT_GT(content_.manifest_heads, MissLimit::kBurst / 2);
  EXPECT_EQ(pull_all(1, "library/a", "latest")[0].outcome, pull::Outcome::hit);
  content_.add_manifest("library/a", "new", manifest);
  clock_.advance(settings_.tag_ttl + Duration(1));
  EXPECT_EQ(pull_all(1, "library/a", "new")[0].bytes, manifest);
}

}  // namespace
}  // namespace entrepot::testing_support
