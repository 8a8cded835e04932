#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config_testing.h"

// Everything that can be wrong with a single key, with its place.

namespace entrepot::config::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

struct Case {
  std::string text;
  std::string error;  // begins so
};

void expect_errors(const std::vector<Case>& cases) {
  for (const Case& wrong : cases) {
    Loaded loaded = load_text(wrong.text);
    ASSERT_EQ(loaded.errors.size(), 1U) << wrong.text << "\n" << loaded.error();
    EXPECT_THAT(loaded.errors[0], StartsWith(wrong.error)) << wrong.text;
  }
}

TEST(Errors, NameLineColumnKeyAndReasonOfAnUnknownKey) {
  expect_errors({
      {"\n[cache]\n  max_sise = \"1GiB\"\n", "3:3: cache.max_sise: unknown key (did you mean max_size?)"},
      {"[server]\nmax_size = 1\n", "2:1: server.max_size: unknown key (did you mean cache.max_size?)"},
      {"max_size = 1\n", "1:1: max_size: unknown key (did you mean cache.max_size?)"},
      {"[log]\nxyzzy = 1\n", "2:1: log.xyzzy: unknown key"},
      {"[[upstream]]\nname = \"quay.io\"\ntagttl = \"1s\"\n",
       "3:1: upstream.quay.io.tagttl: unknown key (did you mean tag_ttl?)"},
      {"builtin_upstream = true\n", "1:1: builtin_upstream: unknown key (did you mean builtin_upstreams?)"},
  });
}

TEST(Errors, NameAnUnknownTableOnceAndNotItsKeys) {
  expect_errors({
      {"[cashe]\na = 1\nb = 2\n", "1:2: cashe: unknown table (did you mean cache?)"},
      {"[wholly.other]\na = 1\n", "1:2: wholly: unknown table"},
      {"[server.tsl]\nkey = \"\"\n", "1:9: server.tsl: unknown table (did you mean server.tls?)"},
      {"[[upstream]]\nname = \"quay.io\"\n[upstream.tls]\na = 1\n", "3:11: upstream.tls: unknown table"},
  });
}

TEST(Errors, SayHowATableIsWritten) {
  expect_errors({
      {"[upstream]\nname = \"quay.io\"\n", "1:2: upstream: write [[upstream]]"},
      {"upstream = 5\n", "1:1: upstream: write [[upstream]]"},
      {"cache = 5\n", "1:1: cache: write [cache]: a table"},
      {"[[cache]]\nmax_size = \"1GiB\"\n", "1:3: cache: write [cache]: a table"},
      {"[cache.max_size]\na = 1\n", "1:8: cache.max_size: must not be a table"},
      {"[cache]\nmax_size = { a = 1 }\n", "2:1: cache.max_size: must not be a table"},
  });
}

TEST(Errors, NameWrongTypesX01) {
  expect_errors({
      {"[server]\nthreads = \"4\"\n", "2:11: server.threads: must be an integer, not a string"},
      {"[server]\nthreads = 1e3\n",
       "2:11: server.threads: must not be a number with a fraction or an exponent"},
      {"[server]\nlisten = \"127.0.0.1:1\"\n",
       "2:10: server.listen: must be a list of strings, not a string"},
      {"[server]\nlisten = [1]\n", "2:10: server.listen: must be a list of strings only"},
      {"[log]\naccess = 1\n", "2:10: log.access: must be a boolean, not an integer"},
      {"[log]\nlevel = 1979-05-27\n", "2:9: log.level: must not be a date or time"},
      {"[admin]\nlisten = [\"127.0.0.1:1\"]\n",
       "2:10: admin.listen: must be a string, not a list of strings"},
      {"[server]\ndrain_timeout = 60\n", "2:17: server.drain_timeout: must be a string, not an integer"},
      {"[cache]\ndirectory = true\n", "2:13: cache.directory: must be a string, not a boolean"},
  });
}

