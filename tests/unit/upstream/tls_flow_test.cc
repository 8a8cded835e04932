// TLS through the real client, with a throw-away CA.

#include <gtest/gtest.h>

#include <cstdlib>

#include "harness.h"
#include "scripted_server.h"

namespace entrepot::upstream::testing {
namespace {

constexpr const char* kManifest = "{\"schemaVersion\":2}";

// A CA and a certificate of it for the name or address in `subject`, made by the openssl program.
struct Pki {
  explicit Pki(const std::string& subject)
      : ca(temporary_file("ca.pem", "")),
        certificate(temporary_file("certificate.pem", "")),
        key(temporary_file("key.pem", "")) {
    std::string ca_key = temporary_file("ca-key.pem", "");
    const std::string new_key =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 ";
    run(new_key + "-subj /CN=test-ca -keyout " + ca_key + " -out " + ca);
    run(new_key + "-subj /CN=test -addext subjectAltName=" + subject +
        " -addext basicConstraints=critical,CA:FALSE -CA " + ca + " -CAkey " + ca_key + " -keyout " + key +
        " -out " + certificate);
  }
  static void run(const std::string& command) {
    ASSERT_EQ(std::system((command + " 2>/dev/null").c_str()), 0) << command;
  }

  std::string ca;
  std::string certificate;
  std::string key;
};

ScriptedServer::Handler manifest() {
  return [](const SeenRequest&, Connection& connection) { connection.send(response(200, "", kManifest)); };
}

TEST(TlsFlow, ServerOfTheConfiguredCaIsBelieved) {
  Pki pki("IP:127.0.0.1");
  ScriptedServer server(manifest(), pki.certificate, pki.key);
  Settings settings = settings_for(server.url());
  settings.ca_file = pki.ca;
  Harness harness(settings, 2);
  for (size_t i = 0; i < 4; ++i) {
    Result<ManifestBody> body = harness.get_manifest("a", "1", i % 2).get();
    ASSERT_TRUE(body) << body.error().message;
    EXPECT_EQ(body->bytes, kManifest);
  }
}

TEST(TlsFlow, UnknownCaAndWrongNameAreRefusedBeforeARequest) {
  Pki good("IP:127.0.0.1");
  Pki other("IP:127.0.0.1");
  Pki wrong_name("DNS:registry.test");
  struct Row {
    const Pki& server;
    std::string ca;
  };
  for (const Row& row : {Row{good, ""}, Row{good, other.ca}, Row{wrong_name, wrong_name.ca}}) {
    ScriptedServer server(manifest(), row.server.certificate, row.server.key);
    Settings settings = settings_for(server.url());
    settings.ca_file = row.ca;
    Harness harness(settings);
    Result<ManifestBody> body = harness.get_manifest("a", "1").get();
    ASSERT_FALSE(body);
    EXPECT_EQ(body.error().code, Errc::upstream_unreachable) << body.error().message;
    EXPECT_TRUE(server.requests().empty());
  }
}

// CVE-2019-10214: the token service is verified like the registry.
TEST(TlsFlow, Cve201910214TokenServiceIsVerifiedToo) {
  Pki registry_pki("IP:127.0.0.1");
  Pki service_pki("IP:127.0.0.1");
  ScriptedServer service(manifest(), service_pki.certificate, service_pki.key);
  ScriptedServer server(
      [&](const SeenRequest&, Connection& connection) {
        connection.send(
            response(401, "WWW-Authenticate: Bearer realm=\"" + service.url() + "/token\"\r\n", ""));
      },
      registry_pki.certificate, registry_pki.key);
  Settings settings = settings_with_credential(server.url(), "secret");
  settings.ca_file = registry_pki.ca;
  settings.trusted_realms = {service.authority()};
  Harness harness(settings);
  Result<ManifestBody> body = harness.get_manifest("a", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::upstream_unreachable) << body.error().message;
  EXPECT_EQ(service.connections(), 1U);
  EXPECT_TRUE(service.requests().empty());
}

TEST(TlsFlow, PlainHttpIsNeitherAFallBackNorARedirectTarget) {
  ScriptedServer plain(manifest());
  Settings settings = settings_for("https://" + plain.authority());
  settings.connect_timeout = Duration(100);  // it waits for the end of a head that never comes
  Harness harness(settings);
  Result<ManifestBody> body = harness.get_manifest("a", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::upstream_timeout) << body.error().message;
  EXPECT_TRUE(plain.requests().empty());

  Pki pki("IP:127.0.0.1");
  ScriptedServer server(
      [&](const SeenRequest&, Connection& connection) {
        connection.send(response(307, "Location: " + plain.url() + "/x\r\n", ""));
      },
      pki.certificate, pki.key);
  Settings secure = settings_for(server.url());
  secure.ca_file = pki.ca;
  secure.allow_private = {"127.0.0.0/8"};
  Harness redirected(secure);
  body = redirected.get_manifest("a", "1").get();
  ASSERT_FALSE(body);
  EXPECT_EQ(body.error().code, Errc::policy_refused);
  EXPECT_TRUE(plain.requests().empty());
}

TEST(TlsFlow, UpstreamsWithOtherCasShareNoConnection) {
  Pki good("IP:127.0.0.1");
  Pki other("IP:127.0.0.1");
  ScriptedServer server(manifest(), good.certificate, good.key);
  Settings first = settings_for(server.url());
  first.ca_file = good.ca;
  Settings second = first;
  second.name = "second.test";
  second.ca_file = other.ca;
  Harness harness({first, second});
  ASSERT_TRUE(harness.get_manifest("a", "1").get());
  Registry& distrustful = harness.registry(0, "second.test");
  auto body =
      harness.begin<Result<ManifestBody>>([&] { return distrustful.get_manifest("a", std::string("1"), 0); })
          .get();
  EXPECT_FALSE(body) << "the first one's connection was not verified for the second";
}

TEST(TlsFlow, UnusableCaFileIsAConfigurationError) {
  SystemClock clock;
  Logger logger(Logger::Options{});
  Metrics metrics;
  ThreadedDiskPool pool(1, logger, metrics);
  for (const std::string& file :
       {std::string("/nonexistent"), temporary_file("empty.pem", ""), temporary_file("x.pem", "x")}) {
    Settings settings = settings_for("https://registry.test");
    settings.ca_file = file;
    Result<std::unique_ptr<Shared>> shared = Shared::make({settings}, pool, clock, logger, metrics);
    ASSERT_FALSE(shared) << file;
    EXPECT_EQ(shared.error().code, Errc::config_invalid);
    EXPECT_TRUE(shared.error().message.starts_with("upstream up.test: ca_file: ")) << shared.error().message;
  }
}

}  // namespace
}  // namespace entrepot::upstream::testing
