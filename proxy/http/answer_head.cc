#include "proxy/http/answer_head.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <strings.h>

#include <iterator>

#include "proxy/http/exchange.h"
#include "proxy/http/request_rules.h"

namespace entrepot::http {
namespace {

bool equals(std::string_view a, std::string_view b) {
  return a.size() == b.size() && strncasecmp(a.data(), b.data(), a.size()) == 0;
}

bool belongs_to_connection(std::string_view name) {
  return equals(name, "content-length") || equals(name, "transfer-encoding") || equals(name, "connection") ||
         equals(name, "date");
}

bool is_safe(std::string_view name, std::string_view value) {
  if (name.empty()) return false;
  for (char c : name)
    if (!is_token_char(c)) return false;
  for (char c : value)
    if ((static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f) return false;
  return true;
}

}  // namespace

std::string_view DateLine::text() {
  time_t now = std::chrono::system_clock::to_time_t(clock_.wall());
  if (now != second_) {
    second_ = now;
    // fmt's %a and %b are those of the C locale, as RFC 9110 section 5.6.7 wants them.
    text_ = fmt::format("Date: {:%a, %d %b %Y %H:%M:%S} GMT\r\n", fmt::gmtime(now));
  }
  return text_;
}

bool status_has_body(int status) { return status >= 200 && status != 204 && status != 304; }

BodyFraming framing_of(int status, int minor_version, std::optional<uint64_t> length) {
  if (!status_has_body(status)) return BodyFraming::none;
  if (length) return BodyFraming::length;
  return minor_version == 0 ? BodyFraming::until_close : BodyFraming::chunked;
}

void append_head(std::string& out, const Head& head, BodyFraming framing, std::optional<uint64_t> length) {
  auto to = std::back_inserter(out);
  fmt::format_to(to, "HTTP/1.1 {} {}\r\n", head.status, reason_phrase(head.status));
  for (const auto& [name, value] : head.headers) {
    if (belongs_to_connection(name) || !is_safe(name, value)) continue;
    out += name;
    out += ": ";
    out += value;
    out += "\r\n";
  }
  if (framing == BodyFraming::length) fmt::format_to(to, "Content-Length: {}\r\n", length.value_or(0));
  if (framing == BodyFraming::chunked) out += "Transfer-Encoding: chunked\r\n";
}

void append_head_end(std::string& out, DateLine& date, ConnectionLine connection) {
  out += date.text();
  if (connection == ConnectionLine::close) out += "Connection: close\r\n";
  if (connection == ConnectionLine::keep_alive) out += "Connection: keep-alive\r\n";
  out += "\r\n";
}

void append_refusal(std::string& out, const Refusal& refusal, DateLine& date, bool is_head) {
  std::string body =
      fmt::format(R"({{"errors":[{{"code":"UNSUPPORTED","message":"{}"}}]}})", refusal.message);
  Head head(refusal.status);
  head.add("Content-Type", "application/json");
  if (refusal.status == 405) head.add("Allow", "GET, HEAD");
  append_head(out, head, BodyFraming::length, body.size());
  append_head_end(out, date, ConnectionLine::close);
  if (!is_head) out += body;
}

std::shared_ptr<const CannedAnswer> make_canned(const Head& head, std::string body) {
  return make_canned(head, std::make_shared<const std::string>(std::move(body)));
}

std::shared_ptr<const CannedAnswer> make_canned(const Head& head, std::shared_ptr<const std::string> body) {
  auto answer = std::make_shared<CannedAnswer>();
  answer->status = head.status;
  append_head(answer->head, head, framing_of(head.status, 1, body->size()), body->size());
  answer->body = std::move(body);
  return answer;
}

}  // namespace entrepot::http
