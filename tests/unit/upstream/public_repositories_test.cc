#include "upstream/public_repositories.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace entrepot::upstream {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(PublicRepositories, AProofHoldsForItsTime) {
  PublicRepositories known;
  MonotonicTime now{seconds(1'000)};
  EXPECT_FALSE(known.is_proven("a", now));
  known.prove("a", now);
  EXPECT_TRUE(known.is_proven("a", now + PublicRepositories::kProofHolds - milliseconds(1)));
  EXPECT_FALSE(known.is_proven("a", now + PublicRepositories::kProofHolds));
  EXPECT_FALSE(known.is_proven("b", now));
}

TEST(PublicRepositories, TheOldestProofMakesRoom) {
  PublicRepositories known;
  MonotonicTime start{seconds(1'000)};
  for (size_t i = 0; i <= PublicRepositories::kMost; ++i)
    known.prove("r" + std::to_string(i), start + milliseconds(i));
  MonotonicTime now = start + milliseconds(PublicRepositories::kMost);
  EXPECT_FALSE(known.is_proven("r0", now));
  EXPECT_TRUE(known.is_proven("r1", now));
  EXPECT_TRUE(known.is_proven("r" + std::to_string(PublicRepositories::kMost), now));
}

TEST(PublicRepositories, ARefusedCredentialIsToldOnceAMinute) {
  PublicRepositories known;
  MonotonicTime now{seconds(1'000)};
  EXPECT_FALSE(known.is_credential_refused(now));
  EXPECT_TRUE(known.note_refused_credential(now));
  EXPECT_FALSE(known.note_refused_credential(now + seconds(1))) << "another loop found out too";
  EXPECT_TRUE(known.is_credential_refused(now + seconds(60)));
  EXPECT_FALSE(known.is_credential_refused(now + seconds(61)));
  EXPECT_TRUE(known.note_refused_credential(now + seconds(61)));
}

}  // namespace
}  // namespace entrepot::upstream
