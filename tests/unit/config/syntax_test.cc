#include "proxy/config/syntax.h"

#include <gtest/gtest.h>

#include "proxy/config/listen_address.h"

namespace entrepot::config {
namespace {

TEST(BaseUrl, IsSpeltInOneWay) {
  auto text = [](std::string_view url) { return to_text(parse_base_url(url).value()); };
  EXPECT_EQ(text("https://quay.io"), "https://quay.io");
  EXPECT_EQ(text("HTTPS://Quay.IO/"), "https://quay.io");
  EXPECT_EQ(text("http://127.0.0.1:5001"), "http://127.0.0.1:5001");
  EXPECT_EQ(text("https://[FD00::1]:443/a"), "https://[fd00::1]:443/a");
  EXPECT_EQ(text("https://repo.example.com/artifactory/api/docker/remote/"),
            "https://repo.example.com/artifactory/api/docker/remote");
  EXPECT_EQ(text("https://xn--mller-kva.example"), "https://xn--mller-kva.example");
  EXPECT_EQ(text("https://registry"), "https://registry");
}

TEST(BaseUrl, RefusesWhatCouldMeanTwoThingsX03) {
  for (std::string_view url : {"",
                               "quay.io",
                               "https://",
                               "https:///",
                               "https:quay.io",
                               "ftp://a",
                               "file:///etc/passwd",
                               "gopher://a",
                               "https://me@a",
                               "https://me:secret@a",
                               "https://a@b",
                               "https://a/b@c",
                               "https://@a",
                               "https://a?b",
                               "https://a/?b",
                               "https://a#b",
                               "https://a/#",
                               "https://a b",
                               " https://a",
                               "https://a ",
                               "https://a\n",
                               "https://m\xc3\xbcller.example",
                               "https://a_b.example",
                               "https://-a.example",
                               "https://a..b",
                               "https://a.",
                               "https://.a",
                               "https://a:",
                               "https://a:0",
                               "https://a:65536",
                               "https://a:+1",
                               "https://a:01",
                               "https://a:1:2",
                               "https://::1",
                               "https://[::1",
                               "https://[::1]x",
                               "https://[a]",
                               "https://127.1",
                               "https://0x7f.0.0.1",
                               "https://0x7f000001",
                               "https://2130706433",
                               "https://127.0.0.256",
                               "https://127.0.0.01",
                               "https://a/..",
                               "https://a/./b",
                               "https://a//b",
                               "https://a//",
                               "https://a/%2e%2e/b",
                               "https://a/b\\c",
                               "https://a\\b",
                               "https://a/v2",
                               "https://a/v2/",
                               "https://a/b/v2",
                               "https://[fe80::1%25eth0]",
                               "https://*"})
    EXPECT_FALSE(parse_base_url(url).has_value()) << url;
}

TEST(UpstreamName, IsALowerCaseHostWithAPortIfNeedBe) {
  for (std::string_view name : {"quay.io", "docker.io", "registry.example.com:5000", "localhost:5000",
                                "10.0.0.1:5000", "harbor", "xn--mller-kva.example", "a-b.c"})
    EXPECT_TRUE(parse_upstream_name(name).has_value()) << name;
  for (std::string_view name : {"",
                                "Quay.io",
                                "v2",
                                "library",
                                "quay.io/a",
                                "quay.io:",
                                "quay.io:0",
                                "quay.io:05",
                                "https://quay.io",
                                "_catalog",
                                "a_b",
                                "..",
                                ".",
                                "-",
                                "a b",
                                "[::1]:5000",
                                "::1",
                                "quay.io\n",
                                "m\xc3\xbcller.example",
                                "127.1"})
    EXPECT_FALSE(parse_upstream_name(name).has_value()) << name;
}

TEST(UpstreamName, SaysHowItWouldBeSpelt) {
  EXPECT_EQ(parse_upstream_name("Quay.IO").error(), "\"Quay.IO\" must be written as \"quay.io\"");
}

TEST(Cidr, IsANetwork) {
  for (std::string_view network :
       {"10.0.0.0/8", "0.0.0.0/0", "127.0.0.1/32", "fd00::/8", "::/0", "::1/128", "10.128.0.0/9"})
    EXPECT_TRUE(parse_cidr(network).has_value()) << network;
  for (std::string_view network :
       {"", "/8", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08", "10.0.0.1/8",
        "10.0/8", "fd00::/129", "fd00::1/8", "localhost/8", "10.0.0.0/8/8", "10.192.0.0/9"})
    EXPECT_FALSE(parse_cidr(network).has_value()) << network;
}

TEST(Proxy, IsEnvOrAnAddress) {
  EXPECT_EQ(parse_proxy("").value(), "");
  EXPECT_EQ(parse_proxy("env").value(), "env");
  EXPECT_EQ(parse_proxy("http://proxy:3128/").value(), "http://proxy:3128");
  EXPECT_EQ(parse_proxy("socks5h://[::1]:1080").value(), "socks5h://[::1]:1080");
  for (std::string_view proxy :
       {"proxy:3128", "ftp://proxy", "http://", "http://me:secret@proxy", "http://proxy/a", "ENV"})
    EXPECT_FALSE(parse_proxy(proxy).has_value()) << proxy;
}

TEST(HostPort, TakesNamesAndAddresses) {
  EXPECT_EQ(parse_host_port("Auth.Example").value(), "auth.example");
  EXPECT_EQ(parse_host_port("auth.example:8443").value(), "auth.example:8443");
  EXPECT_EQ(parse_host_port("[::1]:5000").value(), "[::1]:5000");
  for (std::string_view host : {"", "*.example", "https://a", "a:b", "::1", "a/b"})
    EXPECT_FALSE(parse_host_port(host).has_value()) << host;
}

TEST(ListenAddress, SurvivesBeingWritten) {
  for (std::string_view text :
       {"127.0.0.1:5000", "0.0.0.0:0", "[::1]:5000", "[::]:65535", "localhost:80", "unix:/run/e.sock"})
    EXPECT_EQ(parse_listen_address(text).value().text(), text);
}

TEST(ListenAddress, RefusesEverythingElse) {
  for (std::string text : {"",
                           "5000",
                           ":5000",
                           "127.0.0.1",
                           "127.0.0.1:",
                           "127.0.0.1:65536",
                           "127.0.0.1:-1",
                           "127.0.0.1:http",
                           "::1:5000",
                           "[::1]",
                           "[127.0.0.1]:5000",
                           "[]:5000",
                           "300.0.0.1:5000",
                           "127.1:5000",
                           "a b:5000",
                           "https://a:5000",
                           "unix:",
                           "unix:relative",
                           "unix:/run/",
                           "127.0.0.1:5000 ",
                           "127.0.0.1:00005000"})
    EXPECT_FALSE(parse_listen_address(text).has_value()) << text;
  EXPECT_TRUE(parse_listen_address("unix:/" + std::string(106, 'a')).has_value());
  EXPECT_FALSE(parse_listen_address("unix:/" + std::string(107, 'a')).has_value());
}

TEST(CleanText, IsUtf8WithoutControlCharacters) {
  for (std::string_view text : {"", "abc", "m\xc3\xbcller", "\xe2\x82\xac", "\xf0\x9f\x90\xb3"})
    EXPECT_TRUE(is_clean_text(text)) << text;
  for (std::string_view text : {"\n", "a\tb", "\x7f", "\xff", "\xc3", "\xe2\x82", "\xc0\xaf", "\x80"})
    EXPECT_FALSE(is_clean_text(text)) << text;
  EXPECT_FALSE(is_clean_text(std::string_view("\0", 1)));
}

}  // namespace
}  // namespace entrepot::config
