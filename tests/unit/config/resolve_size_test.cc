#include <gtest/gtest.h>
#include <sys/statvfs.h>

#include "proxy/config/config.h"

namespace entrepot::config {
namespace {

uint64_t size_of_file_system(const char* path) {
  struct statvfs system {};
  EXPECT_EQ(statvfs(path, &system), 0);
  return uint64_t{system.f_blocks} * system.f_frsize;
}

TEST(ResolveSize, LeavesBytesAlone) { EXPECT_EQ(resolve_size({12345, 0}, "/nonexistent").value(), 12345U); }

TEST(ResolveSize, TakesAShareOfTheFileSystem) {
  uint64_t whole = size_of_file_system("/");
  EXPECT_EQ(resolve_size({0, 50}, "/").value(), whole / 100 * 50);
  EXPECT_EQ(resolve_size({0, 100}, "/").value(), whole / 100 * 100);
}

TEST(ResolveSize, AsksTheNearestParentOfADirectoryThatIsStillToBeMade) {
  EXPECT_EQ(resolve_size({0, 10}, "/nonexistent/a/b").value(), size_of_file_system("/") / 100 * 10);
}

TEST(ResolveSize, FailsWhereThereIsNoDirectory) {
  EXPECT_FALSE(resolve_size({0, 10}, "/etc/passwd/a").has_value());
}

}  // namespace
}  // namespace entrepot::config
