// The fetch itself. What followers see of it is in fill_followers.cc.

#include "proxy/pull/fill.h"

#include <algorithm>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "proxy/pull/commit.h"

namespace entrepot::pull {
namespace {

constexpr uint64_t kFewBytes = 64 * 1024 * 1024;  // are fetched also when nobody waits

std::string describe_source(const Source& source) {
  return source.repository.upstream + "/" + source.repository.name + "@" + source.digest.text();
}

}  // namespace

Fill::Fill(Context& context, WrongOrigins& wrong, Digest digest, std::move_only_function<void()> ended)
    : context_(context),
      wrong_(wrong),
      digest_(digest),
      on_ended_(std::move(ended)),
      progress_(std::make_shared<FillProgress>()) {}

bool Fill::is_store_failure(const Error& error) {
  return error.code == Errc::disk_full || error.code == Errc::io_error || error.code == Errc::cache_corrupt;
}

void Fill::start(const Source& source) {
  sources_.push_back(source);
  auto on_written = [weak = weak_from_this()](cache::Extent written) {
    if (std::shared_ptr<Fill> self = weak.lock()) self->on_written(written);
  };
  writer_ = std::make_shared<PartWriter>(context_, digest_, std::move(on_written));
  context_.loop.spawn(run(shared_from_this()));
}

Task<void> Fill::run(std::shared_ptr<Fill> self) {
  auto look = [&cache = self->context_.cache, digest = self->digest_] { return cache.contains(digest); };
  Result<bool> is_cached = co_await run_on_disk_within(self->context_.disk_patience, self->context_.disk,
                                                       self->context_.loop, "contains", std::move(look));
  if (!is_cached) {
    // The index can't tell: storing it now might replace what it knows. The blob goes past the cache.
    self->context_.cache.note_failure("looking up " + self->digest_.text(), is_cached.error());
    self->end(Ending::failed, Error{Errc::io_error, is_cached.error().message});
    co_return;
  }
  if (*is_cached) {
    // Committed while the first follower was on his way here.
    self->end(Ending::cached, Error{Errc::cancelled, "already cached"});
    co_return;
  }
  PartWriter& writer = *self->writer_;
  Status opened = co_await writer.open();
  if (!opened) {
    self->context_.cache.note_failure("storing " + self->digest_.text(), opened.error());
    self->end(Ending::failed, opened.error());
    co_return;
  }
  Status fetched = co_await self->fetch_from_sources();
  if (fetched) {
    co_await self->store();
    self->end(Ending::cached, Error{Errc::cancelled, "already cached"});
    co_return;
  }
  Error error = fetched.error();
  co_await self->put_away(error);
  self->end(Ending::failed, error);
}

Task<Status> Fill::fetch_from_sources() {
  Error last{Errc::cancelled, "nobody waits for it any more"};
  while (!sources_.empty()) {
    Source source = sources_.front();
    Status fetched = co_await fetch(source);
    stop_stretches();
    download_.reset();
    if (fetched) co_return fetched;
    last = fetched.error();
    if (last.code == Errc::cancelled) {
      if (is_wanted()) continue;  // somebody came in the last moment
      break;
    }
    if (is_store_failure(last)) {
      if (last.code == Errc::disk_full)
        context_.logger.info("{} goes past the cache: {}", describe_source(source), last.message);
      else
        context_.cache.note_failure("storing " + describe_source(source), last);
      break;
    }
    context_.logger.write(describe(last.code).level,
                          "fill of " + describe_source(source) + " failed: " + last.message);
    if (is_distrusted_) break;
    drop_source(last);
  }
  state_ = State::ending;
  co_return fail(last);
}

Task<Status> Fill::fetch(Source source) {
  download_ = std::make_unique<Download>(context_, std::move(source), wrong_, false);
  Download& download = *download_;
  if (head_) download.promise();
  if (head_ && size_ && !may_change_size()) download.promise_size(*size_);
  while (true) {
    Status streamed = co_await stream(download);
    if (streamed || streamed.error().code != Errc::digest_mismatch) co_return streamed;
    if (state_ != State::verifying) {
      // Read again, it was not what is published; or this source has nobody left to ask.
      is_distrusted_ = writer_->has_failed();
      co_return streamed;
    }
    Error wrong = streamed.error();
    Status again = co_await begin_again(download, wrong);
    if (!again) co_return again;
  }
}

Task<Status> Fill::stream(Download& download) {
  main_at_ = writer_->received().prefix();
  Result<std::optional<uint64_t>> size = co_await download.open(main_at_);
  if (!size) co_return fail(size.error());
  Status accepted = co_await accept(*size);
  if (!accepted) co_return accepted;
  state_ = State::streaming;
  if (*size) begin_stretches(download.origin());
  while (true) {
    Result<Chunk> chunk = co_await download.read();
    if (!chunk) {
      Status settled = co_await writer_->settle();
      co_return settled ? Status(fail(chunk.error())) : settled;
    }
    bool is_end = chunk->bytes.empty();
    Status written = co_await write(download, std::move(*chunk));
    if (!written) co_return written;
    if (is_end) {
      Result<bool> goes_on = co_await turn_to_hole(download);
      if (!goes_on) co_return fail(goes_on.error());
      if (!*goes_on) co_return co_await verify();
    }
    if (!is_wanted()) co_return fail(Errc::cancelled, "nobody waits for it any more");
  }
}

// The main stream is at an end: of the blob, or of what nobody else brought. False: all is there.
Task<Result<bool>> Fill::turn_to_hole(Download& download) {
  while (stretches_) {
    std::optional<cache::Extent> hole = stretches_->hole();
    if (hole) {
      bool is_last = hole->end == size_;
      main_at_ = hole->begin;
      download.skip_to(hole->begin, is_last ? std::nullopt : std::optional(hole->end));
      co_return true;
    }
    if (stretches_->is_idle()) break;
    Completion<bool> over;
    stretch_over_ = &over;
    co_await over;
    if (!is_wanted()) co_return fail(Errc::cancelled, "nobody waits for it any more");
  }
  co_return false;
}

void Fill::begin_stretches(size_t origin) {
  if (reads_in_order_) return;
  auto changed = [weak = weak_from_this()] {
    std::shared_ptr<Fill> self = weak.lock();
    if (self && self->stretch_over_ != nullptr) std::exchange(self->stretch_over_, nullptr)->complete(true);
  };
  stretches_ = std::make_shared<Stretches>(context_, wrong_, sources_.front(), writer_, origin, *size_,
                                           std::move(changed));
  for (const ByteWaiter& waiter : byte_waiters_) want({waiter.at, waiter.until});
}

void Fill::stop_stretches() {
  if (stretches_) stretches_->stop();
  stretches_.reset();
}

// The upstream has answered: whoever waits can be told, if there is room for it.
Task<Status> Fill::accept(std::optional<uint64_t> size) {
  bool is_other = head_ && size && size_ && *size != *size_;
  if (is_other && !may_change_size())
    co_return fail(Errc::upstream_failed, "the size is another one than that of the first answer");
  if (size) size_ = size;
  if (size_) {
    if (context_.cache.is_too_large(*size_))
      co_return fail(Errc::disk_full, "larger than the cache may be: " + std::to_string(*size_) + " bytes");
    Status reserved = co_await writer_->reserve(*size_);
    if (!reserved) co_return reserved;
  }
  announce();
  co_return Status();
}

// What somebody else brings is left out.
Task<Status> Fill::write(Download& download, Chunk chunk) {
  if (chunk.at != main_at_) {
    Status again = co_await read_again();
    if (!again) co_return again;
  }
  writer_->absorb_found();
  while (!chunk.bytes.empty()) {
    uint64_t taken = stretches_ ? stretches_->taken_until(main_at_) - main_at_ : 0;
    if (stretches_ && taken >= context_.stretches.worth_skipping && !stretches_->is_refused()) {
      cache::Extent next = stretches_->turn_main(main_at_);
      main_at_ = next.begin;
      bool is_open_ended = next.end == *size_ && next.size() > 0;
      download.skip_to(next.begin, is_open_ended ? std::nullopt : std::optional(next.end));
      break;
    }
    if (taken > 0) {
      uint64_t dropped = std::min<uint64_t>(taken, chunk.bytes.size());
      chunk.bytes.erase(0, dropped);
      main_at_ += dropped;
      continue;
    }
    uint64_t at = main_at_;
    uint64_t free = stretches_ ? stretches_->free_until(at) - at : chunk.bytes.size();
    std::string rest = free < chunk.bytes.size() ? chunk.bytes.substr(free) : std::string();
    chunk.bytes.resize(chunk.bytes.size() - rest.size());
    if (chunk.bytes.empty())
      co_return fail(Errc::upstream_failed, "the upstream sent more than it announced");
    main_at_ += chunk.bytes.size();
    Status written = co_await writer_->write(at, std::move(chunk.bytes));
    if (!written) co_return written;
    chunk.bytes = std::move(rest);
  }
  co_return Status();
}

// The Range was refused: from 0 again, and what is published already must be the same. All that is under way
// is published before we ask how much that is.
Task<Status> Fill::read_again() {
  stop_stretches();
  reads_in_order_ = true;
  main_at_ = 0;
  Status settled = co_await writer_->settle();
  if (!settled) co_return settled;
  cache::Extents published = extents_;
  co_return co_await writer_->rewind(published);
}

Task<Status> Fill::verify() {
  Status settled = co_await writer_->settle();
  if (!settled) co_return settled;
  state_ = State::verifying;
  Status verified = co_await writer_->verify();
  if (verified) publish({0, writer_->hashed()}, true);
  co_return verified;
}

// All is there, and it is not what was asked for. What nobody was shown yet is replaced by what another
// origin, or another source, has.
Task<Status> Fill::begin_again(Download& download, Error wrong) {
  state_ = State::streaming;
  bool is_own_fault = writer_->found() > 0 && !is_doubtful_;
  is_doubtful_ = true;
  reads_in_order_ = true;
  stop_stretches();
  cache::Extents published = extents_;
  Status rewound = co_await writer_->rewind(published);
  if (!rewound) co_return rewound;
  if (may_change_size()) download.forget_size();
  if (is_own_fault) {
    // The bytes that an earlier run left may have been damaged since: the origin is not to blame yet.
    download.start_again();
    co_return Status();
  }
  if (!download.start_over()) co_return fail(wrong);
  context_.logger.error("{}; asking another origin", wrong.message);
  co_return Status();
}

// From here on no follower waits for us. What fails now only means that the blob is fetched again next time.
Task<void> Fill::store() {
  state_ = State::storing;
  const Source source = sources_.front();
  Status placed = co_await writer_->place();
  if (!placed) {
    context_.logger.error("could not store {}: {}", describe_source(source), placed.error().message);
    co_return;
  }
  uint64_t size = writer_->hashed();
  cache::Commit commit;
  commit.blobs.push_back({.digest = digest_, .size = size, .manifest_media_type = {}, .children = {}});
  commit.links.push_back({.repository = source.repository, .object = {.digest = digest_, .size = size}});
  Status committed = co_await commit_to(context_, std::move(commit));
  if (!committed)
    context_.logger.error("could not index {}: {}", describe_source(source), committed.error().message);
}

Task<void> Fill::put_away(Error error) {
  co_await writer_->settle();
  if (is_store_failure(error) && head_) {
    // The followers go on past the cache, from here: when more is to come, what is here may be shown. Not
    // when they have bytes behind it that were about to be compared. When it is all there is, it must be
    // right.
    cache::PartHash end = co_await writer_->hash();
    bool is_more_to_come = size_ ? end.size < *size_ : writer_->received().prefix() > end.size;
    if (end.size >= extents_.prefix() && is_more_to_come) {
      publish({0, end.size}, false);
      remainder_.emplace(end.size, std::move(end.hash));
    } else if (end.size >= extents_.prefix() && end.hash.finish() == digest_) {
      publish({0, end.size}, true);
    }
  }
  // There was no room for the rest in time. Nobody reads what an earlier run left yet, so it may wait for
  // another try; unlike what followers read, which the next fill of it must not touch.
  bool is_only_late = error.code == Errc::disk_full && !head_ && writer_->found() > 0 &&
                      !(size_ && context_.cache.is_too_large(*size_));
  bool is_worth_keeping = writer_->received().prefix() > 0 && !is_doubtful_ && !is_distrusted_ &&
                          (is_only_late || !is_store_failure(error));
  co_await writer_->let_go(is_worth_keeping);
}

bool Fill::is_wanted() const { return followers_ > 0 || !head_waiters_.empty() || is_worth_finishing(); }

bool Fill::is_worth_finishing() const {
  uint64_t received = writer_->received().total();
  if (!head_) return true;  // its size is about to be known
  if (!size_) return received - std::min(received, alone_since_) < kFewBytes;
  return received > *size_ / 2 || *size_ - received < kFewBytes;
}

// A size that nobody was told, or that a small blob's followers take from the verified bytes.
bool Fill::may_change_size() const {
  return !head_ || (extents_.prefix() == 0 && head_->size && *head_->size <= kHeldBackBlock);
}

}  // namespace entrepot::pull
