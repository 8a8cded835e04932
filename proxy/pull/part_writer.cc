#include "proxy/pull/part_writer.h"

#include <algorithm>
#include <utility>

#include "base/disk/disk_patience.h"
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
  Result<std::unique_ptr<cache::Part>> part = co_await run_on_disk_within(
      context_.disk_patience, context_.disk, context_.loop, "open part", std::move(open));
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
    Status done = self->state_->run_in_order(work, *self->progress_);
    EventLoop& loop = self->context_.loop;
    // `work` goes back too: buffers freed where they were allocated take no lock that a loop could wait for.
    loop.post(
        [self = std::move(self), kind, extent, status = std::move(done), work = std::move(work)]() mutable {
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
  for (const std::shared_ptr<Wait<bool>>& waiter : std::exchange(waiters_, {})) waiter->end(true);
}

// Twice as long as for a look-up: a disk may take its time for what is written.
DiskPatience PartWriter::patience() const {
  DiskPatience patience = context_.disk_patience;
  if (patience) *patience *= 2;
  return patience;
}

Status PartWriter::give_up() {
  has_given_up_ = true;
  if (status_) status_ = fail(Errc::io_error, "the disk has not written in time");
  return status_;
}

Task<bool> PartWriter::some_done() {
  auto some = std::make_shared<Wait<bool>>();
  waiters_.push_back(some);
  PatienceTimer timer(context_.loop, context_.disk, "write", patience(), progress_,
                      [some] { some->end(false); });
  bool is_done = co_await some->done;
  if (!is_done) give_up();
  co_return is_done;
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
  auto wait = std::make_shared<Wait<std::optional<Status>>>();
  strand_.submit(name, [state = state_, work = std::move(work), wait, progress = progress_,
                        &loop = context_.loop]() mutable {
    Status status = state->run(work, *progress);
    loop.post(
        [wait = std::move(wait), status = std::move(status)]() mutable { wait->end(std::move(status)); });
  });
  PatienceTimer timer(context_.loop, context_.disk, name, patience(), progress_,
                      [wait] { wait->end(std::nullopt); });
  std::optional<Status> status = co_await wait->done;
  co_return status ? std::move(*status) : give_up();
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
  co_return co_await run("verify", std::move(verify));
}

// In the pool for syncs, and for as long as it takes: nobody waits for it.
Task<Status> PartWriter::place() {
  auto place = [state = state_] {
    auto work = [](cache::Part& part) {
      Status status = part.place();
      if (!status) part.discard();
      return status;
    };
    JobProgress unwatched;
    return state->run(work, unwatched);
  };
  co_return co_await run_on_disk(context_.syncs, context_.loop, "place", std::move(place));
}

Task<Status> PartWriter::let_go(bool is_kept) {
  auto let_go = [is_kept](cache::Part& part) {
    is_kept ? part.leave() : part.discard();
    return Status();
  };
  if (!has_given_up_) co_return co_await run("let part go", std::move(let_go));
  strand_.submit("discard part", [state = state_] { state->discard(); });
  co_return status_;
}

Task<cache::PartHash> PartWriter::hash() {
  if (has_given_up_) co_return state_->last_hash(digest_.algorithm());
  auto now = std::make_shared<std::optional<cache::PartHash>>();
  auto copy = [now](cache::Part& part) {
    now->emplace(part.hash());
    return Status();
  };
  Status copied = co_await run("copy hash", std::move(copy));
  if (!copied) co_return state_->last_hash(digest_.algorithm());
  co_return std::move(**now);
}

}  // namespace entrepot::pull
