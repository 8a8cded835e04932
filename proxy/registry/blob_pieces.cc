#include "proxy/registry/blob_pieces.h"

#include <sys/random.h>

#include <algorithm>

#include <fmt/format.h>

#include "proxy/registry/answers.h"

namespace entrepot::registry {
namespace {

constexpr char kType[] = "application/octet-stream";

// Nobody who made a blob can have known it.
std::string new_boundary() {
  uint64_t random[2] = {};
  if (::getrandom(random, sizeof random, GRND_NONBLOCK) != sizeof random) return {};
  return fmt::format("{:016x}{:016x}", random[0], random[1]);
}

// RFC 9110 section 13.1.5: a strong validator, or nothing. Ours is the digest; a date is none.
bool agrees(const std::string* if_range, const Digest& digest) {
  return if_range == nullptr || *if_range == '"' + digest.text() + '"';
}

std::string content_range(ByteRange range, uint64_t size) {
  return fmt::format("bytes {}-{}/{}", range.begin, range.end - 1, size);
}

}  // namespace

BlobPieces BlobPieces::whole(std::optional<uint64_t> size) {
  BlobPieces pieces;
  pieces.size_ = size;
  pieces.ranges_.push_back({0, size.value_or(kToTheEnd)});
  return pieces;
}

std::optional<BlobPieces> BlobPieces::asked_for(http::Exchange& exchange, const Digest& digest, uint64_t size,
                                                http::Head& head) {
  const http::Request& request = exchange.request();
  const std::string* header = request.header("range");
  bool is_get = request.method == http::Method::get;
  if (header == nullptr || !is_get || !agrees(request.header("if-range"), digest)) return whole(size);
  Result<std::vector<ByteRange>> ranges = read_ranges(*header, size);
  if (!ranges) {
    if (ranges.error().code == Errc::range_invalid)
      send_range_invalid(exchange, size, ranges.error());
    else
      send_error(exchange, ranges.error());
    return std::nullopt;
  }
  if (ranges->empty()) return whole(size);
  BlobPieces pieces;
  pieces.size_ = size;
  pieces.ranges_ = std::move(*ranges);
  if (pieces.ranges_.size() == 1) {
    head.add("Content-Range", content_range(pieces.ranges_.front(), size));
  } else {
    pieces.boundary_ = new_boundary();
    if (pieces.boundary_.empty()) return whole(size);
    for (auto& [name, value] : head.headers)
      if (name == "Content-Type") value = "multipart/byteranges; boundary=" + pieces.boundary_;
  }
  head.status = 206;
  return pieces;
}

std::string BlobPieces::before(size_t index) const {
  if (!is_multipart()) return {};
  return fmt::format("{}--{}\r\nContent-Type: {}\r\nContent-Range: {}\r\n\r\n", index == 0 ? "" : "\r\n",
                     boundary_, kType, content_range(ranges_[index], *size_));
}

std::string BlobPieces::after() const {
  return is_multipart() ? "\r\n--" + boundary_ + "--\r\n" : std::string();
}

std::optional<uint64_t> BlobPieces::length() const {
  if (!size_) return std::nullopt;
  uint64_t length = after().size();
  for (size_t i = 0; i < ranges_.size(); ++i) length += before(i).size() + ranges_[i].end - ranges_[i].begin;
  return length;
}

bool BlobPieces::is_inside() const {
  return size_ && std::ranges::all_of(ranges_, [this](const ByteRange& range) { return range.end < *size_; });
}

}  // namespace entrepot::registry
