// An upstream with mirrors, through the real client: who is asked when, and what each of them sees.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "harness.h"
#include "scripted_server.h"
#include "upstream/upstream.h"

namespace entrepot::upstream::testing {
namespace {

constexpr const char* kManifest = "{\"schemaVersion\":2}";
constexpr const char* kBasic = "Basic dXNlcjpzZWNyZXQ=";
const Digest kDigest = Digest::of(kManifest);

ScriptedServer::Handler always(std::string bytes) {
  return [bytes](const SeenRequest&, Connection& connection) { connection.send(bytes); };
}

// Answers as a registry that has everything.
ScriptedServer::Handler good() {
  return [](const SeenRequest& request, Connection& connection) {
    std::string head = "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(std::string(kManifest).size()) +
                       "\r\nDocker-Content-Digest: " + kDigest.text() + "\r\n\r\n";
    connection.send(request.method == "HEAD" ? head : head + kManifest);
  };
}

std::string url_of_nobody() {
  ScriptedServer gone(always(""));
  return gone.url();
}

Settings with_mirrors(Settings settings, std::vector<std::string> mirrors) {
  settings.mirrors = std::move(mirrors);
  return settings;
}

std::future<Result<ManifestBody>> get_manifest(Harness& harness, size_t origin) {
  Registry& registry = harness.registry();
  return harness.begin<Result<ManifestBody>>(
      [&registry, origin] { return registry.get_manifest("a", *parse_reference("1"), origin); });
}

std::future<Result<BlobHead>> head_blob(Harness& harness) {
  Registry& registry = harness.registry();
  return harness.begin<Result<BlobHead>>([&registry] { return registry.head_blob("a", kDigest); });
}

// "Authorization" of all that was asked, each on its line.
std::string shown_to(const ScriptedServer& server) {
  std::string all;
  for (const SeenRequest& request : server.requests()) all += request.header("authorization") + "\n";
  return all;
}

TEST(MirrorFlow, UrlAnswersAndMirrorsAreLeftAlone) {
  ScriptedServer url(good());
  ScriptedServer mirror(good());
  Harness harness(with_mirrors(settings_for(url.url()), {mirror.url()}));
  EXPECT_EQ(harness.registry().origins(), 2U);
  EXPECT_TRUE(harness.head_manifest("a", "1").get());
  EXPECT_TRUE(head_blob(harness).get());
  EXPECT_TRUE(harness.get_manifest("a", "1").get());
  EXPECT_EQ(mirror.connections(), 0U);
  Harness alone(settings_for(url.url()));
  EXPECT_EQ(alone.registry().origins(), 1U);
}

TEST(MirrorFlow, HeadGoesToTheNextOriginThatAnswers) {
  for (int status : {429, 500, 503, 302}) {
    ScriptedServer url(always(response(status, "", "")));
    ScriptedServer mirror(good());
    Harness harness(with_mirrors(settings_for(url.url()), {url_of_nobody(), mirror.url()}));
    Result<ManifestHead> manifest = harness.head_manifest("a", "1").get();
    ASSERT_TRUE(manifest) << manifest.error().message;
    EXPECT_EQ(manifest->digest, kDigest);
    Result<BlobHead> blob = head_blob(harness).get();
    ASSERT_TRUE(blob) << blob.error().message;
    EXPECT_EQ(url.requests().size(), 2U) << "the url is asked first, each time";
    EXPECT_EQ(mirror.requests().size(), 2U);
  }
}

TEST(MirrorFlow, HeadGoesOnWhenNobodyListensOrTheConnectionBreaks) {
  ScriptedServer broken([](const SeenRequest&, Connection& connection) { connection.reset(); });
  for (const std::string& url : {url_of_nobody(), broken.url()}) {
    ScriptedServer mirror(good());
    Harness harness(with_mirrors(settings_for(url), {mirror.url()}));
    EXPECT_TRUE(harness.head_manifest("a", "1").get());
    EXPECT_TRUE(head_blob(harness).get());
    EXPECT_EQ(mirror.requests().size(), 2U);
  }
}

TEST(MirrorFlow, WhatTheUrlSaysNoToIsNotAskedElsewhere) {
  for (int status : {403, 404}) {
    ScriptedServer url(always(response(status, "", "")));
    ScriptedServer mirror(good());
    Harness harness(with_mirrors(settings_for(url.url()), {mirror.url()}));
    EXPECT_FALSE(harness.head_manifest("a", "1").get());
    EXPECT_FALSE(head_blob(harness).get());
    EXPECT_EQ(mirror.connections(), 0U);
  }
}

TEST(MirrorFlow, ErrorOfTheUrlIsGivenWhenNobodyAnswers) {
  ScriptedServer url(always(response(429, "Retry-After: 17\r\n", "")));
  ScriptedServer mirror(always(response(503, "", "")));
  Harness harness(with_mirrors(settings_for(url.url()), {mirror.url(), url_of_nobody()}));
  Result<ManifestHead> head = harness.head_manifest("a", "1").get();
  ASSERT_FALSE(head);
  EXPECT_EQ(head.error().code, Errc::upstream_rate_limited);
  EXPECT_EQ(head.error().retry_after_seconds, 17);
}

TEST(MirrorFlow, AMirrorsNoIsNotTheUpstreams) {
  for (int status : {403, 404}) {
    ScriptedServer url(always(response(503, "", "")));
    ScriptedServer mirror(always(response(status, "", "")));
    Harness harness(with_mirrors(settings_for(url.url()), {mirror.url()}));
    EXPECT_EQ(harness.head_manifest("a", "1").get().error().code, Errc::upstream_failed);
    EXPECT_EQ(head_blob(harness).get().error().code, Errc::upstream_failed);
  }
}

TEST(MirrorFlow, GetAsksTheGivenOriginAlone) {
  ScriptedServer url(always(response(503, "", "")));
  ScriptedServer mirror(good());
  Harness harness(with_mirrors(settings_for(url.url()), {mirror.url() + "/proxy/"}));
  EXPECT_FALSE(get_manifest(harness, 0).get());
  EXPECT_FALSE(harness.get_blob("a", kDigest).get());
  EXPECT_EQ(mirror.connections(), 0U);
  EXPECT_TRUE(get_manifest(harness, 1).get());
  Result<std::string> blob = harness.get_blob({.repository = "a", .digest = kDigest, .origin = 1}).get();
  ASSERT_TRUE(blob) << blob.error().message;
  EXPECT_EQ(*blob, kManifest);
  EXPECT_EQ(url.requests().size(), 2U);
  ASSERT_EQ(mirror.requests().size(), 2U);
  EXPECT_EQ(mirror.requests()[0].target, "/proxy/v2/a/manifests/1");
}

TEST(MirrorFlow, LibraryIsPutInFrontForMirrorsToo) {
  ScriptedServer mirror(good());
  Settings settings = with_mirrors(settings_for(url_of_nobody()), {mirror.url()});
  settings.adds_library = true;
  Harness harness(settings);
  EXPECT_TRUE(harness.head_manifest("alpine", "3").get());
  EXPECT_EQ(mirror.requests().at(0).target, "/v2/library/alpine/manifests/3");
}

TEST(MirrorFlow, MessagesNameTheMirror) {
  ScriptedServer mirror(always(response(503, "", "")));
  Harness harness(with_mirrors(settings_for(url_of_nobody()), {mirror.url()}));
  Result<ManifestBody> body = get_manifest(harness, 1).get();
  ASSERT_FALSE(body);
  EXPECT_TRUE(body.error().message.starts_with("up.test (" + mirror.authority() + "): a:1: "))
      << body.error().message;
}

// Wants Basic, or a token from its own token service, and says so to whoever shows nothing.
ScriptedServer::Handler demanding(const std::string& scheme, const std::string& url) {
  return [scheme, &url](const SeenRequest& request, Connection& connection) {
    const std::string& shown = request.header("authorization");
    if (request.target.starts_with("/token"))
      connection.send(response(200, "", "{\"token\":\"of-" + url + "\"}"));
    else if (shown.empty())
      connection.send(response(401, "WWW-Authenticate: " + scheme + " realm=\"" + url + "/token\"\r\n", ""));
    else
      connection.send(response(200, "", kManifest));
  };
}

TEST(MirrorFlow, CredentialGoesToTheUrlAndNeverToAMirrorThatAsksForIt) {
  for (Auth auth : {Auth::automatic, Auth::basic}) {
    std::string home;
    std::string other;
    ScriptedServer url(demanding("Basic", home));
    ScriptedServer mirror(demanding("Basic", other));
    home = url.url();
    other = mirror.url();
    Settings settings = with_mirrors(settings_with_credential(url.url(), "secret"), {mirror.url()});
    settings.auth = auth;
    settings.trusted_realms = {mirror.authority()};
    Harness harness(settings);
    EXPECT_TRUE(get_manifest(harness, 0).get());
    Result<ManifestBody> body = get_manifest(harness, 1).get();
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().code, Errc::denied);
    EXPECT_EQ(shown_to(mirror), "\n");
    EXPECT_NE(shown_to(url).find(kBasic), std::string::npos) << "positive control: the url gets it";
  }
}

TEST(MirrorFlow, TokenServiceOfAMirrorIsAskedAnonymously) {
  std::string home;
  std::string other;
  ScriptedServer url(demanding("Bearer", home));
  ScriptedServer mirror(demanding("Bearer", other));
  home = url.url();
  other = mirror.url();
  Settings settings = with_mirrors(settings_with_credential(url.url(), "secret"), {mirror.url()});
  settings.trusted_realms = {mirror.authority()};
  Harness harness(settings);
  EXPECT_TRUE(get_manifest(harness, 0).get());
  EXPECT_TRUE(get_manifest(harness, 1).get());
  EXPECT_EQ(shown_to(url), "\n" + std::string(kBasic) + "\nBearer of-" + home + "\n")
      << "positive control: its token service gets the credential";
  EXPECT_EQ(shown_to(mirror), "\n\nBearer of-" + other + "\n");
}

TEST(MirrorFlow, TokensOfOneOriginAreNeverAnothers) {
  constexpr size_t kLoops = 2;
  std::string home;
  std::string other;
  ScriptedServer url(demanding("Bearer", home));
  ScriptedServer mirror(demanding("Bearer", other));
  home = url.url();
  other = mirror.url();
  Harness harness(with_mirrors(settings_for(url.url()), {mirror.url()}), kLoops);
  for (int round = 0; round < 3; ++round)
    for (size_t loop = 0; loop < kLoops; ++loop)
      for (size_t origin = 0; origin < 2; ++origin) {
        BlobRequest request{.repository = "a", .digest = kDigest, .origin = origin};
        EXPECT_TRUE(harness.get_blob(request, loop).get());
      }
  for (const ScriptedServer* server : {&url, &mirror}) {
    std::string own = "Bearer of-" + server->url();
    auto requests = server->requests();
    auto is_foreign = [&](const SeenRequest& request) {
      const std::string& shown = request.header("authorization");
      return !shown.empty() && shown != own;
    };
    EXPECT_TRUE(std::ranges::none_of(requests, is_foreign));
    auto is_for_token = [](const SeenRequest& request) { return request.target.starts_with("/token"); };
    EXPECT_EQ(std::ranges::count_if(requests, is_for_token), 1) << "one token for all loops";
  }
}

TEST(MirrorFlow, RedirectFromAMirrorToThePrivateUrlIsNotFollowed) {
  ScriptedServer url(good());
  ScriptedServer mirror(always(response(307, "Location: " + url.url() + "/x\r\n", "")));
  Harness harness(with_mirrors(settings_for(url.url()), {mirror.url()}));
  Result<ManifestBody> body = get_manifest(harness, 1).get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::policy_refused);
  EXPECT_EQ(url.connections(), 0U);
  EXPECT_TRUE(get_manifest(harness, 0).get()) << "positive control: the url itself may be private";
}

