#include "base/units.h"

#include <gtest/gtest.h>

namespace entrepot {
namespace {

using std::chrono::milliseconds;

TEST(Size, ReadsWholeNumbersFractionsAndUnits) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("1048576"), 1048576u);
  EXPECT_EQ(parse_size("20GiB"), 20ull << 30);
  EXPECT_EQ(parse_size("512 KiB"), 512u << 10);
  EXPECT_EQ(parse_size("5MB"), 5'000'000u);
  EXPECT_EQ(parse_size("1.5GiB"), 3ull << 29);
  EXPECT_EQ(parse_size("2TiB"), 2ull << 40);
}

TEST(Size, RefusesWhatIsNoSize) {
  for (const char* bad : {"", "-1", "+1", "1e3", "GiB", "10 %", "10GiBx", "1.5", "1.GiB", "0x10", " 1",
                          "18446744073709551616", "99999999999TiB"})
    EXPECT_FALSE(parse_size(bad)) << bad;
}

TEST(Size, PrintsWhatItReads) {
  for (const char* text : {"20GiB", "1536MiB", "1000", "3TiB", "0"})
    EXPECT_EQ(format_size(*parse_size(text)), text);
}

TEST(Duration, ReadsOneOrSeveralParts) {
  EXPECT_EQ(parse_duration("0"), milliseconds(0));
  EXPECT_EQ(parse_duration("500ms"), milliseconds(500));
  EXPECT_EQ(parse_duration("10s"), milliseconds(10'000));
  EXPECT_EQ(parse_duration("1h30m"), milliseconds(5'400'000));
  EXPECT_EQ(parse_duration("7d"), milliseconds(604'800'000));
}

TEST(Duration, RefusesWhatIsNoDuration) {
  for (const char* bad : {"", "10", "s", "-1s", "1.5s", "10 s", "1h30", "1y", "99999999999s"})
    EXPECT_FALSE(parse_duration(bad)) << bad;
}

TEST(Duration, PrintsWhatItReads) {
  for (const char* text : {"0s", "500ms", "10s", "1h30m", "7d"})
    EXPECT_EQ(format_duration(*parse_duration(text)), text);
}

}  // namespace
}  // namespace entrepot
