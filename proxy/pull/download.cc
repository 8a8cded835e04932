#include "proxy/pull/download.h"

#include <algorithm>
#include <utility>

namespace entrepot::pull {
namespace {

tl::unexpected<Error> cancelled() { return fail(Errc::cancelled, "nobody waits for it any more"); }

}  // namespace

Download::Download(Context& context, Source source, WrongOrigins& wrong, bool is_bypass)
    : context_(context),
      source_(std::move(source)),
      wrong_(wrong),
      is_bypass_(is_bypass),
      registry_(context.upstreams.find(source_.repository.upstream)),
      timer_(context.loop, "download retry") {
  if (registry_ == nullptr) return;
  for (size_t origin = 0; origin < registry_->origins(); ++origin) origins_.push_back(origin);
  std::ranges::stable_sort(origins_, {}, [&](size_t origin) {
    return wrong_.rank(source_.digest, source_.repository.upstream, origin);
  });
}

Task<Result<std::optional<uint64_t>>> Download::open(uint64_t from, std::optional<uint64_t> until) {
  if (registry_ == nullptr)
    co_return fail(Errc::name_unknown, "no such upstream: " + source_.repository.upstream);
  body_.reset();
  at_ = from;
  until_ = until;
  furthest_ = std::max(furthest_, from);
  Status connected = co_await connect();
  if (!connected) co_return fail(connected.error());
  co_return size_;
}

Task<Result<Chunk>> Download::read() {
  while (true) {
    // What lies behind has come another way, or is not wanted.
    if (until_ ? at_ == *until_ : !body_ && size_ && at_ == *size_) co_return Chunk{at_, {}};
    Status connected = co_await connect();
    if (!connected) co_return fail(connected.error());
    upstream::BlobBody& body = *body_;
    // A body without a length of its own may keep its end to itself for long; what a manifest says is enough.
    if (size_ && at_ == *size_ && !body.size()) co_return Chunk{at_, {}};
    Result<std::string> bytes = co_await body.read();
    if (is_cancelled_) co_return cancelled();
    Error error;
    if (bytes && !bytes->empty()) {
      if (!size_ || bytes->size() <= *size_ - at_) {
        Chunk chunk{at_, std::move(*bytes)};
        // Without a Range in the request, or with a lax server, more comes than was asked for.
        if (until_ && chunk.bytes.size() > *until_ - at_) chunk.bytes.resize(*until_ - at_);
        at_ += chunk.bytes.size();
        if (at_ > furthest_) has_progress_ = true;
        if (at_ > furthest_) budget_.progress(at_ - furthest_);
        furthest_ = std::max(furthest_, at_);
        co_return std::move(chunk);
      }
      error = Error{Errc::upstream_failed, "the upstream sent more than it announced"};
    } else {
      // All that belongs to it has come, even if the connection then broke before it said so.
      if (end() ? at_ == *end() : bytes.has_value()) co_return Chunk{at_, {}};
      error = bytes ? Error{Errc::upstream_cut, "the body ended early"} : bytes.error();
    }
    Status again = co_await recover(error);
    if (!again) co_return fail(again.error());
  }
}

// Until some origin gives bytes from at_ on, or 0 on, or there is no hope.
Task<Status> Download::connect() {
  while (!body_) {
    if (is_cancelled_) co_return cancelled();
    if (origins_.empty())
      co_return fail(no_answer_ ? *no_answer_ : Error{Errc::upstream_failed, "no origin"});
    upstream::BlobRequest request{.repository = source_.repository.name,
                                  .digest = source_.digest,
                                  .from = at_,
                                  .until = until_,
                                  .origin = origins_[current_],
                                  .is_bypass = is_bypass_};
    Result<std::unique_ptr<upstream::BlobBody>> body = co_await registry_->get_blob(request);
    if (is_cancelled_) co_return cancelled();
    Status taken = body ? take(std::move(*body)) : Status(fail(body.error()));
    if (taken) co_return taken;
    Error error = taken.error();
    Status again = co_await recover(error);
    if (!again) co_return again;
  }
  co_return Status();
}

Status Download::take(std::unique_ptr<upstream::BlobBody> body) {
  std::optional<uint64_t> size = body->size();
  if ((has_head_ || is_size_promised_) && size_ && size && *size != *size_) {
    exclude(origins_[current_]);
    return fail(Errc::upstream_failed, "the size is another one than before");
  }
  if (requires_ranges_ && body->begin() != at_) {
    is_range_refused_ = true;
    exclude(origins_[current_]);
    return fail(Errc::upstream_failed, "the Range was refused");
  }
  if (size)
    size_ = size;
  else if (!size_ && source_.link_size > 0)
    size_ = source_.link_size;
  if (body->begin() != at_) until_.reset();  // the Range was refused: it is the whole, and wanted to its end
  at_ = body->begin();
  body_ = std::move(body);
  has_head_ = true;
  has_progress_ = false;
  size_t origin = origins_[current_];
  if (std::ranges::find(used_, origin) == used_.end()) used_.push_back(origin);
  return {};
}

// After a failure: turns to another origin, or waits. An error means that it is final.
Task<Status> Download::recover(Error error) {
  body_.reset();
  bool had_progress = std::exchange(has_progress_, false);
  if (upstream::is_no_answer(error)) {
    no_answer_ = error;
  } else {
    // What the url itself says is the upstream's word. A mirror that says no just lacks it.
    if (!has_head_ && !origins_.empty() && origins_[current_] == 0) co_return fail(error);
    if (!origins_.empty()) exclude(origins_[current_]);
  }
  if (origins_.empty()) co_return fail(no_answer_ ? *no_answer_ : error);
  bool stays = had_progress && !is_at_next_;
  if (!stays && go_to_next_origin()) co_return Status();
  std::optional<Duration> wait = budget_.after(error, has_head_ || is_promised_);
  if (!wait) {
    // One that always gets a little further, and never far, must not keep the others from their turn.
    bool has_others = stays && ++exhausted_ < registry_->origins() && go_to_next_origin();
    if (!has_others) co_return fail(no_answer_ ? *no_answer_ : error);
    budget_ = RetryBudget();
    co_return Status();
  }
  context_.logger.info("asking again for {} from byte {} in {} ms: {}", source_.digest.text(), at_,
                       wait->count(), error.message);
  bool is_over = co_await sleep(*wait);
  if (!is_over || (is_still_wanted_ && !is_still_wanted_())) co_return cancelled();
  co_return Status();
}

// False when all have been asked, and it is the first one's turn again.
bool Download::go_to_next_origin() {
  if (!std::exchange(is_at_next_, false)) ++current_;
  if (current_ < origins_.size()) return true;
  current_ = 0;
  return false;
}

void Download::exclude(size_t origin) {
  auto found = std::ranges::find(origins_, origin);
  if (found == origins_.end()) return;
  auto index = static_cast<size_t>(found - origins_.begin());
  origins_.erase(found);
  if (index < current_) --current_;
  if (index == current_) is_at_next_ = true;
}

bool Download::start_over() {
  no_answer_ = Error{Errc::digest_mismatch, "no origin has the right bytes of " + source_.digest.text()};
  for (size_t origin : used_) {
    wrong_.add(source_.digest, source_.repository.upstream, origin);
    exclude(origin);
  }
  current_ = 0;
  is_at_next_ = false;
  start_again();
  return !origins_.empty();
}

void Download::skip_to(uint64_t at, std::optional<uint64_t> until) {
  body_.reset();
  at_ = at;
  until_ = until;
  furthest_ = at;
}

void Download::start_again() {
  body_.reset();
  until_.reset();
  used_.clear();
  furthest_ = 0;
  at_ = 0;
}

void Download::cancel() {
  is_cancelled_ = true;
  // Not at once: a read that has been woken and not resumed yet still looks at it.
  if (body_) context_.loop.post([body = std::move(body_)] {});
  timer_.cancel();
  if (sleeper_ != nullptr) std::exchange(sleeper_, nullptr)->complete(false);
}

Task<bool> Download::sleep(Duration duration) {
  Completion<bool> over;
  sleeper_ = &over;
  timer_.start(duration, [this] { std::exchange(sleeper_, nullptr)->complete(true); });
  co_return co_await over;
}

}  // namespace entrepot::pull
