#include "upstream/transfer_budget.h"

#include <gtest/gtest.h>

#include "harness.h"
#include "scripted_server.h"

namespace entrepot::upstream::testing {
namespace {

TEST(TransferBudget, BulkLeavesAnEighthToShortOnes) {
  TransferBudget budget(8);
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(budget.try_take(true));
  EXPECT_FALSE(budget.try_take(true));
  EXPECT_TRUE(budget.try_take(false));
  EXPECT_FALSE(budget.try_take(false));
  budget.give_back(true);
  EXPECT_TRUE(budget.try_take(true));
  EXPECT_FALSE(budget.try_take(false));
}

TEST(TransferBudget, OneIsForBoth) {
  TransferBudget budget(1);
  EXPECT_TRUE(budget.try_take(true));
  EXPECT_FALSE(budget.try_take(false));
  budget.give_back(true);
  EXPECT_TRUE(budget.try_take(false));
}

TEST(TransferBudget, ManifestsPassBlobsThatHoldAllTheirConnections) {
  const Digest digest = Digest::of("x");
  ScriptedServer* self = nullptr;
  ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
    if (request.target.find("/blobs/") != std::string::npos) self->wait_for_stop();
    connection.send(response(200, "", "x"));
  });
  self = &server;
  Settings settings = settings_for(server.url());
  settings.max_connections = 3;
  Harness harness(settings, 2);
  std::vector<std::future<Result<std::string>>> blobs;
  for (size_t i = 0; i < 6; ++i) blobs.push_back(harness.get_blob("a", digest, i % 2));
  ASSERT_TRUE(server.wait_for_requests(2));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(harness.get_manifest("a", "1", i % 2).get());
  EXPECT_EQ(server.requests().size(), 6U) << "two blobs and four manifests; the other blobs wait";
  server.stop();
  for (auto& blob : blobs) EXPECT_TRUE(blob.get());
}

}  // namespace
}  // namespace entrepot::upstream::testing
