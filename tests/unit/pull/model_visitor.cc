#include "model_visitor.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

namespace entrepot::model {
namespace {

// Errors that no client should ever see here: nothing is wrong with the disk, and `cancelled` is for those
// who were cancelled.
bool is_absurd(Errc code) {
  return code == Errc::cancelled || code == Errc::internal || code == Errc::io_error ||
         code == Errc::cache_corrupt;
}

}  // namespace

std::string Visitor::name() const {
  const cache::Repository& repository = world_.repositories()[wish_.repository];
  return "client of " + repository.upstream + "/" + repository.name + ", blob " + std::to_string(wish_.blob) +
         " (" + std::to_string(blob().bytes.size()) + " bytes)";
}

Visitor::View Visitor::view() const {
  std::lock_guard lock(mutex_);
  return view_;
}

void Visitor::allow(uint64_t bytes) {
  allowed_ += std::min(bytes, UINT64_MAX - allowed_);
  if (gate_ != nullptr) std::exchange(gate_, nullptr)->complete(true);
}

void Visitor::leave() {
  is_leaving_ = true;
  if (gate_ != nullptr) std::exchange(gate_, nullptr)->complete(true);
}

Task<void> Visitor::visit(std::shared_ptr<Visitor> self, pull::Puller& puller) {
  cache::Repository repository = self->world_.repositories()[self->wish_.repository];
  Digest digest = self->blob().digest;
  Result<pull::OpenBlob> opened = co_await puller.blobs().open(repository, digest);
  if (opened) {
    pull::OpenBlob& blob = *opened;
    co_await self->take(puller, blob);
  } else {
    self->fail_with(opened.error());
  }
  std::lock_guard lock(self->mutex_);
  self->view_.is_over = true;
}

Task<void> Visitor::take(pull::Puller& puller, pull::OpenBlob& blob) {
  {
    std::lock_guard lock(mutex_);
    view_.outcome = blob.outcome;
  }
  if (world_.right(wish_.repository, wish_.blob) != World::Right::granted)
    complain("was let in, and its upstream never did");
  if (blob.fill) {
    co_await follow(puller, blob);
  } else if (blob.bypass) {
    pull::Bypass& bypass = *blob.bypass;
    co_await go_past_cache(bypass);
  } else {
    if (blob.size != this->blob().bytes.size()) complain("found a file of another size in the cache");
    if (!apply_range(blob.size)) co_return;
    while (at_ < end_) {
      bool goes_on = co_await may_go_on();
      if (!goes_on) co_return;
      pass(end_, blob.file);
    }
    complete();
  }
}

// Without a size there is no Range.
bool Visitor::apply_range(std::optional<uint64_t> size) {
  size_ = size;
  if (!size) return true;
  end_ = std::min(*size, wish_.end);
  at_ = wish_.begin;
  if (at_ == 0 || at_ < *size) return true;
  fail_with(Error{Errc::range_invalid, "the range begins behind the end"});
  return false;
}

// As proxy/registry does for what is small: an error is then a clean answer. False: there is nothing to
// follow any more.
Task<bool> Visitor::verify_first(pull::Puller& puller, pull::OpenBlob& blob) {
  pull::FillReader& reader = *blob.fill;
  Result<uint64_t> verified = co_await reader.wait_verified();
  if (verified) {
    if (*verified != this->blob().bytes.size()) complain("the size that was verified is another one");
    blob.size = *verified;
    co_return true;
  }
  if (!pull::Fill::is_store_failure(verified.error())) {
    fail_with(verified.error());
    co_return false;
  }
  pull::Source source{.repository = world_.repositories()[wish_.repository], .digest = this->blob().digest};
  Result<pull::OpenBlob> past = co_await puller.blobs().go_past_cache(std::move(source));
  if (past) {
    pull::Bypass& bypass = *past->bypass;
    co_await go_past_cache(bypass);
  } else {
    fail_with(past.error());
  }
  co_return false;
}

Task<void> Visitor::go_on_past_cache(pull::Puller& puller, pull::FillReader& reader) {
  Result<pull::Remainder> remainder = co_await reader.remainder();
  if (!remainder) {
    // As when what was fetched is wrong and the disk takes nothing else: the connection is cut.
    fail_with(Error{Errc::upstream_failed, "there is no going on: " + remainder.error().message});
    co_return;
  }
  cache::Repository repository = world_.repositories()[wish_.repository];
  Digest digest = this->blob().digest;
  pull::Bypass::Given given{at_, reader.size()};
  Result<std::unique_ptr<pull::Bypass>> bypass =
      co_await puller.blobs().go_on(repository, digest, std::move(*remainder), std::move(given));
  if (!bypass) {
    fail_with(bypass.error());
    co_return;
  }
  {
    std::lock_guard lock(mutex_);
    view_.went_past_cache = true;
  }
  pull::Bypass& rest = **bypass;
  co_await stream(rest);
}

Task<void> Visitor::follow(pull::Puller& puller, pull::OpenBlob& blob) {
  pull::FillReader& reader = *blob.fill;
  if (wish_.is_careful || (blob.size && *blob.size <= pull::kHeldBackBlock)) {
    bool is_verified = co_await verify_first(puller, blob);
    if (!is_verified) co_return;
  }
  if (!apply_range(blob.size)) co_return;
  uint64_t readable = 0;
  while (at_ < end_) {
    bool goes_on = co_await may_go_on();
    if (!goes_on) co_return;
    Result<pull::Readable> ready = co_await reader.wait_readable(at_, end_);
    if (!ready && pull::Fill::is_store_failure(ready.error())) {
      co_await go_on_past_cache(puller, reader);
      co_return;
    }
    if (!ready) {
      fail_with(ready.error());
      co_return;
    }
    check_readable(*ready, readable);
    readable = ready->end;
    pass(ready->end, reader.file());
    if (ready->is_last && at_ >= ready->end) break;
  }
  if (size_ && at_ < end_)
    fail_with(Error{Errc::upstream_failed, "it ended before the size that was announced"});
  else
    complete();
}

void Visitor::check_readable(const pull::Readable& ready, uint64_t before) {
  if (ready.end < before) complain("what was readable has become less");
  if (ready.is_last) return;
  if (ready.end <= at_) complain("was woken for nothing");
  if (ready.end >= blob().bytes.size() && !world_.has_wrong(wish_.blob))
    complain("could read the end before the digest was checked");
}

// As proxy/registry does: what is small is verified before its head is sent, whatever size was announced.
Task<void> Visitor::pass_small(pull::Bypass& bypass) {
  std::string whole;
  while (true) {
    Result<std::string> read = co_await bypass.read();
    if (!read) {
      fail_with(read.error());
      co_return;
    }
    if (read->empty()) break;
    whole += *read;
  }
  if (!apply_range(whole.size())) co_return;
  if (at_ < end_) got(std::string_view(whole).substr(at_, end_ - at_));
  complete();
}

Task<void> Visitor::go_past_cache(pull::Bypass& bypass) {
  if (bypass.size() && *bypass.size() <= pull::kHeldBackBlock) {
    co_await pass_small(bypass);
    co_return;
  }
  if (!apply_range(bypass.size())) co_return;
  uint64_t begin = std::exchange(at_, 0);
  // What lies inside and far from the start is asked for by itself.
  if (size_ && end_ < *size_ && begin > 0) {
    Status skipped = co_await bypass.skip_to(begin);
    if (!skipped) {
      fail_with(skipped.error());
      co_return;
    }
    at_ = begin;
  }
  co_await stream(bypass);
}

Task<void> Visitor::stream(pull::Bypass& bypass) {
  if (world_.right(wish_.repository, wish_.blob) != World::Right::granted)
    complain("was let past the cache, and its upstream never let it in");
  while (at_ < end_) {
    bool goes_on = co_await may_go_on();
    if (!goes_on) co_return;
    if (bypass.given() != at_) complain("the stream is at another place than the client");
    Result<std::string> read = co_await bypass.read();
    if (!read) {
      fail_with(read.error());
      co_return;
    }
    if (read->empty()) break;
    // What is behind the range is not sent.
    read->resize(std::min<uint64_t>(read->size(), end_ - at_));
    allowed_ -= std::min<uint64_t>(allowed_, read->size());
    got(*read);
  }
  if (size_ && at_ < end_)
    fail_with(Error{Errc::upstream_failed, "it ended before the size that was announced"});
  else
    complete();
}

Task<bool> Visitor::may_go_on() {
  if (allowed_ == 0 && !is_leaving_) {
    {
      std::lock_guard lock(mutex_);
      view_.is_hungry = true;
    }
    Completion<bool> order;
    gate_ = &order;
    co_await order;
    std::lock_guard lock(mutex_);
    view_.is_hungry = false;
  }
  co_return !is_leaving_;
}

// Takes what is allowed of [at_, end), as sendfile would.
void Visitor::pass(uint64_t end, const SharedFd& file) {
  end = std::min(end, end_);
  if (end <= at_) return;
  std::string piece(std::min(allowed_, end - at_), '\0');
  ssize_t count = ::pread(file->get(), piece.data(), piece.size(), static_cast<off_t>(at_));
  if (count != static_cast<ssize_t>(piece.size())) complain("what is readable is not in the file");
  allowed_ -= piece.size();
  got(piece);
}

void Visitor::got(std::string_view bytes) {
  std::string wrong = world_.judge(wish_.blob, at_, bytes, is_right_);
  if (!wrong.empty()) complain(wrong);
  at_ += bytes.size();
  // A client that was told the size sees no other end than that.
  if (size_ && at_ >= *size_ && *size_ > pull::kHeldBackBlock && !is_right_)
    complain("has all bytes that were announced, and they are wrong");
  std::lock_guard lock(mutex_);
  view_.at = at_;
}

void Visitor::complete() {
  bool is_inside = size_ && end_ < *size_;
  if (!is_inside && at_ != blob().bytes.size())
    complain("was told that " + std::to_string(at_) + " bytes are all");
  if (!is_inside && !is_right_) complain("got a complete body that is wrong");
  std::lock_guard lock(mutex_);
  view_.is_complete = true;
}

void Visitor::fail_with(const Error& error) {
  if (is_absurd(error.code))
    complain("got an error that is none of his: " + std::string(describe(error.code).label) + ", " +
             error.message);
  std::lock_guard lock(mutex_);
  view_.error = error;
}

}  // namespace entrepot::model
