// What followers see of a fill, on its home loop.

#include <algorithm>
#include <utility>

#include "proxy/pull/fill.h"

namespace entrepot::pull {

Task<Result<FillHead>> Fill::head(Source source) {
  if (error_) co_return fail(*error_);
  // Also who comes late brings his source: the fill may need it when the others have failed.
  auto is_same = [&source](const Source& known) { return known.repository == source.repository; };
  if (std::ranges::none_of(sources_, is_same)) sources_.push_back(source);
  if (head_) {
    ++followers_;
    co_return *head_;
  }
  Completion<Result<FillHead>> done;
  head_waiters_.push_back(HeadWaiter{source.repository, &done});
  co_return co_await done;
}

void Fill::leave() {
  if (--followers_ > 0) return;
  alone_since_ = writer_->received().total();
  if (state_ != State::streaming || !download_ || is_wanted()) return;
  download_->cancel();
  if (stretches_) stretches_->stop();
}

Task<Result<Readable>> Fill::wait_readable(uint64_t at, uint64_t until) {
  std::optional<Result<Readable>> now = readable_now(at);
  if (now) co_return std::move(*now);
  want({at, until});
  Completion<Result<Readable>> done;
  byte_waiters_.push_back(ByteWaiter{at, until, &done});
  co_return co_await done;
}

// Two stretches: the second is on its way when the first has come. More is wanted when the client is there.
void Fill::want(cache::Extent wanted) {
  if (!stretches_ || wanted.begin >= wanted.end) return;
  uint64_t end = std::min(wanted.end, wanted.begin + 2 * context_.stretches.longest);
  stretches_->want({wanted.begin, end}, main_at_);
}

void Fill::want(const std::vector<cache::Extent>& extents) {
  for (cache::Extent extent : extents)
    if (stretches_) stretches_->want(extent, main_at_);
}

Task<Result<Remainder>> Fill::remainder() {
  if (!remainder_) co_return fail(error_.value_or(Error{Errc::internal, "the fill has not stopped"}));
  Remainder copy{remainder_->at, remainder_->hash.copy()};
  co_return std::move(copy);
}

std::optional<Result<Readable>> Fill::readable_now(uint64_t at) const {
  cache::Extent extent = extents_.readable_at(at);
  bool is_verified = progress_->is_verified.load(std::memory_order_relaxed);
  if (extent.size() > 0 || is_verified)
    return Result<Readable>(Readable{extent.end, is_verified && extent.end >= extents_.prefix()});
  if (error_) return Result<Readable>(fail(*error_));
  return std::nullopt;
}

void Fill::announce() {
  if (head_) {
    // Who comes later may be told what those before could not be; nobody is told two sizes, but for a small
    // blob's followers, who take it from the verified bytes.
    if (!head_->size || may_change_size()) head_->size = size_;
    return;
  }
  head_ = FillHead{size_, writer_->file(), progress_};
  std::vector<HeadWaiter> waiting = std::exchange(head_waiters_, {});
  followers_ += waiting.size();
  for (HeadWaiter& waiter : waiting) waiter.done->complete(*head_);
}

// All but the last block. Without a size, any block may be the last.
void Fill::on_written(cache::Extent written) {
  if (state_ != State::streaming || written.size() == 0) return;
  uint64_t size = size_.value_or(writer_->hashed());
  if (size == 0) return;
  written.end = std::min(written.end, (size - 1) / kHeldBackBlock * kHeldBackBlock);
  if (!size_) written.begin = extents_.prefix();
  publish(written, false);
}

void Fill::publish(cache::Extent extent, bool is_verified) {
  extents_.add(extent);
  progress_->readable.store(extents_.prefix(), std::memory_order_release);
  if (is_verified) progress_->is_verified.store(true, std::memory_order_release);
  std::vector<ByteWaiter> waiting = std::exchange(byte_waiters_, {});
  for (ByteWaiter& waiter : waiting) {
    std::optional<Result<Readable>> now = readable_now(waiter.at);
    if (now)
      waiter.done->complete(std::move(*now));
    else
      byte_waiters_.push_back(waiter);
  }
}

// The first source has failed: those who asked through it and have no answer yet get its error, the others go
// on.
void Fill::drop_source(const Error& error) {
  cache::Repository failed = sources_.front().repository;
  sources_.erase(sources_.begin());
  std::vector<HeadWaiter> waiting = std::exchange(head_waiters_, {});
  for (HeadWaiter& waiter : waiting) {
    if (waiter.repository == failed)
      waiter.done->complete(fail(error));
    else
      head_waiters_.push_back(waiter);
  }
}

void Fill::end(Ending ending, const Error& error) {
  state_ = State::ended;
  ending_ = ending;
  error_ = error;
  for (HeadWaiter& waiter : std::exchange(head_waiters_, {})) waiter.done->complete(fail(error));
  for (ByteWaiter& waiter : std::exchange(byte_waiters_, {})) waiter.done->complete(fail(error));
  if (on_ended_) std::exchange(on_ended_, nullptr)();
}

}  // namespace entrepot::pull
