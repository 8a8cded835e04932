#include "proxy/registry/blob_requests.h"

#include <algorithm>

#include "base/disk/run_on_disk.h"
#include "base/loop/next_turn.h"
#include "proxy/registry/answers.h"
#include "proxy/registry/blob_sender.h"
#include "proxy/registry/client_watch.h"
#include "proxy/registry/hot_target.h"

namespace entrepot::registry {
namespace {

// Up to this size a blob is verified before its head is sent, and kept in memory when it is a hit.
constexpr uint64_t kSmallBlob = pull::kHeldBackBlock;
// So many bytes before a range are not read and dropped: it is asked for by itself.
constexpr uint64_t kWorthSkipping = 1024 * 1024;

bool is_head(const http::Exchange& exchange) { return exchange.request().method == http::Method::head; }

// Adds to the Cache-Status that `head` has already.
void add_detail(http::Head& head, std::string_view detail) {
  for (auto& [name, value] : head.headers)
    if (name == "Cache-Status") value.append("; detail=").append(detail);
}

}  // namespace

void BlobRequests::send_cached(const std::shared_ptr<http::Exchange>& exchange, const CachedBlob& blob) {
  std::string status = cache_status(pull::Outcome::hit);
  if (is_known_to_client(exchange->request(), blob.digest)) {
    send_not_modified(*exchange, blob.digest, status, blob.ns);
    return;
  }
  exchange->note().cache_status = status;
  http::Head head = blob_head(blob.digest, status, blob.ns);
  std::optional<BlobPieces> pieces = BlobPieces::asked_for(*exchange, blob.digest, blob.size, head);
  if (!pieces) return;
  if (pieces->is_multipart()) {
    exchange->loop().spawn(send_pieces(exchange, std::move(head), blob.file, std::move(*pieces)));
    return;
  }
  ByteRange range = pieces->ranges().front();
  exchange->send_file(std::move(head), blob.file, range.begin, range.end - range.begin);
}

Task<void> BlobRequests::send_pieces(std::shared_ptr<http::Exchange> exchange, http::Head head, SharedFd file,
                                     BlobPieces pieces) {
  EventLoop& loop = exchange->loop();
  exchange->start(std::move(head), pieces.length());
  for (size_t i = 0; i < pieces.ranges().size() && exchange->is_connected(); ++i) {
    if (i % BlobPieces::kPiecesPerTurn == 0) co_await next_turn(loop);
    std::string before = pieces.before(i);
    co_await exchange->write(std::move(before));
    ByteRange range = pieces.ranges()[i];
    SharedFd same = file;
    co_await exchange->write_file(std::move(same), range.begin, range.end);
  }
  std::string after = pieces.after();
  co_await exchange->write(std::move(after));
  exchange->finish();
}

Task<void> BlobRequests::answer(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                                Digest digest) {
  // Who has the blob already is answered as by HEAD: his right to it is checked, and nothing is fetched.
  if (is_head(*exchange) || is_known_to_client(exchange->request(), digest)) {
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
  if (blob->bypass) {
    note_upstream(*exchange, begun);
    co_await stream(exchange, target, digest, std::move(*blob));
    co_return;
  }
  std::optional<std::string> key = hot_key(exchange->request(), target.selected_by_host);
  HotAnswer hot(digest);
  hot.note = exchange->note();
  hot.file = blob->file;
  hot.size = *blob->size;
  hot.ns = target.ns;
  send_cached(exchange, {digest, hot.file, hot.size, hot.ns});
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
  if (is_known_to_client(exchange->request(), digest)) {
    send_not_modified(*exchange, digest, status, target.ns);
    co_return;
  }
  exchange->note().cache_status = status;
  exchange->start(blob_head(digest, status, target.ns), found->size);
  exchange->finish();
}

Task<void> BlobRequests::follow(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                                Digest digest, pull::OpenBlob blob) {
  pull::FillReader& reader = *blob.fill;
  blob.file.reset();  // the reader has it
  // What is small, and what HTTP/1.0 could not be told the end of, is verified first: then an error is a
  // clean answer.
  bool needs_length = !blob.size && exchange->request().minor_version == 0;
  if (needs_length || (blob.size && *blob.size <= kSmallBlob)) {
    ClientWatch watch(*exchange, [&reader] { reader.client_left(); });
    Result<uint64_t> verified = co_await reader.wait_verified();
    if (!verified && pull::Fill::is_store_failure(verified.error())) {
      co_await go_past_cache(exchange, target, digest);
      co_return;
    }
    if (!verified) {
      send_error(*exchange, verified.error());
      co_return;
    }
    blob.size = *verified;
  }
  std::string status = cache_status(blob.outcome);
  exchange->note().cache_status = status;
  http::Head head = blob_head(digest, status, target.ns);
  BlobPieces pieces = BlobPieces::whole(blob.size);
  if (blob.size) {
    std::optional<BlobPieces> asked = BlobPieces::asked_for(*exchange, digest, *blob.size, head);
    if (!asked) co_return;
    pieces = std::move(*asked);
  }
  if (pieces.is_inside() && !reader.is_verified()) {
    if (options_.unverified_ranges) {
      add_detail(head, "unverified");
    } else {
      ClientWatch watch(*exchange, [&reader] { reader.client_left(); });
      Result<uint64_t> verified = co_await reader.wait_verified();
      if (!verified && pull::Fill::is_store_failure(verified.error())) {
        co_await go_past_cache(exchange, target, digest);
        co_return;
      }
      if (!verified) {
        send_error(*exchange, verified.error());
        co_return;
      }
    }
  }
  BlobSender sender(puller_, exchange, target.repository, digest);
  co_await sender.follow(std::move(head), reader, std::move(pieces));
}

Task<void> BlobRequests::go_past_cache(std::shared_ptr<http::Exchange> exchange,
                                       pull::Addressing::Target target, Digest digest) {
  pull::Source source{.repository = target.repository, .digest = digest};
  Result<pull::OpenBlob> blob = co_await puller_.blobs().go_past_cache(std::move(source));
  if (!blob) {
    send_error(*exchange, blob.error());
    co_return;
  }
  co_await stream(exchange, target, digest, std::move(*blob));
}

Task<void> BlobRequests::stream(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                                Digest digest, pull::OpenBlob blob) {
  pull::Bypass& bypass = *blob.bypass;
  std::string status = cache_status(blob.outcome);
  exchange->note().cache_status = status;
  http::Head head = blob_head(digest, status, target.ns);
  if (!blob.size && exchange->request().minor_version == 0) {
    // It could be told the end by a close alone, and a broken transfer looks like that.
    send_error(*exchange, Error{Errc::overloaded, "a blob of unknown size that the cache can't hold"});
    co_return;
  }
  if (blob.size && *blob.size <= kSmallBlob) {
    co_await send_small(exchange, std::move(head), digest, bypass);
    co_return;
  }
  BlobPieces pieces = BlobPieces::whole(blob.size);
  if (blob.size) {
    http::Head ranged = head;
    std::optional<BlobPieces> asked = BlobPieces::asked_for(*exchange, digest, *blob.size, ranged);
    if (!asked) co_return;
    // A stream can't go back: of several ranges it gives the whole. So it does where nothing may be
    // unverified.
    if (!asked->is_multipart() && (options_.unverified_ranges || !asked->is_inside())) {
      pieces = std::move(*asked);
      head = std::move(ranged);
    }
    uint64_t begin = pieces.ranges().front().begin;
    if (pieces.is_inside()) add_detail(head, "unverified");
    if (pieces.is_inside() && begin > kWorthSkipping) {
      Status skipped = co_await bypass.skip_to(begin);
      if (!skipped) {
        send_error(*exchange, skipped.error());
        co_return;
      }
    }
  }
  BlobSender sender(puller_, exchange, target.repository, digest);
  co_await sender.stream(std::move(head), bypass, std::move(pieces));
}

// Verified before its head is sent.
Task<void> BlobRequests::send_small(std::shared_ptr<http::Exchange> exchange, http::Head head, Digest digest,
                                    pull::Bypass& bypass) {
  std::string whole;
  while (true) {
    Result<std::string> bytes = co_await bypass.read();
    if (!bytes) {
      send_error(*exchange, bytes.error());
      co_return;
    }
    if (bytes->empty()) break;
    whole += *bytes;
    if (whole.size() > kSmallBlob) {
      send_error(*exchange, Error{Errc::upstream_failed, "the upstream's answers have different sizes"});
      co_return;
    }
  }
  std::optional<BlobPieces> pieces = BlobPieces::asked_for(*exchange, digest, whole.size(), head);
  if (!pieces) co_return;
  std::string body;
  for (size_t i = 0; i < pieces->ranges().size(); ++i) {
    ByteRange range = pieces->ranges()[i];
    body += pieces->before(i);
    body.append(whole, range.begin, range.end - range.begin);
  }
  exchange->send(std::move(head), body + pieces->after());
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
