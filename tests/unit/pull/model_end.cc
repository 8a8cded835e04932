// The end of an episode: the upstreams are honest, everybody reads, and everything must come to an end.

#include <algorithm>

#include "model_walk.h"

namespace entrepot::model {
namespace {

constexpr int kMostRounds = 2000;
constexpr int kMostTries = 4;
constexpr uint64_t kLargestPiece = 512 * 1024;

}  // namespace

// One of each: whatever waits for the test gets its turn; and when nothing does, time passes.
void Walk::move_honestly() {
  std::vector<ModelUpstream::Request> requests = upstream_->requests();
  std::vector<ModelUpstream::Body> bodies = upstream_->bodies();
  for (const ModelUpstream::Request& request : requests)
    upstream_->answer(request.id, honest_answer(request));
  for (const ModelUpstream::Body& body : bodies) {
    if (body.left == 0)
      upstream_->end(body.id, std::nullopt);
    else
      upstream_->give(body.id, std::min(body.left, kLargestPiece), std::nullopt);
  }
  size_t jobs = 0;
  while (!process_->disk().choose(below(random_, std::max<size_t>(process_->disk().waiting(), 1))).empty())
    ++jobs;
  if (requests.empty() && bodies.empty() && jobs == 0) {
    wait_for_stuck_jobs();
    clock_.advance(std::chrono::seconds(2));
  }
  has_writer_work_ = true;
  settle();
}

bool Walk::come_to_rest() {
  note("from here on everybody is honest, and reads to the end");
  for (const Guest& guest : guests_) allow(guest.visitor, UINT64_MAX);
  settle();
  for (int i = 0; i < kMostRounds && complaints_.is_empty(); ++i) {
    ModelProcess& process = *process_;
    if (process.flows() == 0 && process.disk().waiting() + process.disk().running() == 0) {
      if (!upstream_->bodies().empty()) complaints_.add("a transfer goes on without anybody");
      return complaints_.is_empty();
    }
    move_honestly();
    check();
  }
  if (complaints_.is_empty()) complaints_.add("it does not come to an end, though everybody is honest");
  say_where_it_hangs();
  return false;
}

std::vector<Visitor::Wish> Walk::all_wishes() const {
  std::vector<Visitor::Wish> wishes;
  for (size_t repository = 0; repository < world_.repositories().size(); ++repository)
    for (size_t blob = 0; blob < world_.blobs().size(); ++blob)
      wishes.push_back({.repository = repository, .blob = blob});
  return wishes;
}

// Whether an honest upstream may still leave this one without what it asked for: what an earlier, wrong
// transfer has left in a part is found out by who is given it first; and under more demand than there is room
// a blob may be evicted as fast as it is fetched.
bool Walk::may_be_refused(const Visitor& visitor) const {
  std::optional<Error> error = visitor.view().error;
  if (!error) return false;
  if (error->code == Errc::overloaded) return true;
  return error->code == Errc::digest_mismatch && world_.has_wrong(visitor.wish().blob);
}

// Gives back those who are to try again.
std::vector<Visitor::Wish> Walk::serve(const std::vector<Visitor::Wish>& wishes) {
  std::vector<std::shared_ptr<Visitor>> visitors;
  for (const Visitor::Wish& wish : wishes) {
    visitors.push_back(visit(wish, below(random_, loops_)));
    allow(visitors.back(), UINT64_MAX);
  }
  if (!come_to_rest()) return {};
  std::vector<Visitor::Wish> again;
  for (const std::shared_ptr<Visitor>& visitor : visitors) {
    Visitor::View view = visitor->view();
    const Visitor::Wish& wish = visitor->wish();
    bool is_granted = world_.right(wish.repository, wish.blob) == World::Right::granted;
    if (view.is_complete || (!is_granted && view.error)) continue;
    if (is_granted && may_be_refused(*visitor))
      again.push_back(wish);
    else
      complaints_.add(visitor->name() + ": of an honest upstream it got " +
                      (view.error ? view.error->message : "nothing"));
  }
  return again;
}

void Walk::check_everybody_is_served() {
  std::vector<Visitor::Wish> wishes = all_wishes();
  std::ranges::shuffle(wishes, random_);
  for (int i = 0; i < kMostTries && !wishes.empty() && complaints_.is_empty(); ++i) {
    wishes = serve(wishes);
    // Those who failed come one after the other: nobody is in their way.
    if (i > 0 || wishes.empty()) continue;
    std::vector<Visitor::Wish> still;
    for (const Visitor::Wish& wish : wishes)
      if (!serve({wish}).empty()) still.push_back(wish);
    wishes = still;
  }
  if (!wishes.empty() && complaints_.is_empty())
    complaints_.add("blob " + std::to_string(wishes[0].blob) +
                    " is never served, though everybody is honest");
}

}  // namespace entrepot::model
