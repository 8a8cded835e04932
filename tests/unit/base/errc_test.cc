#include "base/errc.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "base/result.h"

namespace entrepot {
namespace {

TEST(Errc, EachCodeHasItsOwnRowAndLabel) {
  std::set<std::string_view> labels;
  for (const ErrcInfo& info : all_errc()) {
    EXPECT_EQ(&describe(info.code), &info);
    EXPECT_TRUE(labels.insert(info.label).second) << info.label;
    EXPECT_FALSE(info.oci_code.empty());
  }
  EXPECT_EQ(labels.size(), static_cast<size_t>(Errc::internal) + 1);
}

TEST(Errc, EachStatusIsAnErrorAndFitsItsCode) {
  for (const ErrcInfo& info : all_errc()) {
    EXPECT_GE(info.http_status, 400) << info.label;
    EXPECT_LT(info.http_status, 600) << info.label;
    int expected = info.oci_code == "TOOMANYREQUESTS"    ? 429
                   : info.oci_code == "DENIED"           ? 403
                   : info.oci_code.ends_with("_UNKNOWN") ? 404
                                                         : info.http_status;
    EXPECT_EQ(info.http_status, expected) << info.label;
  }
}

TEST(Errc, ARateLimitIsNeverA404AndAnUpstreamsTroubleIsAlwaysA5xxOr429) {
  for (const ErrcInfo& info : all_errc()) {
    if (!info.label.starts_with("upstream_")) continue;
    EXPECT_TRUE(info.http_status >= 500 || info.http_status == 429) << info.label;
  }
}

TEST(Result, ASystemErrorSaysWhatAndWhy) {
  Error full = system_error("write part", ENOSPC);
  EXPECT_EQ(full.code, Errc::disk_full);
  EXPECT_EQ(full.message, "write part: No space left on device");
  EXPECT_EQ(system_error("x", EIO).code, Errc::io_error);
}

}  // namespace
}  // namespace entrepot
