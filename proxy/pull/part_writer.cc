#include "proxy/pull/part_writer.h"

#include <algorithm>
#include <utility>

#include "base/disk/run_on_disk.h"

namespace entrepot::pull {
namespace {

constexpr uint64_t kMaxBytesUnderWay = 1024 * 1024;
constexpr uint64_t kAbsorbedAtOnce = 4 * 1024 * 1024;

}  // namespace

PartWriter::PartWriter(Context& context, Digest digest,
                       std::move_only_function<void(cache::Extent)> on_written)
    : context_(context), digest_(digest), on_written_(std::move(on_written)), strand_(context.disk) {}

Task<Status> PartWriter::open() {
  auto open = [&cache = context_.cache, digest = digest_] { return cache.open_part(digest, 0); };
  Result<std::unique_ptr<cache::Part>> part =
      co_await run_on_disk(context_.disk, context_.loop, "open part", std::move(open));
  if (!part) co_return fail(part.error());
  state_->part = std::move(*part);
  found_ = state_->part->found();
  received_.add({0, found_});
  co_return Status();
}

void PartWriter::absorb_found() {
  if (!std::exchange(is_absorbing_found_, true)) absorb_what_follows();
}

// A piece at a time: what arrives meanwhile is written in between, and followers get what is hashed.
void PartWriter::absorb_what_follows() {
  if (!is_absorbing_found_ || absorbs_under_way_ > 0 || !status_) return;
  uint64_t count = std::min(kAbsorbedAtOnce, to_be_absorbed());
  if (count == 0) return;
  ++absorbs_under_way_;
  submit("absorb", Kind::absorb, {ordered_, ordered_ + count},
         [count](cache::Part& part) { return part.absorb(count); });
  ordered_ += count;
}

template <class Work>
void PartWriter::submit(const char* name, Kind kind, cache::Extent extent, Work work) {
  if (kind != Kind::absorb) under_way_ += extent.size();
  strand_.submit(name, [self = shared_from_this(), kind, extent, work = std::move(work)]() mutable {
    OnStrand& state = *self->state_;
    if (state.status) state.status = work(*state.part);
    EventLoop& loop = self->context_.loop;
    // `work` goes back too: buffers freed where they were allocated take no lock that a loop could wait for.
    loop.post(
        [self = std::move(self), kind, extent, status = state.status, work = std::move(work)]() mutable {
          static_cast<void>(work);
          self->on_done(kind, extent, std::move(status));
        });
  });
}

void PartWriter::on_done(Kind kind, cache::Extent extent, Status status) {
  if (kind == Kind::absorb)
    --absorbs_under_way_;
  else
    under_way_ -= extent.size();
  if (!status) {
    if (status_) status_ = std::move(status);
  } else {
    if (kind != Kind::write_ahead) hashed_ = extent.end;
    on_written_(extent);
    absorb_what_follows();
  }
  for (Completion<bool>* waiter : std::exchange(waiters_, {})) waiter->complete(true);
}

Task<bool> PartWriter::some_done() {
  Completion<bool> some;
  waiters_.push_back(&some);
  co_return co_await some;
}

Task<Status> PartWriter::write(uint64_t at, std::string bytes) {
  const cache::Extent extent{at, at + bytes.size()};
  received_.add(extent);
  if (at == ordered_) {
    ordered_ = extent.end;
    submit("append", Kind::append, extent,
           [bytes = std::move(bytes)](cache::Part& part) mutable { return part.append(bytes); });
    absorb_what_follows();
  } else {
    submit("write ahead", Kind::write_ahead, extent,
           [at, bytes = std::move(bytes)](cache::Part& part) mutable { return part.write_ahead(at, bytes); });
  }
  while (status_ && under_way_ > kMaxBytesUnderWay) {
    co_await some_done();
  }
  co_return status_;
}

Task<Status> PartWriter::settle() {
  auto is_busy = [this] {
    return under_way_ > 0 || absorbs_under_way_ > 0 || (is_absorbing_found_ && to_be_absorbed() > 0);
  };
  while (status_ && is_busy()) {
    co_await some_done();
  }
  co_return status_;
}

// Runs also after a failure: what is to be done with the part then is for the caller to say.
template <class Work>
Task<Status> PartWriter::run(const char* name, Work work) {
  Completion<Status> done;
  strand_.submit(name, [state = state_, work = std::move(work), &done, &loop = context_.loop]() mutable {
    Status status = work(*state->part);
    loop.post([&done, status = std::move(status)]() mutable { done.complete(std::move(status)); });
  });
  co_return co_await done;
}

template <class Work>
Task<Status> PartWriter::run_apart(const char* name, Work work) {
  auto job = [state = state_, work = std::move(work)]() mutable { return work(*state->part); };
  co_return co_await run_on_disk(context_.syncs, context_.loop, name, std::move(job));
}

Task<Status> PartWriter::reserve(uint64_t size) {
  auto reserve = [size](cache::Part& part) { return part.reserve(size); };
  co_return co_await run("reserve", std::move(reserve));
}

Task<Status> PartWriter::rewind(const cache::Extents& kept) {
  is_absorbing_found_ = true;  // what was found is not wanted any more
  auto rewind = [kept](cache::Part& part) { return part.rewind(kept); };
  Status rewound = co_await run("rewind", std::move(rewind));
  received_ = {};
  ordered_ = 0;
  hashed_ = 0;
  co_return rewound;
}

Task<Status> PartWriter::verify() {
  auto verify = [](cache::Part& part) { return part.verify(); };
  co_return co_await run_apart("verify", std::move(verify));
}

Task<Status> PartWriter::place() {
  auto place = [](cache::Part& part) {
    Status status = part.place();
    if (!status) part.discard();
    return status;
  };
  co_return co_await run_apart("place", std::move(place));
}

Task<Status> PartWriter::let_go(bool is_kept) {
  auto let_go = [is_kept](cache::Part& part) {
    is_kept ? part.leave() : part.discard();
    return Status();
  };
  co_return co_await run("let part go", std::move(let_go));
}

Task<cache::PartHash> PartWriter::hash() {
  Completion<cache::PartHash> done;
  strand_.submit("copy hash", [state = state_, &done, &loop = context_.loop] {
    loop.post([&done, hash = state->part->hash()]() mutable { done.complete(std::move(hash)); });
  });
  co_return co_await done;
}

}  // namespace entrepot::pull
