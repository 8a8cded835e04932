#include "proxy/pull/fill.h"

#include <algorithm>
#include <utility>

#include "base/disk/run_on_disk.h"
#include "proxy/pull/commit.h"

namespace entrepot::pull {
namespace {

constexpr uint64_t kHeldBackBlock = 64 * 1024;
constexpr uint64_t kMaxBytesUnderWay = 1024 * 1024;
constexpr char kAlreadyCached[] = "already cached";

std::string describe_source(const Source& source) {
  return source.repository.upstream + "/" + source.repository.name + "@" + source.digest.text();
}

}  // namespace

Fill::Fill(Context& context, Digest digest, std::move_only_function<void()> ended)
    : context_(context),
      digest_(digest),
      on_ended_(std::move(ended)),
      progress_(std::make_shared<FillProgress>()),
      strand_(context.disk) {}

bool Fill::is_already_cached(const Error& error) {
  return error.code == Errc::cancelled && error.message == kAlreadyCached;
}

void Fill::start(const Source& source) {
  sources_.push_back(source);
  context_.loop.spawn(run(shared_from_this()));
}

Task<Result<FillHead>> Fill::head(Source source) {
  if (error_) co_return fail(*error_);
  if (head_) co_return *head_;
  auto is_same = [&source](const Source& known) { return known.repository == source.repository; };
  if (std::ranges::none_of(sources_, is_same)) sources_.push_back(source);
  Completion<Result<FillHead>> done;
  head_waiters_.push_back(HeadWaiter{source.repository, &done});
  co_return co_await done;
}

Task<Result<Readable>> Fill::wait_readable(uint64_t at) {
  std::optional<Result<Readable>> now = readable_now(at);
  if (now) co_return std::move(*now);
  Completion<Result<Readable>> done;
  byte_waiters_.push_back(ByteWaiter{at, &done});
  co_return co_await done;
}

std::optional<Result<Readable>> Fill::readable_now(uint64_t at) const {
  cache::Extent extent = extents_.readable_at(at);
  bool is_verified = progress_->is_verified.load(std::memory_order_relaxed);
  if (extent.size() > 0 || is_verified)
    return Result<Readable>(Readable{extent.end, is_verified && extent.end >= appended_});
  if (error_) return Result<Readable>(fail(*error_));
  return std::nullopt;
}

Task<void> Fill::run(std::shared_ptr<Fill> self) {
  auto look = [&cache = self->context_.cache, digest = self->digest_] { return cache.contains(digest); };
  Result<bool> is_cached =
      co_await run_on_disk(self->context_.disk, self->context_.loop, "contains", std::move(look));
  if (is_cached && *is_cached) {
    // Committed while the first follower was on his way here.
    self->end(Error{Errc::cancelled, kAlreadyCached});
    co_return;
  }
  while (!self->sources_.empty()) {
    Source source = self->sources_.front();
    Status fetched = co_await self->fetch(source);
    if (fetched) {
      co_await self->store(source);
      self->end(Error{Errc::cancelled, kAlreadyCached});
      co_return;
    }
    self->context_.logger.warn("fill of {} failed: {}", describe_source(source), fetched.error().message);
    if (self->head_) {
      self->end(fetched.error());
      co_return;
    }
    self->drop_source(fetched.error());
  }
  self->end(Error{Errc::cancelled, "no source left"});
}

Task<Status> Fill::fetch(Source source) {
  upstream::Registry* registry = context_.upstreams.find(source.repository.upstream);
  if (registry == nullptr)
    co_return fail(Errc::name_unknown, "no such upstream: " + source.repository.upstream);
  Result<std::unique_ptr<upstream::BlobBody>> body =
      co_await registry->get_blob(source.repository.name, digest_);
  if (!body) co_return fail(body.error());
  std::optional<uint64_t> size = (*body)->size();
  if (!size && source.link_size > 0) size = source.link_size;

  uint64_t expected = size.value_or(0);
  Status opened = co_await open_part(expected);
  if (!opened) co_return opened;
  announce(size);
  upstream::BlobBody& bytes = **body;
  Status streamed = co_await stream(bytes);
  if (!streamed) co_return streamed;
  if (size && appended_ != *size)
    co_return fail(Errc::upstream_failed,
                   "the upstream sent " + std::to_string(appended_) + " bytes of " + std::to_string(*size));
  co_return co_await verify();
}

Task<Status> Fill::open_part(uint64_t size) {
  auto open = [&cache = context_.cache, digest = digest_, size] { return cache.open_part(digest, size); };
  Result<std::unique_ptr<cache::Part>> part =
      co_await run_on_disk(context_.disk, context_.loop, "open part", std::move(open));
  if (!part) co_return fail(part.error());
  part_ = std::move(*part);
  co_return Status();
}

Task<Status> Fill::stream(upstream::BlobBody& body) {
  state_ = State::streaming;
  while (true) {
    Result<std::string> bytes = co_await body.read();
    if (!bytes) {
      Status settled = co_await settle();
      co_return settled ? Status(fail(bytes.error())) : settled;
    }
    if (bytes->empty()) co_return co_await settle();
    Status appended = co_await append(std::move(*bytes));
    if (!appended) co_return appended;
  }
}

// Hands the bytes to the part's strand, and waits while more than a little is under way: so a slow disk slows
// the upstream, and memory stays bounded.
Task<Status> Fill::append(std::string bytes) {
  if (head_->size && received_ + bytes.size() > *head_->size)
    co_return fail(Errc::upstream_failed, "the upstream sent more than it announced");
  uint64_t count = bytes.size();
  received_ += count;
  strand_.submit("append",
                 [part = part_, bytes = std::move(bytes), count, self = shared_from_this()]() mutable {
                   Status status = part->append(bytes);
                   EventLoop& loop = self->context_.loop;
                   // The buffer goes back too: freed where it was allocated, it takes no lock that a loop
                   // could wait for.
                   loop.post([self = std::move(self), count, status = std::move(status),
                              bytes = std::move(bytes)] { self->on_appended(count, status); });
                 });
  while (append_status_ && received_ - appended_ > kMaxBytesUnderWay) {
    Completion<bool> some;
    appended_waiter_ = &some;
    co_await some;
  }
  co_return append_status_;
}

// Waits until everything handed to the strand has been written, or one write has failed.
Task<Status> Fill::settle() {
  while (append_status_ && appended_ < received_) {
    Completion<bool> some;
    appended_waiter_ = &some;
    co_await some;
  }
  co_return append_status_;
}

void Fill::on_appended(uint64_t bytes, const Status& status) {
  if (!status && append_status_) append_status_ = status;
  if (append_status_) {
    appended_ += bytes;
    publish((appended_ - 1) / kHeldBackBlock * kHeldBackBlock, false);
  }
  if (appended_waiter_ != nullptr) std::exchange(appended_waiter_, nullptr)->complete(true);
}

template <class Work>
Task<Status> Fill::on_part(const char* name, Work work) {
  Completion<Status> done;
  strand_.submit(name, [part = part_, work = std::move(work), &done, &loop = context_.loop]() mutable {
    Status status = work(*part);
    loop.post([&done, status = std::move(status)]() mutable { done.complete(std::move(status)); });
  });
  co_return co_await done;
}

Task<Status> Fill::verify() {
  state_ = State::verifying;
  auto check = [](cache::Part& part) {
    Status status = part.verify();
    if (!status) part.discard();
    return status;
  };
  Status verified = co_await on_part("verify", std::move(check));
  if (verified) publish(appended_, true);
  co_return verified;
}

// From here on no follower waits for us. What fails now only means that the blob is fetched again next time.
Task<void> Fill::store(Source source) {
  state_ = State::storing;
  auto place = [](cache::Part& part) {
    Status status = part.place();
    if (!status) part.discard();
    return status;
  };
  Status placed = co_await on_part("place", std::move(place));
  if (!placed) {
    context_.logger.error("could not store {}: {}", describe_source(source), placed.error().message);
    co_return;
  }
  cache::Commit commit;
  commit.blobs.push_back({.digest = digest_, .size = appended_, .manifest_media_type = {}, .children = {}});
  commit.links.push_back({.repository = source.repository, .object = {.digest = digest_, .size = appended_}});
  Status committed = co_await commit_to(context_, std::move(commit));
  if (!committed)
    context_.logger.error("could not index {}: {}", describe_source(source), committed.error().message);
}

void Fill::announce(std::optional<uint64_t> size) {
  head_ = FillHead{size, part_->file(), progress_};
  for (HeadWaiter& waiter : std::exchange(head_waiters_, {})) waiter.done->complete(*head_);
}

void Fill::publish(uint64_t end, bool is_verified) {
  uint64_t before = extents_.prefix();
  if (end > before) extents_.add({before, end});
  progress_->readable.store(end, std::memory_order_release);
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

// The first source has failed before its first byte: those who asked through it get its error, the others go
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

void Fill::end(const Error& error) {
  state_ = State::ended;
  error_ = error;
  for (HeadWaiter& waiter : std::exchange(head_waiters_, {})) waiter.done->complete(fail(error));
  for (ByteWaiter& waiter : std::exchange(byte_waiters_, {})) waiter.done->complete(fail(error));
  if (on_ended_) std::exchange(on_ended_, nullptr)();
}

}  // namespace entrepot::pull
