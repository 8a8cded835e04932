#include "proxy/admin/admin_handler.h"

#include <gtest/gtest.h>

#include "fake_exchange.h"

namespace entrepot::admin {
namespace {

class AdminHandlerTest : public testing::Test {
 protected:
  std::shared_ptr<FakeExchange> ask(const std::string& target, http::Method method = http::Method::get) {
    auto exchange = std::make_shared<FakeExchange>(loop_, method, target);
    handler_.handle(exchange);
    return exchange;
  }
  // Lets the loop take what was posted to it.
  void run_loop() {
    loop_.stop();
    loop_.run();
  }

  SystemClock clock_;
  Logger logger_{Logger::Options{LogLevel::error, LogFormat::text, 2}};
  Metrics metrics_;
  EventLoop loop_{0, clock_, logger_, metrics_};
  SteppedDiskPool disk_;
  Health health_{clock_};
  AdminHandler handler_{loop_, disk_, metrics_, health_, {}};
};

using AnAdminHandler = AdminHandlerTest;

TEST_F(AnAdminHandler, IsAliveInEveryState) {
  for (int i = 0; i < 2; ++i) {
    auto answer = ask("/healthz");
    EXPECT_EQ(answer->status, 200);
    EXPECT_EQ(answer->body, "ok\n");
    health_.set_draining();
  }
}

TEST_F(AnAdminHandler, IsReadyFromOpenToDrain) {
  EXPECT_EQ(ask("/readyz")->status, 503);
  health_.set_ready();
  EXPECT_EQ(ask("/readyz")->status, 200);
  health_.set_draining();
  auto answer = ask("/readyz");
  EXPECT_EQ(answer->status, 503);
  EXPECT_EQ(answer->body, "draining\n");
}

TEST_F(AnAdminHandler, RendersMetricsOnceForAllThatAsk) {
  metrics_.counter("entrepot_test_total", "Test").add(7);
  auto first = ask("/metrics");
  auto second = ask("/metrics");
  EXPECT_EQ(first->status, 0);
  ASSERT_EQ(disk_.jobs.size(), 1u);
  disk_.jobs[0]();
  run_loop();
  EXPECT_EQ(first->status, 200);
  EXPECT_NE(first->body.find("entrepot_test_total 7"), std::string::npos) << first->body;
  EXPECT_NE(first->canned_head.find("text/plain; version=0.0.4"), std::string::npos);
  EXPECT_EQ(second->body, first->body);
}

TEST_F(AnAdminHandler, RefusesNamesThatAreNotOurs) {
  for (const char* path : {"/healthz", "/metrics", "/"}) {
    auto exchange = std::make_shared<FakeExchange>(loop_, http::Method::get, path);
    exchange->mutable_request().headers[0].second = "rebind.evil.test";
    handler_.handle(exchange);
    EXPECT_EQ(exchange->status, 421);
  }
}

TEST_F(AnAdminHandler, OnlyReads) {
  for (auto method : {http::Method::post, http::Method::put, http::Method::del, http::Method::options,
                      http::Method::other}) {
    auto answer = ask("/healthz", method);
    EXPECT_EQ(answer->status, 405);
    EXPECT_EQ(answer->field("Allow"), "GET, HEAD");
  }
  EXPECT_EQ(ask("/healthz", http::Method::head)->status, 200);
}

TEST_F(AnAdminHandler, KnowsNoOtherPage) {
  for (const char* path :
       {"/", "/v2/", "/healthz/", "/Metrics", "/debug/pprof", "/ui/..%2f..%2fetc/passwd", "/ui//evil"}) {
    auto answer = ask(path);
    EXPECT_EQ(answer->status, 404) << path;
    EXPECT_EQ(answer->body, R"({"errors":[{"code":"NOT_FOUND","message":"there is no such page"}]})");
    EXPECT_EQ(answer->field("X-Frame-Options"), "DENY");
  }
}

}  // namespace
}  // namespace entrepot::admin
