#include "proxy/admin/health.h"

#include <gtest/gtest.h>

namespace entrepot::admin {
namespace {

TEST(Health, IsReadyOnceAndNeverAgainAfterDraining) {
  SystemClock clock;
  Health health(clock);
  EXPECT_EQ(health.state(), Health::State::opening);
  health.set_ready();
  EXPECT_TRUE(health.is_ready());
  health.set_draining();
  health.set_ready();
  EXPECT_EQ(health.state(), Health::State::draining);
}

}  // namespace
}  // namespace entrepot::admin
