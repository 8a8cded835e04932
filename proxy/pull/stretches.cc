#include "proxy/pull/stretches.h"

#include <algorithm>
#include <utility>

namespace entrepot::pull {
namespace {

constexpr size_t kMaxRunning = 16;
constexpr size_t kMaxWishes = 1024;

Error stopped() { return Error{Errc::cancelled, "the fill goes on without stretches"}; }

}  // namespace

Stretches::Stretches(Context& context, WrongOrigins& wrong, Source source, std::shared_ptr<PartWriter> writer,
                     size_t origin, uint64_t size, std::move_only_function<void()> changed)
    : context_(context),
      wrong_(wrong),
      source_(std::move(source)),
      writer_(std::move(writer)),
      origin_(origin),
      size_(size),
      changed_(std::move(changed)) {}

void Stretches::want(cache::Extent wanted, uint64_t main_at) {
  const auto& [soon, longest, block, _] = context_.stretches;
  uint64_t missing = end_of_run(wanted.begin, Counted::all);
  bool comes_soon = main_at <= missing && missing - main_at < soon;
  if (is_stopped_ || is_refused_ || comes_soon) return;
  uint64_t end = std::min(size_, (wanted.end + block - 1) / block * block);
  if (wanted.begin < main_at) end = std::min(end, main_at);  // from there on it comes
  for (uint64_t at = wanted.begin / block * block; at < end; at += longest) {
    cache::Extent wish{at, std::min(end, at + longest)};
    if (wishes_.size() >= kMaxWishes) break;
    if (hole_in(wish) && std::ranges::find(wishes_, wish) == wishes_.end()) wishes_.push_back(wish);
  }
  begin_more();
}

void Stretches::begin_more() {
  while (!wishes_.empty() && running_.size() < kMaxRunning) {
    std::optional<cache::Extent> hole = hole_in(wishes_.front());
    if (!hole) {
      wishes_.pop_front();
      continue;
    }
    running_.push_back(Running{*hole});
    context_.loop.spawn(run(shared_from_this(), std::prev(running_.end())));
  }
}

void Stretches::stop() {
  is_stopped_ = true;
  wishes_.clear();
  for (Running& one : running_)
    if (one.download != nullptr) one.download->cancel();
}

Task<void> Stretches::run(std::shared_ptr<Stretches> self, std::list<Running>::iterator one) {
  Running& running = *one;
  Download download(self->context_, self->source_, self->wrong_, false);
  running.download = &download;
  download.promise();
  download.promise_size(self->size_);
  download.require_ranges();
  download.keep_to(self->origin_);
  download.try_again_while([&] { return !self->is_overtaken(running.left); });
  if (self->is_stopped_) download.cancel();
  Status fetched = co_await self->fetch(running, download);
  if (!fetched && fetched.error().code != Errc::cancelled)
    self->context_.logger.info("bytes {} to {} of {} are left to the main stream: {}", running.left.begin,
                               running.left.end, self->source_.digest.text(), fetched.error().message);
  if (!fetched && download.is_range_refused()) self->is_refused_ = true;
  // What could not be had now is not tried again and again.
  if (!fetched && fetched.error().code != Errc::cancelled) self->wishes_.clear();
  self->running_.erase(one);
  self->begin_more();
  self->changed_();
}

Task<Status> Stretches::fetch(Running& one, Download& download) {
  uint64_t from = one.left.begin;
  std::optional<uint64_t> until = one.left.end;
  Result<std::optional<uint64_t>> size = co_await download.open(from, until);
  if (!size) co_return fail(size.error());
  if (is_stopped_) co_return fail(stopped());
  if (is_overtaken(one.left)) co_return Status();
  one.is_coming = true;
  while (one.left.size() > 0) {
    Result<Chunk> chunk = co_await download.read();
    if (!chunk) co_return fail(chunk.error());
    // A flow goes on a while after it was woken: meanwhile the part may have begun again.
    if (is_stopped_) co_return fail(stopped());
    if (chunk->bytes.empty()) break;
    uint64_t at = chunk->at;
    one.left.begin += chunk->bytes.size();
    Status written = co_await writer_->write(at, std::move(chunk->bytes));
    if (!written) co_return written;
  }
  co_return Status();
}

// The main stream has come here while the upstream thought about it.
bool Stretches::is_overtaken(cache::Extent extent) const {
  const cache::Extents& received = writer_->received();
  return received.readable_at(extent.begin).size() > 0 || received.next_begin(extent.begin) < extent.end;
}

cache::Extent Stretches::turn_main(uint64_t at) {
  uint64_t begin = end_of_run(at, Counted::asked);
  uint64_t end = begin == size_ ? size_ : next_run(begin, Counted::asked);
  for (Running& one : running_) {
    bool is_inside = one.left.begin < end && one.left.end > begin;
    if (is_inside && !counts(one, Counted::asked)) one.download->cancel();
  }
  return {begin, end};
}

bool Stretches::counts(const Running& one, Counted counted) {
  if (one.is_coming || counted == Counted::all) return true;
  bool is_backing_off = one.download != nullptr && one.download->is_backing_off();
  return counted == Counted::asked && !is_backing_off;
}

uint64_t Stretches::end_of_run(uint64_t at, Counted counted) const {
  while (true) {
    uint64_t end = writer_->received().readable_at(at).end;
    for (const Running& one : running_)
      if (counts(one, counted) && one.left.begin <= end && end < one.left.end) end = one.left.end;
    if (end == at) return at;
    at = end;
  }
}

uint64_t Stretches::next_run(uint64_t at, Counted counted) const {
  uint64_t end = std::min(size_, writer_->received().next_begin(at));
  for (const Running& one : running_)
    if (counts(one, counted) && one.left.size() > 0 && one.left.begin > at)
      end = std::min(end, one.left.begin);
  return end;
}

std::optional<cache::Extent> Stretches::hole_in(cache::Extent extent) const {
  uint64_t begin = end_of_run(extent.begin, Counted::all);
  if (begin >= extent.end) return std::nullopt;
  return cache::Extent{begin, std::min(extent.end, next_run(begin, Counted::all))};
}

}  // namespace entrepot::pull
