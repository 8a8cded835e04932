#include "proxy/registry/range.h"

#include <gtest/gtest.h>

namespace entrepot::registry {
namespace {

constexpr uint64_t kSize = 1000;

std::string read(std::string_view header, uint64_t size = kSize) {
  Result<std::vector<ByteRange>> ranges = read_ranges(header, size);
  if (!ranges) return ranges.error().code == Errc::range_invalid ? "416" : "400";
  std::string text;
  for (const ByteRange& range : *ranges)
    text += (text.empty() ? "" : " ") + std::to_string(range.begin) + "-" + std::to_string(range.end);
  return text.empty() ? "whole" : text;
}

TEST(Range, ReadsEachForm) {
  EXPECT_EQ(read("bytes=0-0"), "0-1");
  EXPECT_EQ(read("bytes=5-9"), "5-10");
  EXPECT_EQ(read("bytes=0-"), "0-1000");
  EXPECT_EQ(read("bytes=999-"), "999-1000");
  EXPECT_EQ(read("bytes=-1"), "999-1000");
  EXPECT_EQ(read("bytes=-1000"), "0-1000");
}

TEST(Range, ClampsWhatGoesPastTheEnd) {
  EXPECT_EQ(read("bytes=5-1000"), "5-1000");
  EXPECT_EQ(read("bytes=-1001"), "0-1000");
  EXPECT_EQ(read("bytes=0-18446744073709551615"), "0-1000");
  EXPECT_EQ(read("bytes=0-99999999999999999999"), "0-1000");
  // CVE-2017-7529
  EXPECT_EQ(read("bytes=-9223372036854775808"), "0-1000");
  EXPECT_EQ(read("bytes=-99999999999999999999"), "0-1000");
}

TEST(Range, WhatLiesOutsideIsUnsatisfiable) {
  EXPECT_EQ(read("bytes=1000-"), "416");
  EXPECT_EQ(read("bytes=1000-1000"), "416");
  EXPECT_EQ(read("bytes=-0"), "416");
  EXPECT_EQ(read("bytes=0-", 0), "416");
  EXPECT_EQ(read("bytes=99999999999999999999-"), "416");
}

TEST(Range, WhatIsMalformedOrNotUnderstoodIsIgnored) {
  for (const char* header :
       {"items=0-5", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=1-2-3",
        "bytes=+1-2", "bytes= 1 - 2", "bytes=0-0,x", "bytes=0-0;1-1", "bytesx=0-0", "byte=0-0"})
    EXPECT_EQ(read(header), "whole") << header;
}

TEST(Range, TheUnitIsCaseInsensitive) { EXPECT_EQ(read("BYTES=0-1"), "0-2"); }

TEST(Range, SeveralComeInTheOrderAskedFor) {
  EXPECT_EQ(read("bytes=0-0,2-2"), "0-1 2-3");
  EXPECT_EQ(read("bytes=-5 , 10-19,\t0-4"), "995-1000 10-20 0-5");
  EXPECT_EQ(read("bytes=,0-0,,2-2,"), "0-1 2-3");
}

TEST(Range, OfSeveralThoseOutsideAreLeftOut) {
  EXPECT_EQ(read("bytes=0-0,5000-"), "0-1");
  EXPECT_EQ(read("bytes=2000-,5000-"), "416");
}

// CVE-2011-3192: many overlapping ranges of one object.
TEST(Range, OverlappingOnesThatAreLongerThanTheWholeGiveTheWhole) {
  EXPECT_EQ(read("bytes=0-,0-,0-"), "whole");
  EXPECT_EQ(read("bytes=0-599,400-999"), "whole");
  EXPECT_EQ(read("bytes=0-9,5-14"), "0-10 5-15");
}

TEST(Range, OverlappingOnesOfAHugeBlobAreNotTakenForShortBecauseTheirSumOverflows) {
  EXPECT_EQ(read("bytes=0-,0-,0-", INT64_MAX), "whole");
}

TEST(Range, MoreThan1024AreRefused) {
  std::string header = "bytes=0-0";
  for (int i = 1; i < 1024; ++i) header += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
  EXPECT_EQ(read_ranges(header, 10'000)->size(), 1024u);
  EXPECT_EQ(read(header + ",1-1", 10'000), "400");
}

}  // namespace
}  // namespace entrepot::registry
