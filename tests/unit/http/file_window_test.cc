#include "proxy/http/file_window.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "http_fixture.h"

namespace entrepot::http {
namespace {

constexpr uint64_t kSize = 1024 * 1024;

TEST(FileWindow, IsColdUntilItWasRead) {
  SharedFd file = file_of(pattern(kSize));
  EXPECT_TRUE(is_window_warm(file->get(), 0, kSize, Look::every_page)) << "just written";
  fsync(file->get());
  posix_fadvise(file->get(), 0, 0, POSIX_FADV_DONTNEED);
  EXPECT_FALSE(is_window_warm(file->get(), 0, kSize, Look::samples));
  EXPECT_FALSE(is_window_warm(file->get(), kSize / 2, kSize, Look::every_page));
  EXPECT_TRUE(warm_window(file->get(), 0, kSize));
  EXPECT_TRUE(is_window_warm(file->get(), 0, kSize, Look::samples));
  EXPECT_TRUE(is_window_warm(file->get(), 1, kSize - 1, Look::every_page));
}

TEST(FileWindow, CannotBeWarmedPastTheEndOfTheFile) {
  SharedFd file = file_of(pattern(1000));
  EXPECT_TRUE(warm_window(file->get(), 0, 1000));
  EXPECT_FALSE(warm_window(file->get(), 0, 1001));
}

TEST(FileWindow, IsAlwaysWarmWhenEmpty) {
  SharedFd file = file_of("x");
  EXPECT_TRUE(is_window_warm(file->get(), 5, 5, Look::every_page));
}

TEST(ColdWatch, LooksCloselyForAWhileAfterACold) {
  ColdWatch watch;
  MonotonicTime now{Duration(5'000)};
  EXPECT_EQ(watch.look(now), Look::samples);
  watch.saw_cold(now);
  EXPECT_EQ(watch.look(now + Duration(1'999)), Look::every_page);
  EXPECT_EQ(watch.look(now + Duration(2'000)), Look::samples);
}

}  // namespace
}  // namespace entrepot::http
