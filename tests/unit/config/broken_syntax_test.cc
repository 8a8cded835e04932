#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_testing.h"

// Text that is not TOML: each error has its place and its key, none quotes what it stumbled over, and what
// comes before and after is still looked at.

namespace entrepot::config::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(BrokenSyntax, IsReportedWithItsKey) {
  struct Case {
    std::string text;
    std::string error;
  };
  const std::vector<Case> cases = {
      {"[log]\nlevel = \"info\n", "2:14: log.level: the closing quote is missing"},
      {"[log]\r\nlevel = \"info\r\n", "2:14: log.level: the closing quote is missing"},
      {"[log]\nlevel = \"caf\xc3\xa9\n", "2:14: log.level: the closing quote is missing"},
      {"[log]\nlevel = \"in\x01\"\n", "2:12: log.level: holds a control character"},
      {"[log]\nlevel = \"C:\\d\"\n", "2:13: log.level: not an escape sequence"},
      {"[log]\nlevel =\n", "2:8: log.level: has no value"},
      {"[log]\nlevel = debug\n", "2:9: log.level: is not a value"},
      {"[log]\nlevel: info\n", "2:6: log.level: must be written as KEY = VALUE"},
      {"[log]\nlevel = \"info\"\nlevel = \"info\"\n", "3:9: log.level: is given twice"},
      {"[log]\n[log]\n", "2:1: log: is given twice"},
      {"[log\nlevel = 1\n", "1:5: log: the closing ] of a table's name is missing"},
      {"[server.tls]\nkey = \"/a\nb = 1\n[log]\n", "2:10: server.tls.key: the closing quote is missing"},
      {"a.b = 99999999999999999999\n", "1:27: a.b: the number is too large"},
      {"server = { threads = 4, }\n", "1:25: server: an inline table"},
      {"[log]\nsome prose\n", "2:6: log: must be written as KEY = VALUE"},
      {"some prose\nand more of it.\n", "1:6: must be written as KEY = VALUE"},
  };
  for (const Case& wrong : cases)
    EXPECT_THAT(load_text(wrong.text).error(), StartsWith(wrong.error)) << wrong.text;
}

TEST(BrokenSyntax, OfManyLinesIsReportedWhereItBegins) {
  EXPECT_THAT(
      load_text("[server]\nthreads = 99\nlisten = [\n  \"127.0.0.1:1\",\n  \"127.0.0.1:2\"\n"
                "drain_timeout = 5\n[log]\nlevel = 1\n")
          .errors,
      ElementsAre(StartsWith("2:11: server.threads: "),
                  "3:1: server.listen: a comma or the closing ] of the list is missing (noticed in line 6)",
                  StartsWith("6:17: server.drain_timeout: "), StartsWith("8:9: log.level: ")));
  EXPECT_THAT(load_text("[cache]\nmin_free = 1.5\ndirectory = \"\"\"/a\nmax_size = 1.5\n").errors,
              ElementsAre(StartsWith("2:12: cache.min_free: "),
                          StartsWith("3:1: cache.directory: the closing quote is missing (noticed in line "),
                          StartsWith("4:12: cache.max_size: ")));
}

TEST(BrokenSyntax, IsNotQuoted) {
  for (std::string value :
       {"canary", "truecanary", "falsecanary", "1canary", "infcanary", "nancanary", "0xcanary",
        "2026-01-01canary", "\"a\\canary\"", "\"canary", "[canary", "{canary", "+canary"}) {
    Loaded loaded = load_text("[[upstream]]\nname = \"quay.io\"\npassword = " + value + "\n");
    EXPECT_THAT(loaded.error(), HasSubstr(": upstream.password: ")) << value;
    EXPECT_EQ(loaded.error().find("cana"), std::string::npos) << loaded.error();
  }
  EXPECT_EQ(load_text("password = 12345678901234567890\n").error().find("1234"), std::string::npos);
  EXPECT_EQ(load_text("[cache]\ncanary\n").error().find("canary"), std::string::npos);
}

TEST(BrokenSyntax, IsReportedUpToALimit) {
  std::string text = "[log]\naccess = true\n";
  for (int i = 0; i < 40; ++i) text += "access = true\n";
  std::vector<std::string> errors = load_text(text).errors;
  ASSERT_EQ(errors.size(), 17U);
  EXPECT_EQ(errors.back(), "19:10: more is wrong with the syntax from here on; mend the rest first");
  std::string flaws;
  for (int i = 0; i < 100'000; ++i) flaws += "a=\xff\n";
  EXPECT_EQ(load_text(flaws).errors.size(), 17U);
}

TEST(BrokenSyntax, OfFlawsHasAKeyToo) {
  EXPECT_THAT(load_text(std::string("[log]\nlevel = \"in\0fo\"\n", 22)).error(),
              StartsWith("2:12: log.level: holds a NUL byte"));
  EXPECT_EQ(load_text("[server]\nlisten = [\"127.0.0.1:1\",\n[log]\nlevel = \"\xff\"\n").errors.back(),
            "4:10: log.level: is not UTF-8");
  EXPECT_EQ(load_text("\xff\xfe[\0l\0o\0g\0]\0").error(), "1:1: is UTF-16; save it as UTF-8");
}

TEST(BrokenSyntax, DoesNotMakeANamelessUpstream) {
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\ntag_ttl = \"5m\"\n").errors.size(), 1U);
}

TEST(Tables, OfAQuotedNameAreNoOthers) {
  EXPECT_THAT(load_text("[\"\"]\nbuiltin_upstreams = true\n").error(), HasSubstr("unknown table"));
  EXPECT_THAT(load_text("[\"server.tls\"]\nkey = \"\"\n").error(), HasSubstr("unknown table"));
  EXPECT_TRUE(load_text("[\"server\".\"tls\"]\nkey = \"\"\n").is_good());
  EXPECT_EQ(load_text("[a]\n").error(), "1:2: a: unknown table");
}

TEST(Errors, AreCutShort) {
  std::string key(100'000, 'k');
  EXPECT_LT(load_text(key + " = 1\n").error().size(), 1000U);
  EXPECT_LT(load_text("[" + key + "]\n").error().size(), 1000U);
  EXPECT_LT(load_text("[[upstream]]\nname = \"" + key.substr(0, 4000) + "\"\n").error().size(), 2000U);
}

}  // namespace
}  // namespace entrepot::config::testing
