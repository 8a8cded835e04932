#include "proxy/admin/control_handler.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "fake_exchange.h"

namespace entrepot::admin {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

Task<Result<std::string>> answer(std::string call) {
  if (call == "refuse()") co_return fail(Errc::bad_request, "it is \"bad\"");
  co_return call;
}

Task<Result<ObjectState>> say(Result<ObjectState> state) { co_return state; }

class ControlHandlerTest : public testing::Test {
 protected:
  std::shared_ptr<FakeExchange> ask(const std::string& target, http::Method method = http::Method::get) {
    auto exchange = std::make_shared<FakeExchange>(loop_, method, target);
    ReadyQueue::Scope scope(ready_);
    handler_.handle(exchange);
    ready_.drain();
    return exchange;
  }

  SystemClock clock_;
  Logger logger_{Logger::Options{LogLevel::error, LogFormat::text, 2}};
  Metrics metrics_;
  EventLoop loop_{0, clock_, logger_, metrics_};
  ReadyQueue ready_;
  Health health_{clock_};
  Result<ObjectState> state_ = ObjectState::absent;
  ControlHandler handler_{
      health_,
      [this](Digest digest) {
        EXPECT_EQ(digest.text(), kDigest);
        return say(state_);
      },
      [](EventLoop&, std::string verb, std::string request) { return answer(verb + "(" + request + ")"); }};
};

using AControlHandler = ControlHandlerTest;

TEST_F(AControlHandler, SaysWhereAnObjectIs) {
  for (auto [state, name] :
       {std::pair(ObjectState::absent, "absent"), std::pair(ObjectState::filling, "filling"),
        std::pair(ObjectState::committed, "committed")}) {
    state_ = state;
    auto answer = ask("/api/v1/objects/" + kDigest);
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, R"({"digest":")" + kDigest + R"(","state":")" + name + "\"}");
    EXPECT_EQ(answer->field("Content-Type"), "application/json");
  }
}

TEST_F(AControlHandler, PassesOnAnError) {
  state_ = fail(Errc::cache_corrupt, "index: \"broken\"");
  auto answer = ask("/api/v1/objects/" + kDigest);
  EXPECT_EQ(answer->status, 500);
  EXPECT_EQ(answer->body, R"({"errors":[{"code":"UNKNOWN","message":"cache_corrupt"}]})");
}

TEST_F(AControlHandler, RefusesWhatIsNoDigest) {
  for (const char* digest : {"", "sha256:", "md5:abc", "sha256:../../etc", "x"}) {
    auto answer = ask("/api/v1/objects/" + std::string(digest));
    EXPECT_EQ(answer->status, 400);
    EXPECT_NE(answer->body.find("DIGEST_INVALID"), std::string::npos);
  }
}

TEST_F(AControlHandler, TellsItsStatus) {
  health_.set_ready();
  auto answer = ask("/api/v1/status");
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, R"({"version":")" ENTREPOT_VERSION R"(","pid":)" + std::to_string(getpid()) +
                              R"(,"state":"ready","uptime_seconds":0})");
}

TEST_F(AControlHandler, PerformsVerbs) {
  auto answer = ask("/api/v1/verbs/purge", http::Method::post);
  EXPECT_EQ(answer->status, 200);
  EXPECT_EQ(answer->body, "purge()");
  EXPECT_EQ(ask("/api/v1/verbs/purge")->status, 405);
  EXPECT_EQ(ask("/api/v1/verbs/purge")->field("Allow"), "POST");
  auto refused = ask("/api/v1/verbs/refuse", http::Method::post);
  EXPECT_EQ(refused->status, 400);
  EXPECT_NE(refused->body.find(R"("message":"it is \"bad\"")"), std::string::npos) << refused->body;
}

TEST_F(AControlHandler, RefusesOtherVerbsAndPaths) {
  EXPECT_EQ(ask("/api/v1/status", http::Method::post)->status, 405);
  EXPECT_EQ(ask("/api/v1/other")->status, 404);
  EXPECT_EQ(ask("/")->status, 404);
}

}  // namespace
}  // namespace entrepot::admin
