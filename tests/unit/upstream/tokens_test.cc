// TokenKeeper over a scripted transport.

#include "upstream/tokens.h"

#include <gtest/gtest.h>

#include "harness.h"
#include "upstream/upstream.h"

namespace entrepot::upstream::testing {
namespace {

class ScriptedTransfer final : public Transfer {
 public:
  explicit ScriptedTransfer(std::string body) : body_(std::move(body)) {}
  Task<Result<ResponseHead>> head() override {
    ResponseHead head;
    head.status = 200;
    co_return head;
  }
  Task<Result<std::string>> read() override { co_return std::exchange(body_, ""); }
  bool may_be_sent_again() const override { return false; }
  size_t waiting() const override { return body_.size(); }

 private:
  std::string body_;
};

class ScriptedTransport final : public Transport {
 public:
  std::unique_ptr<Transfer> start(TransportRequest) override {
    ++requests;
    return std::make_unique<ScriptedTransfer>("{\"token\":\"t" + std::to_string(requests) + "\"}");
  }
  void shut_down() override {}
  int requests = 0;
};

class NoCredentials final : public CredentialSource {
 public:
  Task<Result<Credential>> credential(uint64_t) override { co_return fail(Errc::internal, "none"); }
};

TokenWish wish_for(const std::string& scope, uint64_t refused = 0) {
  TokenWish wish;
  wish.scope = scope;
  wish.realm = "https://r.test/token";
  wish.refused_serial = refused;
  return wish;
}

class TokenKeeperTest : public ::testing::Test {
 protected:
  TokenKeeperTest()
      : harness_(settings_for("http://127.0.0.1:1")),
        upstream_(*Upstream::make(settings_for("https://r.test"), harness_.common())),
        keeper_(*upstream_->origins[0], harness_.loop(), transport_, credentials_) {}

  Result<Token> get(const std::string& scope, uint64_t refused = 0) {
    return harness_
        .begin<Result<Token>>([this, wish = wish_for(scope, refused)] { return keeper_.get(wish); })
        .get();
  }

  Harness harness_;
  std::unique_ptr<Upstream> upstream_;
  ScriptedTransport transport_;
  NoCredentials credentials_;
  TokenKeeper keeper_;
};

TEST_F(TokenKeeperTest, KeptTokenIsGivenUntilItIsRefused) {
  Result<Token> first = get("a");
  ASSERT_TRUE(first) << first.error().message;
  EXPECT_TRUE(first->is_fresh);
  Result<Token> second = get("a");
  EXPECT_FALSE(second->is_fresh);
  EXPECT_EQ(second->serial, first->serial);
  EXPECT_EQ(transport_.requests, 1);
  Result<Token> third = get("a", first->serial);
  EXPECT_TRUE(third->is_fresh);
  EXPECT_NE(third->serial, first->serial);
  EXPECT_EQ(get("a", first->serial)->serial, third->serial) << "somebody else has renewed it";
  EXPECT_EQ(transport_.requests, 2);
}

TEST_F(TokenKeeperTest, ScopesHaveTheirOwnTokens) {
  EXPECT_NE(get("a")->text.reveal(), get("b")->text.reveal());
}

TEST_F(TokenKeeperTest, NumberOfTokensIsBounded) {
  for (size_t i = 0; i <= TokenKeeper::kMaxTokens; ++i) ASSERT_TRUE(get("scope" + std::to_string(i)));
  EXPECT_EQ(keeper_.size(), TokenKeeper::kMaxTokens);
  EXPECT_FALSE(get("scope" + std::to_string(TokenKeeper::kMaxTokens))->is_fresh) << "the newest one is there";
}

TEST_F(TokenKeeperTest, ChallengesThatAreTooLongAreRefused) {
  TokenWish wish = wish_for("a");
  wish.requested_scope = std::string(5000, 'x');
  Result<Token> token = harness_.begin<Result<Token>>([&] { return keeper_.get(wish); }).get();
  ASSERT_FALSE(token);
  EXPECT_EQ(token.error().code, Errc::policy_refused);
  EXPECT_EQ(transport_.requests, 0);
}

}  // namespace
}  // namespace entrepot::upstream::testing
