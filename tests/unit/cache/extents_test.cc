#include "cache/extents.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace entrepot::cache {
namespace {

TEST(Extents, NothingIsReadableAtFirst) {
  Extents extents;
  EXPECT_EQ(extents.readable_at(0), (Extent{0, 0}));
  EXPECT_EQ(extents.readable_at(7), (Extent{7, 7}));
  EXPECT_EQ(extents.prefix(), 0u);
  EXPECT_EQ(extents.total(), 0u);
}

TEST(Extents, ReadableGoesOnToTheEndOfTheExtent) {
  Extents extents;
  extents.add({10, 20});
  EXPECT_EQ(extents.readable_at(9), (Extent{9, 9}));
  EXPECT_EQ(extents.readable_at(10), (Extent{10, 20}));
  EXPECT_EQ(extents.readable_at(19), (Extent{19, 20}));
  EXPECT_EQ(extents.readable_at(20), (Extent{20, 20}));
}

TEST(Extents, NeighboursMerge) {
  Extents extents;
  extents.add({10, 20});
  extents.add({30, 40});
  extents.add({20, 30});
  EXPECT_EQ(extents.readable_at(10), (Extent{10, 40}));
  EXPECT_EQ(extents.total(), 30u);
}

TEST(Extents, OverlapsCountOnce) {
  Extents extents;
  extents.add({10, 20});
  extents.add({15, 35});
  extents.add({0, 100});
  EXPECT_EQ(extents.prefix(), 100u);
  EXPECT_EQ(extents.total(), 100u);
}

TEST(Extents, AnEmptyExtentChangesNothing) {
  Extents extents;
  extents.add({5, 5});
  EXPECT_EQ(extents.total(), 0u);
  EXPECT_EQ(extents.readable_at(5).size(), 0u);
}

TEST(Extents, AgreesWithABitmapOnRandomExtents) {
  constexpr uint64_t kSize = 200;
  for (uint32_t seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    Extents extents;
    std::vector<bool> model(kSize + 1, false);
    for (int step = 0; step < 40; ++step) {
      uint64_t begin = random() % kSize;
      uint64_t end = std::min(kSize, begin + random() % 30);
      extents.add({begin, end});
      uint64_t total = 0;
      for (uint64_t i = begin; i < end; ++i) model[i] = true;
      for (bool bit : model) total += bit ? 1 : 0;
      ASSERT_EQ(extents.total(), total) << "seed " << seed;
      for (uint64_t at = 0; at < kSize; ++at) {
        uint64_t until = at;
        while (model[until]) ++until;
        ASSERT_EQ(extents.readable_at(at), (Extent{at, until})) << "seed " << seed;
        uint64_t next = at + 1;
        while (next < kSize && (model[next - 1] || !model[next])) ++next;
        ASSERT_EQ(extents.next_begin(at), next < kSize ? next : UINT64_MAX) << "seed " << seed;
      }
    }
  }
}

}  // namespace
}  // namespace entrepot::cache
