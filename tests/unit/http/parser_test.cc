#include "proxy/http/parser.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace entrepot::http {
namespace {

using std::string;

// One row of the bad-input catalogue (groups A to D): the bytes, and what the parser must make of them. 0 = a
// request.
struct Row {
  const char* id;
  string bytes;
  int status;
};

const string kGet = "GET /v2/ HTTP/1.1\r\n";
const string kHost = "Host: r.test\r\n";
const string kEnd = "\r\n";

string get(const string& fields) { return kGet + kHost + fields + kEnd; }
string post(const string& fields) { return "POST /v2/ HTTP/1.1\r\n" + kHost + fields + kEnd; }
string line(const string& request_line) { return request_line + "\r\n" + kHost + kEnd; }
string fields(int count) {
  string all;
  for (int i = 0; i < count; ++i) all += "X-" + std::to_string(i) + ": y\r\n";
  return all;
}
string empty_lines(int count) {
  string all;
  for (int i = 0; i < count; ++i) all += "\r\n";
  return all;
}
string with_nul(string text, char stand_in) {
  std::ranges::replace(text, stand_in, '\0');
  return text;
}

std::vector<Row> connection_rows() {
  return {
      {"IA03 a TLS ClientHello", "\x16\x03\x01\x02" + string(1, '\0') + "\x01", 400},
      {"IA09 PROXY protocol v1", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + get(""), 400},
      {"IA09 PROXY protocol v2", "\r\n\r\n" + string(1, '\0') + "\r\nQUIT\n", 400},
  };
}

std::vector<Row> request_line_rows() {
  return {
      {"B02 HTTP/1.0 without Host", "GET /v2/ HTTP/1.0\r\n\r\n", 0},
      {"B03 HTTP/0.9", "GET /v2/\r\n", 400},
      {"B03 HTTP/0.9 spelt out", line("GET /v2/ HTTP/0.9"), 400},
      {"B04 HTTP/2.0", line("GET /v2/ HTTP/2.0"), 505},
      {"B04 HTTP/1.2", line("GET /v2/ HTTP/1.2"), 505},
      {"B06 a version that overflows", line("GET /v2/ HTTP/4294967297.1"), 400},
      {"B06 another", line("GET /v2/ HTTP/4294967295.255"), 400},
      {"B06 a lower-case version", line("GET /v2/ http/1.1"), 400},
      {"B07 the HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
      {"B08 two spaces", line("GET  /v2/ HTTP/1.1"), 400},
      {"B08 two spaces before the version", line("GET /v2/  HTTP/1.1"), 400},
      {"B08 a space after the version", line("GET /v2/ HTTP/1.1 "), 400},
      {"B08 a tab", line("GET\t/v2/ HTTP/1.1"), 400},
      {"B10 a leading space", " " + get(""), 400},
      {"B11 one empty line", "\r\n" + get(""), 0},
      {"B11 1 KiB of empty lines", empty_lines(512) + get(""), 0},
      {"B11 10,000 empty lines", empty_lines(10'000), 400},
      {"B12 bare LF", "GET /v2/ HTTP/1.1\nHost: r.test\n\n", 400},
      {"B12 bare LF after a field", kGet + "Host: r.test\n\r\n", 400},
      {"B12 bare LF at the end", kGet + kHost + "\n", 400},
      {"B12 a leading bare LF", "\n" + get(""), 400},
      {"B14 a line feed in the target", "GET /\nHTTP/1.1\r\n\r\n", 400},
      {"B15 a lower-case method", line("get /v2/ HTTP/1.1"), 400},
      {"B15 a mixed-case method", line("Get /v2/ HTTP/1.1"), 400},
      {"B16 a method of odd characters", line("G=\":<>(e),[T];?\" /v2/ HTTP/1.1"), 400},
      {"B16 an unknown method", line("FETCH /v2/ HTTP/1.1"), 501},
      {"B16 a longer GET", line("GETT /v2/ HTTP/1.1"), 501},
      {"B16 a very long method", line(string(100, 'A') + " /v2/ HTTP/1.1"), 400},
      {"B18 GET *", line("GET * HTTP/1.1"), 400},
      {"B18 OPTIONS *", line("OPTIONS * HTTP/1.1"), 405},
      {"B18 OPTIONS of a path", line("OPTIONS /v2/ HTTP/1.1"), 0},
      {"B19 CONNECT", line("CONNECT 169.254.169.254:80 HTTP/1.1"), 405},
      {"B20 TRACE", line("TRACE /v2/ HTTP/1.1"), 0},
      {"B22 ICE", line("SOURCE /v2/ ICE/1.0"), 400},
      {"B22 RTSP", line("ANNOUNCE /v2/ RTSP/1.0"), 400},
      {"B22 an RTSP method in HTTP", line("DESCRIBE /v2/ HTTP/1.1"), 400},
      {"B23 a NUL method", with_nul("@ / HTTP/............0596.7407.\r\n\r\n", '@'), 400},
      {"B24 a target of 8 KiB", line("GET /" + string(8191, 'a') + " HTTP/1.1"), 0},
      {"B24 a target of 8 KiB and 1", line("GET /" + string(8192, 'a') + " HTTP/1.1"), 414},
      {"B24 1 MiB without an end", "GET /" + string(1 << 20, 'a'), 414},
      {"B26 a fragment", line("GET /v2/#frag HTTP/1.1"), 400},
      {"B27 two slashes", line("GET //v2/ HTTP/1.1"), 0},
      {"B27 dots", line("GET /./v2/ HTTP/1.1"), 0},
      {"B28 no path", line("GET ! HTTP/1.1"), 400},
      {"B28 a relative path", line("GET v2/ HTTP/1.1"), 400},
      {"B28 a query alone", line("GET ?x HTTP/1.1"), 400},
      {"absolute-form", line("GET http://r.test/v2/ HTTP/1.1"), 400},
      {"authority-form", line("GET r.test:80 HTTP/1.1"), 400},
      {"a target that is not ASCII", line("GET /v2/\xc3\xa9 HTTP/1.1"), 400},
      {"a target with DEL", line("GET /v2/\x7f HTTP/1.1"), 400},
      {"a target with NUL", line(with_nul("GET /v2/@ HTTP/1.1", '@')), 400},
      {"a target with a CR", line("GET /v2/\rx HTTP/1.1"), 400},
  };
}

std::vector<Row> field_rows() {
  return {
      {"C01 no Host", kGet + kEnd, 400},
      {"C01 two Hosts", kGet + kHost + kHost + kEnd, 400},
      {"C03 a space in Host", kGet + "Host: a b\r\n\r\n", 400},
      {"C03 a slash in Host", kGet + "Host: r/evil\r\n\r\n", 400},
      {"C03 userinfo in Host", kGet + "Host: u@evil\r\n\r\n", 400},
      {"C03 NUL in Host", kGet + with_nul("Host: r.test@.evil\r\n\r\n", '@'), 400},
      {"C03 an open bracket in Host", kGet + "Host: [::1\r\n\r\n", 400},
      {"C03 a port that is too big", kGet + "Host: r:99999\r\n\r\n", 400},
      {"C03 an empty Host", kGet + "Host:\r\n\r\n", 400},
      {"C04 another name", kGet + "Host: evil.test\r\n\r\n", 0},
      {"C05 a space before the colon", get("Content-Length : 34\r\n"), 400},
      {"C07 a folded line", get("X: a\r\n b\r\n"), 400},
      {"C07 a line folded with a tab", get("X: a\r\n\tb\r\n"), 400},
      {"C07 a fold before the first field", kGet + " X: a\r\n" + kHost + kEnd, 400},
      {"C08 no colon", get("Content-Length 10\r\n"), 400},
      {"C08 no colon at all", get("Foo\r\n"), 400},
      {"C09 no name", get(": ignored\r\n"), 400},
      {"C09 a colon alone", get(":\r\n"), 400},
      {"C11 bare CR in a value", get("X: this\rvalue\ris\rinvalid\r\n"), 400},
      {"C12 bare LF in a value", get("X: a\nGET /evil HTTP/1.1\r\n"), 400},
      {"C13 bare LF in a name", get("Te\nst: test\r\n"), 400},
      {"C15 a name over two lines", get("Transfer-\r\nEncoding: chunked\r\n"), 400},
      {"C16 bytes above ASCII",
       get("User: \x85"
           "admin\xa0\r\n"),
       0},
      {"C17 100 fields", kGet + kHost + fields(99) + kEnd, 0},
      {"C17 101 fields", kGet + kHost + fields(100) + kEnd, 431},
      {"C19 a head of more than 64 KiB", get("X: " + string(70'000, 'a') + "\r\n"), 431},
      {"C19 an endless head", kGet + "X: " + string(10 << 20, 'a'), 431},
      {"C20 a CR before a second request", kGet + kHost + "\r\n\rZGET /evil: HTTP/1.1\r\n", 0},
      {"C20 the same inside the head", kGet + "\rZGET /evil: HTTP/1.1\r\n\r\n", 400},
      {"C21 Connection names Host", get("Connection: Host\r\n"), 400},
      {"C21 Connection names Content-Length", get("Connection: close, content-length\r\n"), 400},
      {"C21 Connection names Authorization", get("Connection: Authorization\r\n"), 400},
      {"C23 Expect", get("Expect: 100-continue\r\n"), 0},
      {"C24 an upgrade to h2c", get("Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"),
       0},
      {"C24 an upgrade to websocket", get("Connection: Upgrade\r\nUpgrade: websocket\r\n"), 0},
      {"C25 forwarded headers", get("X-Forwarded-Proto: gopher\r\nForwarded: for=\"_x;host=evil\r\n"), 0},
      {"C27 Proxy", get("Proxy: http://evil:1/\r\n"), 0},
      {"C29 TE and Trailer", get("TE: trailers, chunked;q=0.5\r\nTrailer: Content-Length\r\n"), 0},
      {"C31 an escape character", get("User-Agent: \x1b[31m\r\n"), 400},
      {"C31 JSON", get("User-Agent: \"},{\"a\":\"\r\n"), 0},
      {"C32 a long Accept", get("Accept: " + string(15 * 1024, 'a') + "\r\n"), 0},
      {"C33 an odd Content-Type", get("Content-Type: \xff\r\n"), 0},
      {"two Ranges", get("Range: bytes=0-1\r\nRange: bytes=2-3\r\n"), 400},
      {"two Authorizations", get("Authorization: Basic eA==\r\nauthorization: Basic eQ==\r\n"), 400},
      {"an empty value", get("X:\r\nY: z\r\n"), 0},
  };
}

std::vector<Row> framing_rows() {
  std::vector<Row> rows;
  for (const char* value : {"+5", "5,5", "1_0", "0x10", "1Z", "5 5", "\"5\"", "-1", "-48", "",
                            "99999999999999999999", "18446744073709551616", "9223372036854775808"})
    rows.push_back(
        {"D01 D02 D06 a bad Content-Length", post("Content-Length: " + string(value) + "\r\n"), 400});
  for (const char* value :
       {",chunked", "chunked,", ",", "", "chunked, chunked", "chunked, gzip", "gzip, chunked", "identity",
        "\x0b"
        "chunked",
        "\xff"
        "chunked\xff",
        "\xa0"
        "chunked",
        "chunked;q=1", "xchunked", "x"})
    rows.push_back({"D09 D10 D11 D13 a bad Transfer-Encoding",
                    post("Transfer-Encoding: " + string(value) + "\r\n"), 400});
  for (Row row : std::vector<Row>{
           {"D03 GET with a body", get("Content-Length: 010\r\n") + "0123456789", 400},
           {"D03 POST with leading zeros", post("Content-Length: 010\r\n"), 0},
           {"GET with an empty body", get("Content-Length: 0\r\n"), 0},
           {"D05 the same length twice", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400},
           {"D05 two lengths", post("Content-Length: 5\r\nContent-Length: 6\r\n"), 400},
           {"D05 an empty length first", post("Content-Length:\r\nContent-Length: 43\r\n"), 400},
           {"D07 length and chunks", post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), 400},
           {"D07 chunks and length", post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), 400},
           {"D10 two Transfer-Encodings",
            post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), 400},
           {"D14 Chunked in another case", post("Transfer-encoding: Chunked\r\n"), 0},
           {"D15 chunks with HTTP/1.0",
            "POST /v2/ HTTP/1.0\r\n" + kHost + "Transfer-Encoding: chunked\r\n\r\n", 400},
           {"D17 D18 D19 D21 GET with chunks",
            get("Transfer-Encoding: chunked\r\n") + "5\r\r;ABCD\r\n34\r\nE\r\n0\r\n\r\n", 400},
           {"D31 a request as the body of a GET", get("Content-Length: 44\r\n") + get(""), 400},
           {"HEAD with a body", "HEAD /v2/ HTTP/1.1\r\n" + kHost + "Content-Length: 1\r\n\r\n", 400},
       })
    rows.push_back(row);
  return rows;
}

std::vector<Row> all_rows() {
  std::vector<Row> all;
  for (auto& rows : {connection_rows(), request_line_rows(), field_rows(), framing_rows()})
    all.insert(all.end(), rows.begin(), rows.end());
  return all;
}

struct Seen {
  int status = -1;  // 0 = a request, -1 = more is needed
  size_t consumed = 0;
  string target;
  size_t headers = 0;
  bool operator==(const Seen&) const = default;
};

// Feeds the bytes in pieces that end at `cuts` and at the end.
Seen feed(const string& bytes, std::vector<size_t> cuts) {
  FieldPool pool;
  Parser parser(pool);
  Request request;
  cuts.push_back(bytes.size());
  for (size_t cut : cuts) {
    switch (parser.parse(std::string_view(bytes).substr(0, cut), request)) {
      case Parser::Verdict::need_more:
        continue;
      case Parser::Verdict::failed:
        return {parser.refusal().status, 0, "", 0};
      case Parser::Verdict::complete:
        return {0, parser.consumed(), request.target, request.headers.size()};
    }
  }
  return {};
}

std::vector<size_t> every_byte(size_t size) {
  std::vector<size_t> cuts;
  for (size_t i = 1; i < size; ++i) cuts.push_back(i);
  return cuts;
}

TEST(Parser, JudgesEveryRowOfTheCatalogue) {
  for (const Row& row : all_rows()) EXPECT_EQ(feed(row.bytes, {}).status, row.status) << row.id;
}

TEST(Parser, JudgesTheSameByteByByte) {
  for (const Row& row : all_rows())
    EXPECT_EQ(feed(row.bytes, every_byte(row.bytes.size())), feed(row.bytes, {})) << row.id;
}

TEST(Parser, JudgesTheSameAtRandomSplits) {
  std::mt19937 random(20240607);
  for (const Row& row : all_rows()) {
    Seen whole = feed(row.bytes, {});
    for (int round = 0; round < 8; ++round) {
      std::vector<size_t> cuts;
      for (int i = 0; i < 6; ++i) cuts.push_back(random() % (row.bytes.size() + 1));
      std::ranges::sort(cuts);
      EXPECT_EQ(feed(row.bytes, cuts), whole) << row.id << " round " << round;
    }
  }
}

TEST(Parser, NeedsMoreForEveryBeginningOfARequest) {
  string whole = get("Accept: */*\r\n");
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(feed(whole.substr(0, size), {}).status, -1) << size;
}

TEST(Parser, FillsTheRequest) {
  FieldPool pool;
  Parser parser(pool);
  Request request;
  string bytes =
      "HEAD /v2/a/b?ns=x?y HTTP/1.1\r\nHost: r.test:5000\r\nX-Empty:\r\nX-Padded: \t v a l \t\r\n\r\nGET";
  ASSERT_EQ(parser.parse(bytes, request), Parser::Verdict::complete);
  EXPECT_EQ(parser.consumed(), bytes.size() - 3);
  EXPECT_EQ(request.method, Method::head);
  EXPECT_EQ(request.method_name, "HEAD");
  EXPECT_EQ(request.path, "/v2/a/b");
  EXPECT_EQ(request.query, "ns=x?y");
  EXPECT_EQ(request.minor_version, 1);
  EXPECT_TRUE(request.wants_keep_alive);
  EXPECT_FALSE(request.has_body);
  ASSERT_EQ(request.headers.size(), 3u);
  EXPECT_EQ(*request.header("hOsT"), "r.test:5000");
  EXPECT_EQ(*request.header("X-Empty"), "");
  EXPECT_EQ(*request.header("x-padded"), "v a l");
  EXPECT_EQ(request.header("Absent"), nullptr);
}

TEST(Parser, KeepsBytesAboveAsciiUntrimmed) {
  FieldPool pool;
  Parser parser(pool);
  Request request;
  ASSERT_EQ(parser.parse(get("User: \x85"
                             "admin\xa0\r\n"),
                         request),
            Parser::Verdict::complete);
  EXPECT_EQ(*request.header("User"),
            "\x85"
            "admin\xa0");
}

TEST(Parser, ForgetsTheLastRequest) {
  FieldPool pool;
  Parser parser(pool);
  Request request;
  ASSERT_EQ(parser.parse(post("Content-Length: 7\r\nConnection: close\r\nA: b\r\n"), request),
            Parser::Verdict::complete);
  EXPECT_TRUE(request.has_body);
  EXPECT_FALSE(request.wants_keep_alive);
  parser.reset();
  ASSERT_EQ(parser.parse("GET /other HTTP/1.1\r\nHost: s\r\nC: d\r\n\r\n", request),
            Parser::Verdict::complete);
  EXPECT_FALSE(request.has_body);
  EXPECT_TRUE(request.wants_keep_alive);
  EXPECT_EQ(request.method_name, "GET");
  EXPECT_EQ(request.target, "/other");
  EXPECT_EQ(request.query, "");
  ASSERT_EQ(request.headers.size(), 2u);
  EXPECT_EQ(request.headers[1], (std::pair<string, string>("C", "d")));
}

TEST(Parser, KnowsWhichVersionsKeepAlive) {
  struct Case {
    const char* version;
    const char* connection;
    bool keeps;
  };
  for (const Case& c :
       {Case{"1.1", "", true}, Case{"1.1", "Connection: close\r\n", false},
        Case{"1.1", "Connection: x, CLOSE\r\n", false}, Case{"1.1", "Connection: keep-alive\r\n", true},
        Case{"1.0", "", false}, Case{"1.0", "Connection: Keep-Alive\r\n", true},
        Case{"1.0", "Connection: keep-alive, close\r\n", false},
        Case{"1.1", "Connection: a\r\nConnection: close\r\n", false}}) {
    FieldPool pool;
    Parser parser(pool);
    Request request;
    string bytes = string("GET / HTTP/") + c.version + "\r\nHost: r\r\n" + c.connection + "\r\n";
    ASSERT_EQ(parser.parse(bytes, request), Parser::Verdict::complete) << bytes;
    EXPECT_EQ(request.wants_keep_alive, c.keeps) << bytes;
  }
}

}  // namespace
}  // namespace entrepot::http
