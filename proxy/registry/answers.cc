#include "proxy/registry/answers.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include <fmt/format.h>

namespace entrepot::registry {
namespace {

constexpr int kLongestRetryAfterSeconds = 60;
constexpr char kApiVersion[] = "Docker-Distribution-API-Version";

// JSON's escapes for what may stand in our own messages; bytes above ASCII come from clients and become '?'.
std::string json_string(std::string_view text) {
  std::string json = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') json += '\\';
    json += byte < 0x20 || byte >= 0x7f ? '?' : c;
  }
  return json + '"';
}

std::string error_document(std::string_view code, std::string_view message) {
  return "{\"errors\":[{\"code\":" + json_string(code) + ",\"message\":" + json_string(message) + "}]}\n";
}

http::Head error_head(int status, std::string_view label) {
  http::Head head(status);
  head.add("Content-Type", "application/json")
      .add(kApiVersion, "registry/2.0")
      .add("Cache-Status", "entrepot; detail=" + std::string(label));
  return head;
}

http::Head object_head(const Digest& digest, const std::string& status, const std::string& ns) {
  http::Head head(200);
  std::string text = digest.text();
  head.add("Docker-Content-Digest", text)
      .add("ETag", '"' + text + '"')
      .add(kApiVersion, "registry/2.0")
      .add("Cache-Status", status);
  if (!ns.empty()) head.add("OCI-Namespace", ns);
  return head;
}

// What went wrong on our side or the upstream's may name hosts and addresses that are nobody's business: the
// client gets the reason, the log the rest.
std::string public_message(http::Exchange& exchange, const Error& error) {
  const ErrcInfo& info = describe(error.code);
  if (info.http_status < 500) return error.message;
  std::string id = fmt::format("{:x}", exchange.request().id);
  exchange.loop().logger().write(info.level, "request " + id + " failed: " + error.message);
  return std::string(info.label) + "; the log has the details under request " + id;
}

}  // namespace

std::string cache_status(pull::Outcome outcome, Duration fresh_for) {
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(fresh_for).count();
  switch (outcome) {
    case pull::Outcome::hit:
      return "entrepot; hit";
    case pull::Outcome::revalidated:
      return "entrepot; hit; detail=revalidated";
    case pull::Outcome::stale:
      return "entrepot; hit; ttl=" + std::to_string(seconds) + "; detail=stale";
    case pull::Outcome::limited:
      return "entrepot; hit; ttl=" + std::to_string(seconds) + "; detail=stale-rate-limited";
    case pull::Outcome::miss:
      return "entrepot; fwd=miss";
    case pull::Outcome::collapsed:
      return "entrepot; fwd=miss; collapsed";
    case pull::Outcome::bypass:
      return "entrepot; fwd=bypass";
  }
  return "entrepot";
}

http::Head manifest_head(const Digest& digest, const std::string& media_type, const std::string& status,
                         const std::string& ns) {
  http::Head head = object_head(digest, status, ns);
  head.add("Content-Type", media_type);
  return head;
}

http::Head blob_head(const Digest& digest, const std::string& status, const std::string& ns) {
  http::Head head = object_head(digest, status, ns);
  head.add("Content-Type", "application/octet-stream").add("Accept-Ranges", "bytes");
  return head;
}

http::Head listing_head(const std::string& media_type, const std::string& status, const std::string& ns) {
  http::Head head(200);
  head.add("Content-Type", media_type).add(kApiVersion, "registry/2.0").add("Cache-Status", status);
  if (!ns.empty()) head.add("OCI-Namespace", ns);
  return head;
}

void note_upstream(http::Exchange& exchange, MonotonicTime asked_at) {
  auto took = exchange.loop().clock().monotonic() - asked_at;
  exchange.note().upstream_milliseconds = std::chrono::duration_cast<Duration>(took).count();
}

bool is_known_to_client(const http::Request& request, const Digest& digest) {
  const std::string* header = request.header("if-none-match");
  if (header == nullptr) return false;
  std::string text = digest.text();
  std::string_view list = *header;
  while (!list.empty()) {
    size_t comma = list.find(',');
    std::string_view tag = list.substr(0, comma);
    list.remove_prefix(comma == std::string_view::npos ? list.size() : comma + 1);
    while (tag.starts_with(' ') || tag.starts_with('\t')) tag.remove_prefix(1);
    while (tag.ends_with(' ') || tag.ends_with('\t')) tag.remove_suffix(1);
    if (tag == "*") return true;
    if (tag.starts_with("W/")) tag.remove_prefix(2);
    if (tag.size() >= 2 && tag.front() == '"' && tag.back() == '"') tag = tag.substr(1, tag.size() - 2);
    if (tag == text) return true;
  }
  return false;
}

void send_not_modified(http::Exchange& exchange, const Digest& digest, const std::string& status,
                       const std::string& ns) {
  exchange.note().cache_status = status;
  http::Head head = object_head(digest, status, ns);
  head.status = 304;
  exchange.send(std::move(head), {});
}

void send_error(http::Exchange& exchange, const Error& error) {
  const ErrcInfo& info = describe(error.code);
  http::Head head = error_head(info.http_status, info.label);
  if (info.http_status == 429 || info.http_status == 503) {
    int seconds = std::clamp(error.retry_after_seconds, 1, kLongestRetryAfterSeconds);
    head.add("Retry-After", std::to_string(seconds));
  }
  if (exchange.note().cache_status.empty())
    exchange.note().cache_status = std::string("error=") + std::string(info.label);
  exchange.send(std::move(head), error_document(info.oci_code, public_message(exchange, error)));
}

void send_range_invalid(http::Exchange& exchange, uint64_t size, const Error& error) {
  const ErrcInfo& info = describe(Errc::range_invalid);
  http::Head head = error_head(info.http_status, info.label);
  head.add("Content-Range", "bytes */" + std::to_string(size));
  exchange.note().cache_status = "error=" + std::string(info.label);
  exchange.send(std::move(head), error_document(info.oci_code, error.message));
}

void send_write_refused(http::Exchange& exchange) {
  http::Head head = error_head(405, "unsupported");
  head.add("Allow", "GET, HEAD");
  exchange.send(std::move(head), error_document("UNSUPPORTED", "this registry is a read-only cache"));
}

std::shared_ptr<const http::CannedAnswer> ping_answer() {
  http::Head head(200);
  head.add("Content-Type", "application/json").add(kApiVersion, "registry/2.0");
  return http::make_canned(head, "{}");
}

}  // namespace entrepot::registry
