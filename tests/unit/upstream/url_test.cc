#include "upstream/url.h"

#include <gtest/gtest.h>

#include <random>

namespace entrepot::upstream {
namespace {

TEST(Url, PartsAreInNormalForm) {
  Result<Url> url = Url::parse("HTTPS://Registry.Example:443/v2/?a=b#part");
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_TRUE(url->is_https());
  EXPECT_EQ(url->host(), "registry.example");
  EXPECT_EQ(url->port(), 443);
  EXPECT_EQ(url->authority(), "registry.example:443");
  EXPECT_EQ(url->text().find('#'), std::string::npos);
  EXPECT_EQ(url->text_without_query().find('?'), std::string::npos);
  EXPECT_TRUE(url->has_same_origin(*Url::parse("https://registry.example/other")));
  EXPECT_FALSE(url->has_same_origin(*Url::parse("http://registry.example:443/")));
  EXPECT_FALSE(url->has_same_origin(*Url::parse("https://registry.example:444/")));
  EXPECT_FALSE(url->has_same_origin(*Url::parse("https://registry.example./")));
}

TEST(Url, NumbersThatMeanAnAddressBecomeIt) {
  for (const char* text : {"http://127.1/", "http://0x7f.1/", "http://0177.0.0.1/", "http://2130706433/",
                           "http://0x7f000001/"}) {
    Result<Url> url = Url::parse(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(url->host(), "127.0.0.1") << text;
  }
}

TEST(Url, OthersAreRefused) {
  for (const char* text : {"",
                           "x",
                           "ftp://a/",
                           "file:///etc/passwd",
                           "http://",
                           "http:///",
                           "http://user@a/",
                           "http://user:pw@a/",
                           "http://:pw@a/",
                           "http://a b/",
                           "http://a/\r\nX: y",
                           "http://a\\@b/",
                           "https://good%00.evil/",
                           "http://[fe80::1%25eth0]/",
                           "http://a:0/",
                           "http://a:65536/",
                           "http://a:x/",
                           "http://\xc3\xa4/",
                           "http://a/\xc3\xa4",
                           "http://[::1/",
                           "http://.a/",
                           "http://-a/",
                           "http://a;b/",
                           "http://a'b/",
                           "gopher://a/",
                           "//a/",
                           "/a",
                           "http://good%2f.evil/",
                           "http://*/"})
    EXPECT_FALSE(Url::parse(text)) << text;
  EXPECT_FALSE(Url::parse("http://a/" + std::string(8 * 1024, 'x')));
  EXPECT_FALSE(Url::parse("http://" + std::string(254, 'a') + "/"));
  EXPECT_FALSE(Url::parse(std::string_view("http://a/\0b", 11)));
}

TEST(Url, ErrorsDoNotHoldTheText) {
  for (const char* text : {"http://user:canary@a/", "ftp://canary/", "http://a/canary here"})
    EXPECT_EQ(Url::parse(text).error().message.find("canary"), std::string::npos);
}

TEST(Url, ReferencesResolveAgainstIt) {
  Url base = *Url::parse("https://a.test/v2/x/blobs/y?z=1");
  EXPECT_EQ(base.resolve("/p?q=1")->text(), "https://a.test/p?q=1");
  EXPECT_EQ(base.resolve("w")->text(), "https://a.test/v2/x/blobs/w");
  EXPECT_EQ(base.resolve("../w")->text(), "https://a.test/v2/x/w");
  EXPECT_EQ(base.resolve("//b.test/p")->host(), "b.test");
  EXPECT_EQ(base.resolve("//b.test/p")->is_https(), true);
  EXPECT_EQ(base.resolve("http://b.test/p")->is_https(), false);
  EXPECT_EQ(base.resolve("?q=2")->text_without_query(), "https://a.test/v2/x/blobs/y");
  for (const char* text : {"", "ftp://b/", "//u:p@b/", "\\\\b\\", "http://b/ c", "/a\nb"})
    EXPECT_FALSE(base.resolve(text)) << text;
}

TEST(Url, ParametersAreEncodedAndAdded) {
  const Url::Parameter parameters[] = {{"scope", "repository:a/b:pull"}, {"x", "a b&c=d%"}};
  EXPECT_EQ(Url::parse("https://a.test/token")->with_parameters(parameters)->text(),
            "https://a.test/token?scope=repository%3Aa%2Fb%3Apull&x=a%20b%26c%3Dd%25");
  EXPECT_EQ(Url::parse("https://a.test/token?k=v")->with_parameters(parameters)->text().substr(0, 32),
            "https://a.test/token?k=v&scope=r");
}

// Curl CVE-2022-27780: what is parsed a second time, as curl does when it dials, is the same host and port.
TEST(Url, WhatIsCheckedIsWhatIsDialled) {
  std::mt19937 random(1);
  constexpr std::string_view kPieces[] = {"http://", "https://", "a.test", "127.0.0.1", "[::1]", "@", ":",
                                          "80",      "/",        "%2f",    "%40",       "#",     "?", "\\",
                                          "..",      "%00",      "0x7f",   ".",         "1",     "A"};
  int accepted = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    std::string text(kPieces[random() % 2]);
    for (auto pieces = random() % 8; pieces > 0; --pieces) text += kPieces[random() % std::size(kPieces)];
    Result<Url> url = Url::parse(text);
    if (!url) continue;
    ++accepted;
    Result<Url> again = Url::parse(url->text());
    ASSERT_TRUE(again) << text;
    ASSERT_TRUE(again->has_same_origin(*url)) << text;
    ASSERT_EQ(again->text(), url->text()) << text;
  }
  EXPECT_GT(accepted, 1000);
}

}  // namespace
}  // namespace entrepot::upstream
