#include "proxy/registry/range.h"

#include <gtest/gtest.h>

namespace entrepot::registry {
namespace {

constexpr uint64_t kSize = 1000;

std::string read(std::string_view header, uint64_t size = kSize) {
  Result<std::optional<ByteRange>> range = read_range(header, size);
  if (!range) return "416";
  if (!*range) return "whole";
  return std::to_string((*range)->begin) + "-" + std::to_string((*range)->end);
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
  for (const char* header : {"items=0-5", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4",
                             "bytes=0-0,2-2", "bytes=1-2-3", "bytes=+1-2", "bytes= 1 - 2"})
    EXPECT_EQ(read(header), "whole") << header;
}

}  // namespace
}  // namespace entrepot::registry