TEST(Errors, NameSizesThatAreNoneX02) {
  for (std::string size :
       {"\"-1\"", "\"1e3\"", "\"18446744073709551616\"", "\"10 giraffes\"", "\"\"", "\"GiB\"", "\"101%\"",
        "\"0%\"", "\"-5%\"", "\"8.5%\"", "\"%\"", "-1", "0", "\"0\"", "\"1GiB \""}) {
    Loaded loaded = load_text("[cache]\nmax_size = " + size + "\n");
    EXPECT_THAT(loaded.error(), StartsWith("2:12: cache.max_size: must be ")) << size;
  }
}

TEST(Errors, ThereAreNoneForSizesInDocumentedUnitsX02) {
  EXPECT_EQ(load_sets({"cache.max_size=10GB"}).config.cache.max_size, (SizeLimit{10'000'000'000, 0}));
  EXPECT_EQ(load_sets({"cache.max_size=10%"}).config.cache.max_size, (SizeLimit{0, 10}));
  EXPECT_EQ(load_sets({"cache.max_size=1.5GiB"}).config.cache.max_size, (SizeLimit{1536ULL << 20, 0}));
  EXPECT_EQ(load_sets({"cache.max_size=1048576"}).config.cache.max_size, (SizeLimit{1048576, 0}));
  EXPECT_EQ(load_sets({"cache.min_free=0"}).config.cache.min_free, 0U);
}

TEST(Errors, NameDurationsThatAreNoneOrTooLong) {
  for (std::string duration : {"60", "1x", "", "-1s", "1.5s", "s", "999999999d999999999d999999999d", "25h"}) {
    Loaded loaded = load_text("[server]\ndrain_timeout = \"" + duration + "\"\n");
    EXPECT_THAT(loaded.error(), StartsWith("2:17: server.drain_timeout: must be ")) << duration;
  }
  EXPECT_TRUE(load_text("[server]\ndrain_timeout = \"0\"\n").is_good());
  EXPECT_TRUE(load_text("[server]\ndrain_timeout = 0\n").is_good());
}

TEST(Errors, NameAConnectTimeoutThatWouldMeanForever) {
  EXPECT_EQ(load_text("[[upstream]]\nname = \"quay.io\"\nconnect_timeout = \"0s\"\n").error(),
            "3:19: upstream.quay.io.connect_timeout: must be from 1ms to 1h");
}

TEST(Errors, NameChoicesThatAreNone) {
  expect_errors({
      {"[log]\nlevel = \"loud\"\n",
       "2:9: log.level: must be one of \"debug\", \"info\", \"warn\", \"error\""},
      {"[log]\nformat = \"\"\n", "2:10: log.format: must be one of \"text\", \"json\""},
  });
}

TEST(Errors, NameNumbersOutOfRange) {
  expect_errors({
      {"[server]\nthreads = 17\n", "2:11: server.threads: must be from 0 to 16"},
      {"[server]\nthreads = -1\n", "2:11: server.threads: must be from 0 to 16"},
      {"[[upstream]]\nname = \"quay.io\"\nmax_connections = 0\n",
       "3:19: upstream.quay.io.max_connections: must be from 1 to 1024"},
  });
}

TEST(Errors, NameWhatIsNotBuiltYetUnlessItHasItsDefault) {
  for (std::string key :
       {"server.tls.client_ca=/a", "upstream.quay.io.access=passthrough", "upstream.quay.io.segments=2"})
    EXPECT_THAT(load_sets({key}).error(), HasSubstr("is not built yet")) << key;
  for (std::string key :
       {"server.tls.certificate=", "cache.unverified_ranges=true", "cache.scrub_rate=20MiB/s",
        "cache.scrub_rate=20480KiB/s", "upstream.quay.io.stale_ttl=unlimited", "upstream.quay.io.segments=1"})
    EXPECT_TRUE(load_sets({key}).is_good()) << key << ": " << load_sets({key}).error();
}

TEST(Errors, NameControlCharactersAndBrokenTextInValues) {
  expect_errors({
      {"[cache]\ndirectory = \"/a\tb\"\n", "2:13: cache.directory: holds a control character"},
      {"[cache]\ndirectory = \"/a\\u0000b\"\n", "2:13: cache.directory: holds a control character"},
      {"[cache]\ndirectory = \"/" + std::string(5000, 'a') + "\"\n",
       "2:13: cache.directory: is longer than 4096 bytes"},
  });
  EXPECT_THAT(load_sets({"cache.directory=/a\xff"}).error(), HasSubstr("is not UTF-8"));
}

TEST(Errors, AreAllReportedAtOnceInTheOrderOfTheirLines) {
  Loaded loaded = load_text(
      "[server]\n"
      "threads = 99\n"
      "[nonsense]\n"
      "[cache]\n"
      "max_size = \"much\"\n"
      "colour = \"red\"\n"
      "[[upstream]]\n"
      "name = \"registry.example\"\n"
      "[[upstream]]\n"
      "name = \"quay.io\"\n"
      "username = \"me\"\n"
      "access = \"shared\"\n",
      {{"ENTREPOT_LOG__LEVEL", "loud"}}, {"log.format=prose"});
  EXPECT_THAT(
      loaded.errors,
      ElementsAre(StartsWith("2:11: server.threads:"), StartsWith("3:2: nonsense:"),
                  StartsWith("5:12: cache.max_size:"), StartsWith("6:1: cache.colour:"),
                  StartsWith("8:8: upstream.registry.example.url: missing"),
                  StartsWith("11:12: upstream.quay.io.username: needs password_file"),
                  StartsWith("12:10: upstream.quay.io.access: \"shared\" needs client authentication"),
                  StartsWith("environment variable ENTREPOT_LOG__LEVEL: log.level: must be one of"),
                  StartsWith("--set log.format: log.format: must be one of")));
}

TEST(Errors, OfSyntaxDoNotHideTheRestX01) {
  Loaded loaded = load_text(
      "[server]\n"
      "threads = 99\n"
      "threads = 1\n"
      "drain_timeout =\n"
      "[cache]\n"
      "max_size = \"unclosed\n"
      "min_free = \"little\"\n");
  EXPECT_THAT(loaded.errors, ElementsAre(StartsWith("2:11: server.threads: must be from 0 to 16"),
                                         AllOf(StartsWith("3:"), HasSubstr("server.threads: is given twice")),
                                         StartsWith("4:16: server.drain_timeout: has no value"),
                                         StartsWith("6:21: cache.max_size: the closing quote is missing"),
                                         StartsWith("7:12: cache.min_free:")));
}

TEST(Errors, NameATableThatIsThereTwiceAndWhatFollowsIt) {
  Loaded loaded =
      load_text("[cache]\nmin_free = \"1GiB\"\n[cache]\nmax_size = \"1GiB\"\n[log]\nlevel = \"loud\"\n");
  EXPECT_THAT(loaded.errors, ElementsAre(AllOf(StartsWith("3:"), HasSubstr("cache: is given twice")),
                                         StartsWith("6:9: log.level")));
}

TEST(Errors, OfSyntaxAreNotMultipliedByWhatTheyTakeWithThem) {
  EXPECT_EQ(load_text("[server]\nlisten = [\n\"127.0.0.1:1\"\nthreads = 4\n").errors.size(), 1U);
  EXPECT_EQ(
      load_text("builtin_upstreams = false\n[[upstream]]\nname = \"a.example\nurl = \"https://a.example\"\n")
          .errors.size(),
      1U);
}

TEST(Errors, NameAByteOrderMarkAndGoOnX01) {
  Loaded loaded = load_text("\xef\xbb\xbf[server]\nthreads = 99\n");
  EXPECT_THAT(loaded.errors, ElementsAre("1:1: begins with a byte order mark; save it as UTF-8 without one",
                                         StartsWith("2:11: server.threads")));
}

TEST(Errors, CountATabAsOneColumnAndAcceptItAsSpaceX01) {
  EXPECT_EQ(load_text("[server]\n\tthreads\t=\t99\n").error(), "2:12: server.threads: must be from 0 to 16");
  EXPECT_TRUE(load_text("[server]\n\tthreads\t=\t9\n").is_good());
}

TEST(Errors, OfBrokenTextComeWithTheirLine) {
  EXPECT_THAT(load_text("[server]\n\xff\xfe = 1\n").error(), StartsWith("2:1: "));
  EXPECT_THAT(load_text(std::string("a = 1\n\0b = 2\n", 13)).error(), HasSubstr("2:1: "));
  EXPECT_THAT(load_text("a = " + std::string(100'000, '[') + "\n").error(), StartsWith("1:"));
}

TEST(Errors, OfTextThatTomlPlusPlusTakesBadlyAreOurs) {
  for (const char* header :
       {"[.]", "[", "[ ", "[[", "[=]", "[#]", "  [[ \t", "[\\]", "a = [ }", "a = [ 1, #"})
    EXPECT_THAT(load_text("\n" + std::string(header) + "\n").error(), StartsWith("2:")) << header;
  for (const char* line :
       {"\xc3\xa9 = 1", "[a.\xc3\xa9]", "[\xc3\xa9]", "a = \xc3\xa9", "a = [1\xc3\xa9]", "a = \"b\" \xc3\xa9",
        "a = ''\xc3\xa9", "a = \"\\\\\" \xc3\xa9", "a = '\\' \xc3\xa9", "a = \"\"\"b\"\"\"\"\" \xc3\xa9"})
    EXPECT_THAT(load_text("\n" + std::string(line) + "\n").error(),
                AllOf(StartsWith("2:"), HasSubstr("a character that is not ASCII stands outside of quotes")))
        << line;
  EXPECT_THAT(load_sets({"server.listen=[\"a\", \xc3\xa9]"}).error(), HasSubstr("must be a list"));
}

TEST(Errors, AreNoneForForeignLettersInCommentsAndQuotes) {
  Loaded loaded = load_text(
      "# caf\xc3\xa9 \"\n"
      "[cache] # \xc3\xa9\n"
      "directory = \"/srv/caf\xc3\xa9 \\\" # \xc3\xa9\"\n"
      "[[upstream]]\nname = 'quay.io' # '\n"
      "ca_file = '''/caf\xc3\xa9'''\n"
      "username = \"\"\"\\\n  \"\"\"\n");
  ASSERT_TRUE(loaded.is_good()) << loaded.error();
  EXPECT_EQ(loaded.config.cache.directory, "/srv/caf\xc3\xa9 \" # \xc3\xa9");
  EXPECT_EQ(loaded.find("quay.io")->ca_file, "/caf\xc3\xa9");
}

TEST(Errors, CannotForgeALineOfTheirOwn) {
  Loaded loaded = load_text("\"a\\n/etc/passwd:1:1: b\" = 1\n");
  ASSERT_EQ(loaded.errors.size(), 1U);
  EXPECT_EQ(loaded.errors[0].find('\n'), std::string::npos);
}

TEST(Errors, CanBeHadAsJson) {
  EXPECT_EQ(to_json(std::vector<ConfigError>{{"f", 1, 2, "k", "\"r\""}}),
            "{\n  \"errors\": [\n    {\n      \"source\": \"f\",\n      \"line\": 1,\n      \"column\": 2,\n"
            "      \"key\": \"k\",\n      \"reason\": \"\\\"r\\\"\"\n    }\n  ]\n}");
}

}  // namespace
}  // namespace entrepot::config::testing
