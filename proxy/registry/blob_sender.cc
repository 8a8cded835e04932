#include "proxy/registry/blob_sender.h"

#include <algorithm>
#include <utility>

#include "base/loop/next_turn.h"
#include "proxy/registry/client_watch.h"

namespace entrepot::registry {
namespace {

// Ranges this near to each other are fetched as one: a request for each would take longer.
constexpr uint64_t kNear = 1024 * 1024;

std::vector<cache::Extent> together(const std::vector<ByteRange>& ranges) {
  cache::Extents wide;
  for (ByteRange range : ranges) wide.add({range.begin, range.end + kNear});
  std::vector<cache::Extent> extents = wide.all();
  for (cache::Extent& extent : extents) extent.end -= kNear;
  return extents;
}

}  // namespace

Task<void> BlobSender::write(std::string text) {
  if (text.empty()) co_return;
  co_await exchange_->write(std::move(text));  // who has left is noticed by what comes next
}

Task<void> BlobSender::follow(http::Head head, pull::FillReader& reader, BlobPieces pieces) {
  EventLoop& loop = exchange_->loop();
  exchange_->start(std::move(head), pieces.length());
  ClientWatch watch(*exchange_, [&reader] { reader.client_left(); });
  if (pieces.is_multipart()) reader.want(together(pieces.ranges()));
  bool is_complete = true;
  for (size_t i = 0; i < pieces.ranges().size() && is_complete; ++i) {
    if (i > 0 && i % BlobPieces::kPiecesPerTurn == 0) co_await next_turn(loop);
    std::string before = pieces.before(i);
    co_await write(std::move(before));
    ByteRange piece = pieces.ranges()[i];
    bool is_out = co_await follow_piece(reader, piece);
    is_complete = is_out;
  }
  if (is_complete) {
    std::string after = pieces.after();
    co_await write(std::move(after));
  }
  is_complete ? exchange_->finish() : exchange_->abort();  // bytes are out: cut, never pad
}

Task<bool> BlobSender::follow_piece(pull::FillReader& reader, ByteRange piece) {
  uint64_t at = piece.begin;
  while (at < piece.end) {
    Result<pull::Readable> ready = co_await reader.wait_readable(at, piece.end);
    if (!ready) {
      ByteRange rest{at, piece.end};
      Error failure = ready.error();
      co_return co_await send_rest(reader, rest, failure);
    }
    uint64_t end = std::min(ready->end, piece.end);
    if (end > at) {
      const SharedFd& file = reader.file();
      Status sent = co_await exchange_->write_file(file, at, end);
      if (!sent) co_return true;  // the client left; the fill goes on
      at = end;
    }
    if (ready->is_last && at == ready->end) break;
  }
  // Shorter than was promised, which only a blob of unknown size may be.
  co_return at == piece.end || piece.end == kToTheEnd;
}

// When the fill could not store any more, what is missing comes past the cache.
Task<bool> BlobSender::send_rest(pull::FillReader& reader, ByteRange rest, Error failure) {
  if (!pull::Fill::is_store_failure(failure)) co_return false;
  Result<pull::Remainder> remainder = co_await reader.remainder();
  if (!remainder) co_return false;
  pull::Bypass::Given given{rest.begin, reader.size()};
  reader.let_go();  // the part's room is wanted by others
  Result<std::unique_ptr<pull::Bypass>> bypass =
      co_await puller_.blobs().go_on(repository_, digest_, std::move(*remainder), std::move(given));
  if (!bypass) co_return false;
  pull::Bypass& stream = **bypass;
  co_return co_await send_from(stream, rest);
}

Task<void> BlobSender::stream(http::Head head, pull::Bypass& bypass, BlobPieces pieces) {
  exchange_->start(std::move(head), pieces.length());
  ByteRange piece = pieces.ranges().front();
  bool is_complete = co_await send_from(bypass, piece);
  is_complete ? exchange_->finish() : exchange_->abort();
}

// True when all of it went out, or the client has gone, which makes no difference then.
Task<bool> BlobSender::send_from(pull::Bypass& bypass, ByteRange range) {
  ClientWatch watch(*exchange_, [&bypass] { bypass.cancel(); });
  uint64_t at = bypass.given();
  while (at < range.end) {
    Result<std::string> read = co_await bypass.read();
    if (!read) {
      puller_.context().logger.warn("{} past the cache: {}", digest_.text(), read.error().message);
      co_return false;
    }
    if (read->empty()) co_return range.end == kToTheEnd;
    std::string bytes = std::move(*read);
    uint64_t begin = at;
    at += bytes.size();
    if (at > range.end) bytes.resize(bytes.size() - (at - range.end));
    if (begin < range.begin) bytes.erase(0, std::min<uint64_t>(bytes.size(), range.begin - begin));
    if (bytes.empty()) continue;
    Status sent = co_await exchange_->write(std::move(bytes));
    if (!sent) co_return true;
  }
  co_return true;
}

}  // namespace entrepot::registry
