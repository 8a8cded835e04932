#include "upstream/transfer_budget.h"

#include <gtest/gtest.h>

#include "harness.h"
#include "scripted_server.h"

namespace entrepot::upstream::testing {
namespace {

constexpr auto kBrief = TransferClass::brief;
constexpr auto kBulk = TransferClass::bulk;
constexpr auto kBypass = TransferClass::bypass;

TEST(TransferBudget, BlobsLeaveAnEighthToBriefOnes) {
  TransferBudget budget(8);
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(budget.try_take(kBulk));
  EXPECT_FALSE(budget.try_take(kBulk));
  EXPECT_FALSE(budget.try_take(kBypass));
  EXPECT_TRUE(budget.try_take(kBrief));
  EXPECT_FALSE(budget.try_take(kBrief));
  budget.give_back(kBulk);
  EXPECT_TRUE(budget.try_take(kBulk));
  EXPECT_FALSE(budget.try_take(kBrief));
}

TEST(TransferBudget, BypassesLeaveHalfOfTheBlobsShareToBulk) {
  TransferBudget budget(16);
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(budget.try_take(kBypass));
  EXPECT_FALSE(budget.try_take(kBypass));
  for (int i = 0; i < 7; ++i) EXPECT_TRUE(budget.try_take(kBulk));
  EXPECT_FALSE(budget.try_take(kBulk)) << "both together have the blobs' share";
  budget.give_back(kBypass);
  EXPECT_TRUE(budget.try_take(kBulk));
  EXPECT_FALSE(budget.try_take(kBypass)) << "what bulk has taken is no longer there";
  budget.give_back(kBulk);
  EXPECT_TRUE(budget.try_take(kBypass)) << "a refusal took nothing";
  EXPECT_TRUE(budget.try_take(kBrief));
  EXPECT_TRUE(budget.try_take(kBrief));
  EXPECT_FALSE(budget.try_take(kBrief));
}

TEST(TransferBudget, OneIsForAll) {
  for (TransferClass transfer_class : {kBulk, kBypass}) {
    TransferBudget budget(1);
    EXPECT_TRUE(budget.try_take(transfer_class));
    EXPECT_FALSE(budget.try_take(kBrief));
    budget.give_back(transfer_class);
    EXPECT_TRUE(budget.try_take(kBrief));
    EXPECT_FALSE(budget.try_take(transfer_class));
    budget.give_back(kBrief);
    EXPECT_TRUE(budget.try_take(transfer_class)) << "a refusal took nothing";
  }
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

TEST(TransferBudget, FillsPassBypassesThatHoldAllTheirConnections) {
  const Digest slow = Digest::of("slow");
  const Digest quick = Digest::of("quick");
  ScriptedServer* self = nullptr;
  ScriptedServer server([&](const SeenRequest& request, Connection& connection) {
    if (request.target.ends_with(slow.text())) self->wait_for_stop();
    connection.send(response(200, "", "x"));
  });
  self = &server;
  Settings settings = settings_for(server.url());
  settings.max_connections = 5;
  Harness harness(settings, 2);
  std::vector<std::future<Result<std::string>>> bypasses;
  for (size_t i = 0; i < 6; ++i)
    bypasses.push_back(harness.get_blob({.repository = "a", .digest = slow, .is_bypass = true}, i % 2));
  ASSERT_TRUE(server.wait_for_requests(2));
  for (size_t i = 0; i < 4; ++i) EXPECT_TRUE(harness.get_blob("a", quick, i % 2).get());
  EXPECT_EQ(server.requests().size(), 6U) << "two bypasses and four fills; the other bypasses wait";
  server.stop();
  for (auto& one : bypasses) EXPECT_TRUE(one.get());
}

}  // namespace
}  // namespace entrepot::upstream::testing