TEST(MirrorFlow, EachOriginHasItsOwnConnections) {
  ScriptedServer* self = nullptr;
  ScriptedServer url([&](const SeenRequest&, Connection& connection) {
    self->wait_for_stop();
    connection.send(response(200, "", kManifest));
  });
  self = &url;
  ScriptedServer mirror(good());
  Settings settings = with_mirrors(settings_for(url.url()), {mirror.url()});
  settings.max_connections = 1;
  Harness harness(settings);
  auto held = get_manifest(harness, 0);
  ASSERT_TRUE(url.wait_for_requests(1));
  EXPECT_TRUE(get_manifest(harness, 1).get()) << "the url's one connection is taken";
  url.stop();
  EXPECT_TRUE(held.get());
}

TEST(MirrorFlow, ReceivedBytesAreCountedForTheUpstream) {
  ScriptedServer url(good());
  ScriptedServer mirror(good());
  Harness harness(with_mirrors(settings_for(url.url()), {mirror.url()}));
  Counter received =
      harness.metrics().counter("entrepot_upstream_received_bytes_total",
                                "Bytes of bodies that came from upstreams", {{"upstream", "up.test"}});
  EXPECT_EQ(received.value(), 0);
  ASSERT_TRUE(harness.head_manifest("a", "1").get());
  EXPECT_EQ(received.value(), 0) << "a HEAD has no body";
  ASSERT_TRUE(get_manifest(harness, 0).get());
  ASSERT_TRUE(get_manifest(harness, 1).get());
  EXPECT_EQ(received.value(), 2.0 * static_cast<double>(std::string(kManifest).size()));
}

