// Host names through the real transport: looked up by us, never by libcurl.

#include <gtest/gtest.h>

#include "fake_names.h"
#include "scripted_server.h"
#include "transport_rig.h"

namespace entrepot::upstream::testing {
namespace {

ScriptedServer::Handler ok() {
  return [](const SeenRequest&, Connection& connection) { connection.send(response(200, "", "x")); };
}

std::string named(const ScriptedServer& server, const std::string& host) {
  return "http://" + host + ":" + std::to_string(server.port()) + "/x";
}

TransportRig::Setup asking(const FakeNames& names) {
  TransportRig::Setup setup;
  setup.look_up = names.look_up();
  return setup;
}

Task<Result<ResponseHead>> head_of(TransportRig& rig, Url url) {
  std::unique_ptr<Transfer> transfer = rig.start(url);
  Result<ResponseHead> head = co_await transfer->head();
  if (head) co_await transfer->read();
  co_return head;
}

Result<ResponseHead> get(TransportRig& rig, const std::string& url) {
  return rig.harness().begin<Result<ResponseHead>>([&] { return head_of(rig, *Url::parse(url)); }).get();
}

TEST(NameFlow, AddressOfTheLookUpIsDialled) {
  for (const Addresses& addresses : {Addresses{"127.0.0.1"}, Addresses{"::1", "127.0.0.1"}}) {
    for (const char* host : {"registry.test", "registry.test."}) {
      FakeNames names(addresses);
      ScriptedServer server(ok());
      const std::string url = named(server, host);
      TransportRig rig(url, asking(names));
      for (int i = 0; i < 2; ++i) {
        Result<ResponseHead> head = get(rig, url);
        ASSERT_TRUE(head) << head.error().message;
      }
      EXPECT_EQ(names.asked(), std::vector<std::string>{host});
      EXPECT_EQ(server.connections(), 1U);
    }
  }
}

// Whom nobody answers at (127.0.0.2 and 3 refuse), and of one kind: libcurl's own way with those waits too
// long.
TEST(NameFlow, AddressesAreDialledOneAfterAnother) {
  FakeNames names(Addresses{"127.0.0.2", "127.0.0.3", "127.0.0.1"});
  ScriptedServer server(ok());
  const std::string url = named(server, "registry.test");
  TransportRig rig(url, asking(names));
  Result<ResponseHead> head = get(rig, url);
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(server.connections(), 1U);
  EXPECT_EQ(names.asked().size(), 1U);
}

TEST(NameFlow, WhenNoAddressAnswersItIsUnreachable) {
  FakeNames names(Addresses{"127.0.0.2", "::1", "127.0.0.3"});
  ScriptedServer server(ok());
  const std::string url = named(server, "registry.test");
  TransportRig rig(url, asking(names));
  Result<ResponseHead> head = get(rig, url);
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, Errc::upstream_unreachable);
}

TEST(NameFlow, NumericHostIsNotLookedUp) {
  FakeNames names;
  ScriptedServer server(ok());
  TransportRig rig(server.url(), asking(names));
  ASSERT_TRUE(get(rig, server.url()));
  EXPECT_TRUE(names.asked().empty());
}

TEST(NameFlow, PrivateAddressIsRefusedWhenItIsDialled) {
  FakeNames names;
  ScriptedServer server(ok());
  TransportRig rig(named(server, "registry.test"), asking(names));
  Result<ResponseHead> head = get(rig, named(server, "rebound.test"));
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, Errc::policy_refused) << head.error().message;
  EXPECT_EQ(names.asked(), std::vector<std::string>{"rebound.test"});
  EXPECT_EQ(server.connections(), 0U);
  EXPECT_TRUE(get(rig, named(server, "registry.test"))) << "positive control: the upstream's own url";
}

TEST(NameFlow, UnknownNameIsUnreachable) {
  FakeNames names;
  TransportRig rig("http://unknown/", asking(names));
  Result<ResponseHead> head = get(rig, "http://unknown/");
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, Errc::upstream_unreachable);
  EXPECT_EQ(head.error().message, "unknown:80: could not resolve unknown");
}

