#include "upstream/response_head.h"

#include <gtest/gtest.h>
#include "upstream/rate_limit.h"

namespace entrepot::upstream {
namespace {

HeadParser::State feed(HeadParser& parser, std::string_view text) {
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    parser.add_line(text.substr(0, end));
    text.remove_prefix(end);
  }
  return parser.state();
}

ResponseHead head_with(std::string_view lines) {
  HeadParser parser;
  EXPECT_EQ(feed(parser, "HTTP/1.1 200 OK\r\n" + std::string(lines) + "\r\n"), HeadParser::State::complete)
      << parser.problem();
  return parser.take();
}

TEST(ResponseHead, HeadersAreFoundByTheirName) {
  ResponseHead head =
      head_with("Content-TYPE: Text/Plain; charset=x\r\nX:  a \r\nx:b\r\nContent-Length: 5\r\n");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.content_length, 5U);
  EXPECT_EQ(media_type_of(head), "text/plain");
  EXPECT_EQ(head.all("x"), (std::vector<std::string_view>{"a", "b"}));
  EXPECT_EQ(head.only("x"), std::nullopt);
  EXPECT_EQ(head.only("y"), std::nullopt);
}

TEST(ResponseHead, NoByteThatIsChangedBreaksIt) {
  const std::string good =
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\n";
  for (size_t at = 0; at < good.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string mutated = good;
      mutated[at] = static_cast<char>(byte);
      HeadParser parser;
      if (feed(parser, mutated) != HeadParser::State::complete) continue;
      ResponseHead head = parser.take();
      EXPECT_TRUE(head.status >= 200 && head.status < 600);
      for (const auto& [name, value] : head.headers) {
        EXPECT_EQ((name + value).find_first_of(std::string_view("\r\n\0", 3)), std::string::npos);
      }
    }
  }
}

TEST(ResponseHead, TheRateLimitIsReadWhenItIsWhole) {
  auto read = [](const std::string& limit, const std::string& remaining) {
    return RateLimit::of(
        head_with("RateLimit-Limit: " + limit + "\r\nratelimit-remaining: " + remaining + "\r\n"));
  };
  std::optional<RateLimit> hub = read("100;w=21600", "76;w=21600");
  ASSERT_TRUE(hub);
  EXPECT_EQ(hub->limit, 100U);
  EXPECT_EQ(hub->remaining, 76U);
  EXPECT_EQ(hub->window_seconds, 21600U);
  EXPECT_EQ(read("100", "0")->window_seconds, std::nullopt);
  for (const char* bad : {"", "x", "-1", "100;w=", "100;w=x", "100;v=1", "100;w=1;", "100 ;w=1", "1e3",
                          "99999999999999999999", "1000000001", "100;w=99999999999999999999"}) {
    EXPECT_FALSE(read(bad, "1")) << bad;
    EXPECT_FALSE(read("100", bad)) << bad;
  }
  EXPECT_FALSE(read("100\r\nRateLimit-Limit: 200", "1")) << "two are none";
  EXPECT_FALSE(RateLimit::of(head_with("RateLimit-Limit: 100\r\n")));
}

// libcurl writes it like this.
TEST(ResponseHead, AHeadOfHttp2IsReadLikeTheOthers) {
  HeadParser parser;
  EXPECT_EQ(feed(parser, "HTTP/2 404 \r\ncontent-length: 7\r\n\r\n"), HeadParser::State::complete);
  ResponseHead head = parser.take();
  EXPECT_EQ(head.status, 404);
  EXPECT_EQ(head.content_length, 7U);
  for (const char* bad : {"HTTP/2 404\r\ntransfer-encoding: chunked\r\n\r\n", "HTTP/2.0 200 \r\n\r\n",
                          "HTTP/3 200 \r\n\r\n", "HTTP/2 \r\n\r\n", "HTTP/2\r\n\r\n", "HTTP/2 20\r\n\r\n",
                          "HTTP/2  200\r\n\r\n", "HTTP/2 2000\r\n\r\n"}) {
    HeadParser refused;
    EXPECT_EQ(feed(refused, bad), HeadParser::State::bad) << bad;
  }
}

TEST(ResponseHead, RetryAfterIsReadInBothForms) {
  WallTime now{std::chrono::seconds(1'000'000'000)};  // Sun, 09 Sep 2001 01:46:40 GMT
  struct Row {
    const char* value;
    int expected;
  };
  for (const Row& row : {Row{"5", 5}, Row{"0", 0}, Row{"-1", 0}, Row{"1e9", 0}, Row{"x", 0}, Row{"", 0},
                         Row{"999999999999999999999999", 86400}, Row{"1000000000", 86400},
                         Row{"Sun, 09 Sep 2001 01:47:40 GMT", 60}, Row{"Sun, 09 Sep 2001 01:46:00 GMT", 0},
                         Row{"Sun, 09 Sep 2001 01:47:40 GMT x", 0}})
    EXPECT_EQ(retry_after_seconds(head_with("Retry-After: " + std::string(row.value) + "\r\n"), now),
              row.expected)
        << row.value;
}

TEST(ResponseHead, EncodedBodiesAreTold) {
  EXPECT_FALSE(is_encoded(head_with("")));
  EXPECT_FALSE(is_encoded(head_with("Content-Encoding: identity\r\n")));
  EXPECT_TRUE(is_encoded(head_with("Content-Encoding: gzip\r\n")));
  EXPECT_TRUE(is_encoded(head_with("Content-Encoding: identity\r\nContent-Encoding: gzip\r\n")));
}

TEST(ResponseHead, HeaderCountAndSizeAreBounded) {
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 101; ++i) many += "X: y\r\n";
  HeadParser counted;
  EXPECT_EQ(feed(counted, many + "\r\n"), HeadParser::State::bad);
  HeadParser sized;
  EXPECT_EQ(feed(sized, "HTTP/1.1 200 OK\r\nX: " + std::string(64 * 1024, 'x') + "\r\n\r\n"),
            HeadParser::State::bad);
}

}  // namespace
}  // namespace entrepot::upstream
