#include "proxy/registry/blob_requests.h"

#include <algorithm>
#include <limits>

#include "base/disk/run_on_disk.h"
#include "proxy/registry/answers.h"
#include "proxy/registry/hot_target.h"

namespace entrepot::registry {
namespace {

// Up to this size a blob is verified before its head is sent, and kept in memory when it is a hit.
constexpr uint64_t kSmallBlob = 64 * 1024;

bool is_head(const http::Exchange& exchange) { return exchange.request().method == http::Method::head; }

void send_range_invalid(http::Exchange& exchange, uint64_t size, const Error& error) {
  http::Head head(416);
  head.add("Content-Type", "application/json").add("Content-Range", "bytes */" + std::to_string(size));
  exchange.note().cache_status = "error=range_invalid";
  exchange.send(std::move(head),
                "{\"errors\":[{\"code\":\"RANGE_INVALID\",\"message\":\"" + error.message + "\"}]}\n");
}

// The part of a blob of known size that the request asks for, and the head that goes with it. Nothing: the
// request has been answered with 416.
std::optional<ByteRange> apply_range(http::Exchange& exchange, uint64_t size, http::Head& head) {
  const std::string* header = exchange.request().header("range");
  if (header == nullptr || is_head(exchange) || exchange.request().header("if-range") != nullptr)
    return ByteRange{0, size};
  Result<std::optional<ByteRange>> range = read_range(*header, size);
  if (!range) {
    send_range_invalid(exchange, size, range.error());
    return std::nullopt;
  }
  if (!*range) return ByteRange{0, size};
  head.status = 206;
  head.add("Content-Range", "bytes " + std::to_string((*range)->begin) + '-' +
                                std::to_string((*range)->end - 1) + '/' + std::to_string(size));
  return **range;
}

// Adds to the Cache-Status that `head` has already.
void add_detail(http::Head& head, std::string_view detail) {
  for (auto& [name, value] : head.headers)
    if (name == "Cache-Status") value.append("; detail=").append(detail);
}

}  // namespace

void BlobRequests::send_cached(http::Exchange& exchange, const Digest& digest, const SharedFd& file,
                               uint64_t size, const std::string& ns) {
  if (is_known_to_client(exchange.request(), digest)) {
    send_not_modified(exchange, digest);
    return;
  }
  std::string status = cache_status(pull::Outcome::hit);
  exchange.note().cache_status = status;
  http::Head head = blob_head(digest, status, ns);
  std::optional<ByteRange> range = apply_range(exchange, size, head);
  if (range) exchange.send_file(std::move(head), file, range->begin, range->end - range->begin);
}

Task<void> BlobRequests::answer(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                                Digest digest) {
  if (is_head(*exchange)) {
    co_await answer_head(exchange, target, digest);
    co_return;
  }
  MonotonicTime begun = exchange->loop().clock().monotonic();
  Result<pull::OpenBlob> blob = co_await puller_.blobs().open(target.repository, digest);
  if (!blob) {
    send_error(*exchange, blob.error());
    co_return;
  }
  if (blob->fill) {
    note_upstream(*exchange, begun);
    co_await follow(exchange, target, digest, std::move(*blob));
    co_return;
  }
  std::optional<std::string> key = hot_key(exchange->request());
  HotAnswer hot(digest);
  hot.note = exchange->note();
  hot.file = blob->file;
  hot.size = *blob->size;
  hot.ns = target.ns;
  send_cached(*exchange, digest, hot.file, hot.size, hot.ns);
  puller_.context().cache.touch(digest);
  if (key) co_await keep_hot(std::move(*key), std::move(hot));
}

Task<void> BlobRequests::answer_head(std::shared_ptr<http::Exchange> exchange,
                                     pull::Addressing::Target target, Digest digest) {
  Result<pull::BlobHead> found = co_await puller_.blobs().head(target.repository, digest);
  if (!found) {
    send_error(*exchange, found.error());
    co_return;
  }
  std::string status = cache_status(found->outcome);
  exchange->note().cache_status = status;
  exchange->start(blob_head(digest, status, target.ns), found->size);
  exchange->finish();
}

Task<void> BlobRequests::follow(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                                Digest digest, pull::OpenBlob blob) {
  pull::FillReader& reader = *blob.fill;
  // What is small, and what HTTP/1.0 could not be told the end of, is verified first: then an error is a
  // clean answer.
  bool needs_length = !blob.size && exchange->request().minor_version == 0;
  if (needs_length || (blob.size && *blob.size <= kSmallBlob)) {
    Result<uint64_t> verified = co_await reader.wait_verified();
    if (!verified) {
      send_error(*exchange, verified.error());
      co_return;
    }
    blob.size = *verified;
  }
  std::string status = cache_status(blob.outcome);
  exchange->note().cache_status = status;
  http::Head head = blob_head(digest, status, target.ns);
  ByteRange range{0, std::numeric_limits<uint64_t>::max()};
  if (blob.size) {
    std::optional<ByteRange> asked = apply_range(*exchange, *blob.size, head);
    if (!asked) co_return;
    range = *asked;
    if (range.end < *blob.size && !reader.is_verified()) add_detail(head, "unverified");
  }
  bool is_size_known = blob.size.has_value();
  co_await send_followed(exchange, std::move(head), reader, range, is_size_known);
}

Task<void> BlobRequests::send_followed(std::shared_ptr<http::Exchange> exchange, http::Head head,
                                       pull::FillReader& reader, ByteRange range, bool is_size_known) {
  std::optional<uint64_t> length;
  if (is_size_known) length = range.end - range.begin;
  exchange->start(std::move(head), length);
  uint64_t at = range.begin;
  while (at < range.end) {
    Result<pull::Readable> ready = co_await reader.wait_readable(at);
    if (!ready) {
      exchange->abort();  // bytes are out: cut, never pad
      co_return;
    }
    uint64_t end = std::min(ready->end, range.end);
    if (end > at) {
      const SharedFd& file = reader.file();
      Status sent = co_await exchange->write_file(file, at, end);
      if (!sent) co_return;  // the client left; the fill goes on
      at = end;
    }
    if (ready->is_last && at == ready->end) break;
  }
  if (is_size_known && at < range.end)
    exchange->abort();
  else
    exchange->finish();
}

// Keeps what the next request needs: the bytes of a small blob, the descriptor of a large one.
Task<void> BlobRequests::keep_hot(std::string key, HotAnswer hot) {
  if (hot.size <= kSmallBlob) {
    auto read = [file = hot.file, size = hot.size, digest = hot.digest]() -> std::optional<std::string> {
      std::string bytes(size, '\0');
      ssize_t count = ::pread(file->get(), bytes.data(), size, 0);
      bool is_right = count == static_cast<ssize_t>(size) && Digest::of(digest.algorithm(), bytes) == digest;
      return is_right ? std::optional(std::move(bytes)) : std::nullopt;
    };
    const pull::Context& context = puller_.context();
    std::optional<std::string> bytes =
        co_await run_on_disk(context.look_ups, context.loop, "read blob", std::move(read));
    if (!bytes) co_return;
    std::string status = cache_status(pull::Outcome::hit);
    hot.canned = http::make_canned(blob_head(hot.digest, status, hot.ns), std::move(*bytes));
    hot.note.cache_status = status;
    hot.file.reset();
  }
  hot_.put(std::move(key), std::move(hot), puller_.context().loop.clock().monotonic());
}

}  // namespace entrepot::registry