TEST(NameFlow, UnknownNameOfAConfiguredRegistryIsSaidSo) {
  Harness harness(settings_for("http://no-such-host.invalid"));
  Result<ManifestBody> body = harness.get_manifest("a", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::upstream_unreachable);
  EXPECT_EQ(body.error().message,
            "up.test: a:1: no-such-host.invalid:80: could not resolve no-such-host.invalid");
}

TEST(NameFlow, SlowLookUpTimesOutWhileItGoesOn) {
  FakeNames names;
  names.hold("slow.test");
  TransportRig::Setup setup = asking(names);
  setup.connect_timeout = Duration(20);
  TransportRig rig("http://slow.test/", std::move(setup));
  Result<ResponseHead> head = get(rig, "http://slow.test/");
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, Errc::upstream_timeout) << head.error().message;
  EXPECT_EQ(names.asked().size(), 1U);
}

Task<Result<ResponseHead>> wait_for(Transfer& transfer) { co_return co_await transfer.head(); }

Task<int> destroyed(std::unique_ptr<Transfer> transfer) {
  transfer.reset();
  co_return 0;
}

TEST(NameFlow, DestroyingATransferAndShutDownEndAWaitForAddresses) {
  for (bool is_shut_down : {true, false}) {
    FakeNames names;
    names.hold("slow.test");
    TransportRig rig("http://slow.test/", asking(names));
    std::unique_ptr<Transfer> transfer;
    auto head = rig.harness().begin<Result<ResponseHead>>([&] {
      transfer = rig.start();
      return wait_for(*transfer);
    });
    names.wait_until_asked(1);
    rig.harness().loop().post([&] {
      if (is_shut_down) rig.transport().shut_down();
      if (!is_shut_down) transfer.reset();
    });
    Result<ResponseHead> result = head.get();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, is_shut_down ? Errc::shutting_down : Errc::cancelled);
    rig.harness().begin<int>([&] { return destroyed(std::move(transfer)); }).wait();
    names.release_all();
  }
}

TEST(NameFlow, WaitersTooManyAreTurnedAwayAndCounted) {
  FakeNames names;
  names.hold("slow.test");
  TransportRig rig("http://slow.test/", asking(names));
  std::vector<std::future<Result<ResponseHead>>> waiting;
  for (size_t i = 0; i < NameKeeper::kMaxWaiters; ++i)
    waiting.push_back(rig.harness().begin<Result<ResponseHead>>(
        [&] { return head_of(rig, *Url::parse("http://slow.test/")); }));
  Result<ResponseHead> refused = get(rig, "http://slow.test/");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Errc::overloaded);
  EXPECT_EQ(rig.overloads(), 1);
  rig.harness().loop().post([&] { rig.transport().shut_down(); });
  for (auto& one : waiting) EXPECT_EQ(one.get().error().code, Errc::shutting_down);
}

TEST(NameFlow, NamesBehindAProxyAreLeftToIt) {
  FakeNames names;
  ScriptedServer proxy(ok());
  TransportRig::Setup setup = asking(names);
  setup.proxy = proxy.url();
  TransportRig rig("http://registry.test/x", std::move(setup));
  Result<ResponseHead> head = get(rig, "http://registry.test/x");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(proxy.requests().at(0).target, "http://registry.test/x");
  EXPECT_TRUE(names.asked().empty());
}

TEST(NameFlow, ProxyThatGivesNoTunnelIsNoConnection) {
  const std::vector<ScriptedServer::Handler> refusals = {
      [](const SeenRequest&, Connection& connection) { connection.send(response(403, "", "no")); },
      [](const SeenRequest&, Connection& connection) { connection.reset(); },
      [](const SeenRequest&, Connection& connection) { connection.close(); }};
  for (const ScriptedServer::Handler& refusal : refusals) {
    ScriptedServer proxy(refusal);
    TransportRig::Setup setup;
    setup.proxy = proxy.url();
    TransportRig rig("https://registry.test/x", std::move(setup));
    Result<ResponseHead> head = get(rig, "https://registry.test/x");
    ASSERT_FALSE(head);
    EXPECT_EQ(head.error().code, Errc::upstream_unreachable) << head.error().message;
    EXPECT_EQ(proxy.requests().at(0).method, "CONNECT");
  }
}

}  // namespace
}  // namespace entrepot::upstream::testing
