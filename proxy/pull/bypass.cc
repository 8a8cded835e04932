#include "proxy/pull/bypass.h"

#include <algorithm>
#include <utility>

#include "base/disk/run_on_disk.h"

namespace entrepot::pull {

Bypass::Bypass(Context& context, WrongOrigins& wrong, Source source)
    : context_(context),
      download_(context, source, wrong, true),
      digest_(source.digest),
      hash_(digest_.algorithm()) {}

Task<Result<std::unique_ptr<Bypass>>> Bypass::open(Context& context, WrongOrigins& wrong, Source source) {
  auto bypass = std::make_unique<Bypass>(context, wrong, std::move(source));
  Bypass& self = *bypass;
  Status begun = co_await self.begin(0);
  if (!begun) co_return fail(begun.error());
  co_return std::move(bypass);
}

Task<Result<std::unique_ptr<Bypass>>> Bypass::resume(Context& context, WrongOrigins& wrong, Source source,
                                                     Remainder remainder, Given given) {
  auto bypass = std::make_unique<Bypass>(context, wrong, std::move(source));
  Bypass& self = *bypass;
  self.download_.promise();
  if (given.size) self.download_.promise_size(*given.size);
  self.hash_ = std::move(remainder.hash);
  self.hashed_ = remainder.at;
  self.given_ = given.bytes;
  uint64_t from = remainder.at;
  Status begun = co_await self.begin(from);
  if (!begun) co_return fail(begun.error());
  co_return std::move(bypass);
}

Task<Status> Bypass::begin(uint64_t from) {
  Result<std::optional<uint64_t>> size = co_await download_.open(from);
  if (!size) co_return fail(size.error());
  size_ = *size;
  co_return Status();
}

Task<Status> Bypass::skip_to(uint64_t at) {
  is_verifying_ = false;
  hashed_ = at;
  given_ = at;
  co_return co_await begin(at);
}

Task<Result<std::string>> Bypass::read() {
  while (!is_complete_) {
    Result<Chunk> chunk = co_await download_.read();
    if (!chunk) co_return fail(chunk.error());
    // Hashing 256 KiB takes too long for a loop; nobody else touches our state meanwhile.
    auto take_in = [this, chunk = std::move(*chunk)]() mutable { return take(std::move(chunk)); };
    Status taken = co_await run_on_disk(context_.compute, context_.loop, "hash", std::move(take_in));
    if (!taken && taken.error().code == Errc::digest_mismatch) {
      Error wrong = taken.error();
      Status again = co_await begin_again(wrong);
      if (!again) co_return fail(again.error());
      continue;
    }
    if (!taken) co_return fail(taken.error());
    uint64_t keep = is_verifying_ && !is_complete_ ? kHeldBackBlock : 0;
    if (held_.size() > keep) co_return release(held_.size() - keep);
  }
  co_return std::string();
}

// As long as the client has nothing, another origin may have better bytes.
Task<Status> Bypass::begin_again(Error wrong) {
  bool has_other = download_.start_over();
  if (!has_other || given_ > 0) co_return fail(wrong);
  hash_ = Hasher(digest_.algorithm());
  hashed_ = 0;
  replay_.reset();
  held_.clear();
  is_complete_ = false;
  // A small blob's client has not been told its size yet.
  if (size_ && *size_ <= kHeldBackBlock)
    download_.forget_size();
  else if (size_)
    download_.promise_size(*size_);
  co_return co_await begin(0);
}

// Bytes that were hashed before come again when a Range was refused: they must be the same.
Status Bypass::take(Chunk chunk) {
  if (chunk.bytes.empty()) return finish();
  std::string_view bytes = chunk.bytes;
  if (!is_verifying_) {
    bytes.remove_prefix(std::min<uint64_t>(bytes.size(), hashed_ - std::min(hashed_, chunk.at)));
    held_ += bytes;
    hashed_ += bytes.size();
    return {};
  }
  uint64_t expected = replay_ ? replayed_ : hashed_;
  if (chunk.at != expected) {
    replay_.emplace(digest_.algorithm());
    replayed_ = 0;
  }
  if (replay_) {
    std::string_view known = bytes.substr(0, hashed_ - replayed_);
    replay_->update(known);
    replayed_ += known.size();
    bytes.remove_prefix(known.size());
    if (replayed_ < hashed_) return {};
    if (replay_->finish() != hash_.copy().finish())
      return fail(Errc::digest_mismatch, "read again, " + digest_.text() + " is not what was sent");
    replay_.reset();
  }
  hash_.update(bytes);
  // What the client has already, of a fill that had to begin again, is hashed and not given.
  uint64_t surplus = given_ - std::min(given_, hashed_);
  hashed_ += bytes.size();
  bytes.remove_prefix(std::min<uint64_t>(bytes.size(), surplus));
  held_ += bytes;
  return {};
}

Status Bypass::finish() {
  is_complete_ = true;
  if (!is_verifying_) return {};
  if (replay_) return fail(Errc::digest_mismatch, digest_.text() + " has become shorter");
  Digest found = hash_.finish();
  if (found == digest_ && hashed_ >= given_) return {};
  return fail(Errc::digest_mismatch, "asked for " + digest_.text() + ", got bytes of " + found.text());
}

// Gives the first bytes of what is held. The rest, at most a block, is copied; the large part is moved.
std::string Bypass::release(size_t count) {
  std::string rest = held_.substr(count);
  held_.resize(count);
  given_ += count;
  return std::exchange(held_, std::move(rest));
}

}  // namespace entrepot::pull
