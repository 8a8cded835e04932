// Which addresses are dialled, and which realms get a credential.

#include <gtest/gtest.h>

#include "upstream/address_policy.h"
#include "upstream/connect_policy.h"
#include "upstream/realm_policy.h"

namespace entrepot::upstream {
namespace {

Address address(std::string_view text) {
  std::optional<Address> parsed = Address::parse(text);
  EXPECT_TRUE(parsed) << text;
  return parsed.value_or(Address());
}

Url url(std::string_view text) {
  Result<Url> parsed = Url::parse(text);
  EXPECT_TRUE(parsed) << text;
  return *parsed;
}

TEST(AddressPolicy, PrivateAddressesAreToldInAnySpelling) {
  for (const char* text : {
           "127.0.0.1",
           "127.255.255.254",
           "0.0.0.0",
           "0.1.2.3",
           "10.0.0.1",
           "10.255.255.255",
           "100.64.0.1",
           "100.100.100.200",
           "100.127.255.255",
           "168.63.129.16",
           "169.254.169.254",
           "169.254.170.2",
           "172.16.0.1",
           "172.31.255.255",
           "192.0.0.1",
           "192.0.2.1",
           "192.88.99.1",
           "192.168.0.1",
           "198.18.0.1",
           "198.19.255.255",
           "198.51.100.1",
           "203.0.113.1",
           "224.0.0.1",
           "239.255.255.255",
           "240.0.0.1",
           "255.255.255.255",
           "::",
           "::1",
           "::127.0.0.1",
           "::ffff:127.0.0.1",
           "::ffff:7f00:1",
           "::ffff:10.0.0.1",
           "::ffff:169.254.169.254",
           "64:ff9b::7f00:1",
           "64:ff9b::169.254.169.254",
           "64:ff9b:1::8.8.8.8",
           "100::1",
           "2001::1",
           "2001:db8::1",
           "2002:7f00:1::",
           "2002:a9fe:a9fe::1",
           "2002:c0a8:1::1",
           "fc00::1",
           "fd00:ec2::254",
           "fe80::1",
           "fec0::1",
           "ff02::1",
           "3fff::1",
           "2606:4700::5efe:127.0.0.1",
           "2606:4700::200:5efe:10.0.0.1",
           "::8.8.8.8",
           "1000::1",
           "4000::1",
       })
    EXPECT_FALSE(is_public(address(text))) << text;
}

TEST(AddressPolicy, PublicAddressesAreDialled) {
  for (const char* text : {"8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.255.255",
                           "172.32.0.0", "192.167.255.255", "169.253.255.255", "223.255.255.255", "11.0.0.0",
                           "9.255.255.255", "128.0.0.1", "126.255.255.255", "2606:4700::1111", "2a00:1450::1",
                           "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"})
    EXPECT_TRUE(is_public(address(text))) << text;
}

TEST(AddressPolicy, OnlyStrictSpellingsAreAddresses) {
  for (const char* text :
       {"", "127.1", "0x7f.0.0.1", "0177.0.0.1", "2130706433", "127.0.0.1 ", "[::1]", "::1%lo", "localhost"})
    EXPECT_FALSE(Address::parse(text)) << text;
}

TEST(AddressPolicy, NetworksAreParsedAndMatched) {
  EXPECT_TRUE(Network::parse("10.0.0.0/8")->contains(address("10.255.0.1")));
  EXPECT_FALSE(Network::parse("10.0.0.0/8")->contains(address("11.0.0.1")));
  EXPECT_TRUE(Network::parse("10.1.2.3")->contains(address("10.1.2.3")));
  EXPECT_TRUE(Network::parse("10.128.0.0/9")->contains(address("10.200.0.1")));
  EXPECT_FALSE(Network::parse("10.128.0.0/9")->contains(address("10.100.0.1")));
  EXPECT_TRUE(Network::parse("fd00::/8")->contains(address("fd12::1")));
  EXPECT_TRUE(Network::parse("0.0.0.0/0")->contains(address("1.2.3.4")));
  EXPECT_FALSE(Network::parse("0.0.0.0/0")->contains(address("::1")));
  for (const char* text :
       {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10/8", "fd00::/129", "a/8", "/8"})
    EXPECT_FALSE(Network::parse(text)) << text;
}

TEST(AddressPolicy, AllowedNetworksCoverCarriedAddressesToo) {
  const std::vector<Network> allowed = {*Network::parse("10.0.0.0/8"), *Network::parse("fd00::/8")};
  EXPECT_TRUE(may_dial(address("10.1.1.1"), allowed));
  EXPECT_TRUE(may_dial(address("::ffff:10.1.1.1"), allowed));
  EXPECT_TRUE(may_dial(address("fd00::1"), allowed));
  EXPECT_FALSE(may_dial(address("192.168.1.1"), allowed));
  EXPECT_FALSE(may_dial(address("::ffff:192.168.1.1"), allowed));
}

TEST(ConnectPolicy, WhatTheOperatorNamedMayBePrivate) {
  ConnectPolicy policy(url("http://10.0.0.5:5000"),
                       {*TrustedRealm::parse("10.0.0.5:5001"), *TrustedRealm::parse("auth.test:5001")},
                       {*Network::parse("192.168.7.0/24")}, "");
  EXPECT_TRUE(policy.may_dial(url("http://10.0.0.5:5000/x"), address("10.0.0.5"), 5000));
  EXPECT_TRUE(policy.may_dial(url("http://10.0.0.5:5001/x"), address("10.0.0.5"), 5001));
  EXPECT_FALSE(policy.may_dial(url("http://10.0.0.5:5002/x"), address("10.0.0.5"), 5002));
  EXPECT_FALSE(policy.may_dial(url("http://10.0.0.6:5000/x"), address("10.0.0.6"), 5000));
  EXPECT_FALSE(policy.may_dial(url("http://auth.test:5001/x"), address("10.0.0.5"), 5001));
  EXPECT_TRUE(policy.may_dial(url("http://auth.test:5001/x"), address("192.168.7.1"), 5001));
  EXPECT_TRUE(policy.may_dial(url("http://cdn.test/x"), address("8.8.8.8"), 80));
  EXPECT_FALSE(policy.may_dial(url("http://cdn.test/x"), address("127.0.0.1"), 80));
  EXPECT_TRUE(policy.may_ask(url("http://10.0.0.5:5000/x")));
  EXPECT_TRUE(policy.may_ask(url("http://cdn.test/x")));
  EXPECT_FALSE(policy.may_ask(url("http://127.1/x")));
  EXPECT_FALSE(policy.may_ask(url("http://[::ffff:127.0.0.1]/x")));
}

TEST(ConnectPolicy, ProxyMayBePrivateOnItsPortAlone) {
  ConnectPolicy named(url("https://r.test"), {}, {}, "http://user:pw@proxy.test:3128");
  EXPECT_TRUE(named.may_dial(url("https://r2.test/"), address("10.0.0.1"), 3128));
  EXPECT_FALSE(named.may_dial(url("https://r2.test/"), address("10.0.0.1"), 443));
  ConnectPolicy literal(url("https://r.test"), {}, {}, "socks5h://10.0.0.1");
  EXPECT_TRUE(literal.may_dial(url("https://r2.test/"), address("10.0.0.1"), 1080));
  EXPECT_FALSE(literal.may_dial(url("https://r2.test/"), address("10.0.0.2"), 1080));
  EXPECT_FALSE(literal.may_ask(url("https://127.0.0.1/")))
      << "a literal target is judged also when a proxy dials it";
}

TEST(RealmPolicy, CredentialGoesOnlyWhereItBelongs) {
  struct Row {
    const char* registry;
    const char* realm;
    RealmTrust expected;
  };
  using enum RealmTrust;
  const Row rows[] = {
      {"https://registry-1.docker.io", "https://auth.docker.io/token", trusted},
      {"https://registry.example.com", "https://registry.example.com/token", trusted},
      {"https://r.example.com:5000", "https://r.example.com:5000/token", trusted},
      {"https://r.example.com", "https://r.example.com:444/token", anonymous},
      {"https://r.example.com:5000", "https://auth.example.com/token", anonymous},
      {"https://r.example.com", "http://r.example.com/token", refused},
      {"https://r.example.com", "http://auth.example.com/token", refused},
      {"http://r.example.com", "http://r.example.com/token", trusted},
      {"http://r.example.com", "http://auth.example.com/token", anonymous},
      {"http://r.example.com", "https://r.example.com/token", anonymous},
      {"https://r.example.com", "https://example.com/token", trusted},
      {"https://r.example.com", "https://r.example.com.evil.test/token", anonymous},
      {"https://docker.io", "https://evildocker.io/token", anonymous},
      {"https://r.example.com", "https://example.org/token", anonymous},
      {"https://a.github.io", "https://b.github.io/token", anonymous},
      {"https://a.co.uk", "https://b.co.uk/token", anonymous},
      {"https://r.a.co.uk", "https://auth.a.co.uk/token", trusted},
      {"https://a.s3.amazonaws.com", "https://b.s3.amazonaws.com/token", anonymous},
      {"https://1.2.3.4", "https://1.2.3.4/token", trusted},
      {"https://1.2.3.4", "https://5.2.3.4/token", anonymous},
      {"https://[2606:4700::1]", "https://[2606:4700::2]/token", anonymous},
      {"https://localhost", "https://localhost/token", trusted},
      {"https://localhost", "https://other/token", anonymous},
      {"https://a.localhost", "https://b.localhost/token", anonymous},
      {"https://r.example.com", "https://auth.example.com./token", anonymous},
      {"https://com", "https://org/token", anonymous},
      {"https://r.example.com", "https://listed.test/token", trusted},
      {"https://r.example.com", "https://listed.test:8443/token", anonymous},
      {"https://r.example.com", "https://ported.test:8443/token", trusted},
      {"https://r.example.com", "https://ported.test/token", anonymous},
      {"https://r.example.com", "http://listed.test/token", refused},
  };
  const TrustedRealm listed[] = {*TrustedRealm::parse("Listed.test"),
                                 *TrustedRealm::parse("ported.test:8443")};
  for (const Row& row : rows)
    EXPECT_EQ(judge_realm(url(row.registry), url(row.realm), listed), row.expected)
        << row.registry << " " << row.realm;
}

TEST(RealmPolicy, EntriesMustBeHostAndPort) {
  EXPECT_EQ(TrustedRealm::parse("a.test")->port, 0);
  EXPECT_EQ(TrustedRealm::parse("a.test:443")->port, 443);
  EXPECT_EQ(TrustedRealm::parse("[::1]:5000")->host, "[::1]");
  for (const char* text : {"", "https://a.test", "a.test/x", "a.test:x", "user@a.test", "a b", "*.a.test",
                           ":80", "a.test?x", "a.test:0"})
    EXPECT_FALSE(TrustedRealm::parse(text)) << text;
}

}  // namespace
}  // namespace entrepot::upstream