TEST(MirrorFlow, ShutDownEndsAllOrigins) {
  ScriptedServer* self = nullptr;
  ScriptedServer mirror([&self](const SeenRequest&, Connection& connection) {
    self->wait_for_stop();
    connection.close();
  });
  self = &mirror;
  Harness harness(with_mirrors(settings_for(url_of_nobody()), {mirror.url()}));
  auto running = get_manifest(harness, 1);
  ASSERT_TRUE(mirror.wait_for_requests(1));
  harness.loop().post([&] { harness.client().shut_down(); });
  EXPECT_EQ(running.get().error().code, Errc::shutting_down);
  EXPECT_EQ(harness.head_manifest("a", "1").get().error().code, Errc::shutting_down);
}

TEST(Mirrors, BadUrlsAreConfigErrorsThatNameTheKey) {
  Harness harness(settings_for("http://127.0.0.1:1"));
  for (const char* mirror : {"", "ftp://a", "https://user:pw@a", "https://a/?x=1", "a"}) {
    Settings settings = with_mirrors(settings_for("https://r.test"), {"https://good.test", mirror});
    auto made = Upstream::make(settings, harness.common());
    ASSERT_FALSE(made) << mirror;
    EXPECT_EQ(made.error().code, Errc::config_invalid);
    EXPECT_TRUE(made.error().message.starts_with("upstream up.test: mirrors: ")) << made.error().message;
    EXPECT_EQ(made.error().message.find("pw"), std::string::npos);
  }
}

TEST(IsNoAnswer, TellsSilenceFromANo) {
  const std::map<Errc, bool> rows = {{Errc::upstream_unreachable, true},
                                     {Errc::upstream_timeout, true},
                                     {Errc::upstream_cut, true},
                                     {Errc::upstream_failed, true},
                                     {Errc::upstream_rate_limited, true},
                                     {Errc::upstream_refused_credential, true},
                                     {Errc::policy_refused, true},
                                     {Errc::shutting_down, true},
                                     {Errc::overloaded, true},
                                     {Errc::denied, false},
                                     {Errc::manifest_unknown, false},
                                     {Errc::blob_unknown, false},
                                     {Errc::name_unknown, false},
                                     {Errc::name_invalid, false},
                                     {Errc::cancelled, false}};
  for (auto [code, expected] : rows)
    EXPECT_EQ(is_no_answer(Error{code, ""}), expected) << describe(code).label;
}

}  // namespace
}  // namespace entrepot::upstream::testing
