// What may happen next.

#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "cache/part.h"
#include "model_walk.h"

namespace entrepot::model {
namespace {

constexpr size_t kMostGuests = 16;
constexpr uint64_t kStepsInFashion = 60;
constexpr uint64_t kBlobsInFashion = 3;
constexpr uint64_t kLargestPiece = 512 * 1024;  // upstream::BlobBody::read
constexpr uint64_t kLargestFiller = 600 * 1024;

uint64_t any_count(Random& random) {
  constexpr uint64_t kCounts[] = {1, 4096, 65'535, 65'536, 65'537, 131'072, UINT64_MAX};
  if (chance(random, 50)) return kCounts[below(random, std::size(kCounts))];
  return 1 + below(random, 100'000);
}

std::string of_blob(size_t blob) { return " blob " + std::to_string(blob); }

Task<void> ask_for_head(World& world, Complaints& complaints, pull::Puller& puller, size_t repository,
                        size_t blob) {
  cache::Repository name = world.repositories()[repository];
  Digest digest = world.blobs()[blob].digest;
  Result<pull::BlobHead> head = co_await puller.blobs().head(name, digest);
  if (head && world.right(repository, blob) != World::Right::granted)
    complaints.add("somebody was told the size of blob " + std::to_string(blob) + " who has no right to it");
}

Task<void> ask_for_state(Complaints& complaints, pull::Puller& puller, Digest digest) {
  Result<pull::ObjectState> state = co_await puller.state_of(digest);
  if (!state) complaints.add("the state of a digest: " + state.error().message);
}

// Somebody else's blob, as a fill would store it.
void store(cache::Cache& cache, const std::string& bytes) {
  Digest digest = Digest::of(bytes);
  Result<std::unique_ptr<cache::Part>> part = cache.open_part(digest, bytes.size());
  if (!part || !(*part)->append(bytes) || !(*part)->verify() || !(*part)->place()) return;
  cache::Commit commit;
  commit.blobs.push_back({.digest = digest, .size = bytes.size(), .manifest_media_type = {}, .children = {}});
  cache.commit(std::move(commit), [](const Status&) {});
}

}  // namespace

void Walk::step() {
  uint64_t what = below(random_, 1000);
  if (what < 2) return restart();
  if (what < 10) return lose_file();
  if (what < 13) return hang_or_not();
  if (what < 45) return fill_cache();
  if (what < 60) return ask_head();
  if (what < 70) return ask_state();
  if (what < 110) return pass_time(Duration(below(random_, 2'500)));
  if (what < 320) return step_of_clients();
  if (what < 640) return step_of_upstream();
  step_of_disk();
}

void Walk::step_of_clients() {
  uint64_t what = below(random_, 100);
  if (guests_.empty() || (what < 35 && guests_.size() < kMostGuests)) return come();
  if (what < 80) return allow();
  leave();
}

void Walk::step_of_upstream() {
  std::vector<ModelUpstream::Request> requests = upstream_->requests();
  std::vector<ModelUpstream::Body> bodies = upstream_->bodies();
  if (requests.empty() && bodies.empty()) return step_of_disk();
  if (chance(random_, 40)) {
    for (const ModelUpstream::Request& request : requests) answer(request);
    for (const ModelUpstream::Body& body : bodies) move(body);
  } else if (bodies.empty() || (!requests.empty() && chance(random_, 40))) {
    answer(requests[below(random_, requests.size())]);
  } else {
    move(bodies[below(random_, bodies.size())]);
  }
}

void Walk::step_of_disk() {
  size_t waiting = process_->disk().waiting();
  if (waiting == 0) return step_of_clients();
  uint64_t what = below(random_, 100);
  run_jobs(what < 35 ? 1 : what < 60 ? 2 : waiting);
}

// ---- clients ----

std::shared_ptr<Visitor> Walk::visit(Visitor::Wish wish, size_t loop) {
  auto visitor = std::make_shared<Visitor>(world_, complaints_, wish);
  guests_.push_back({visitor, loop});
  process_->spawn(loop,
                  [visitor, &puller = process_->puller(loop)] { return Visitor::visit(visitor, puller); });
  return visitor;
}

void Walk::allow(const std::shared_ptr<Visitor>& visitor, uint64_t bytes) {
  for (const Guest& guest : guests_)
    if (guest.visitor == visitor)
      process_->loop(guest.loop).post([visitor, bytes] { visitor->allow(bytes); });
}

// For a while a few blobs are asked for much more than the others: so that clients meet, and the cache
// forgets.
size_t Walk::any_blob() {
  size_t count = world_.blobs().size();
  if (chance(random_, 20)) return below(random_, count);
  return (steps_ / kStepsInFashion * kBlobsInFashion + below(random_, kBlobsInFashion)) % count;
}

void Walk::come() {
  Visitor::Wish wish;
  wish.repository = below(random_, world_.repositories().size());
  wish.blob = any_blob();
  wish.is_careful = chance(random_, 15);
  uint64_t size = world_.blobs()[wish.blob].bytes.size();
  if (chance(random_, 15)) wish.begin = below(random_, 1 + size);
  if (chance(random_, 10)) wish.end = wish.begin + 1 + below(random_, 1 + size);
  size_t loop = below(random_, loops_);
  std::shared_ptr<Visitor> visitor = visit(wish, loop);
  note("loop " + std::to_string(loop) + ": " + visitor->name() + " comes, from " +
       std::to_string(wish.begin) + (wish.is_careful ? ", careful" : ""));
  if (chance(random_, 40)) allow(visitor, UINT64_MAX);
}

void Walk::allow() {
  const Guest& guest = guests_[below(random_, guests_.size())];
  uint64_t count = any_count(random_);
  note(guest.visitor->name() + " at " + std::to_string(guest.visitor->view().at) + " may take " +
       std::to_string(count));
  allow(guest.visitor, count);
}

void Walk::leave() {
  const Guest& guest = guests_[below(random_, guests_.size())];
  note(guest.visitor->name() + " at " + std::to_string(guest.visitor->view().at) + " leaves");
  process_->loop(guest.loop).post([visitor = guest.visitor] { visitor->leave(); });
}

// ---- the upstream ----

Answer Walk::honest_answer(const ModelUpstream::Request& request) const {
  World::Right right = world_.right(request.upstream, request.blob.repository, request.blob.digest);
  if (right == World::Right::missing) return Answer::failed({Errc::blob_unknown, "no such blob here"});
  if (right == World::Right::forbidden) return Answer::failed({Errc::denied, "not for you"});
  return Answer::holding(world_.blobs()[world_.blob_of(request.blob.digest)].bytes);
}

std::optional<Error> Walk::any_error(const ModelUpstream::Request& request) {
  if (chance(random_, mood_.lacks_it)) {
    // A mirror may lack what the url has; the url's own no is rarer.
    if (request.blob.origin > 0 || chance(random_, 20)) return Error{Errc::blob_unknown, "not found"};
  }
  if (!chance(random_, mood_.has_errors)) return std::nullopt;
  const Error kErrors[] = {{Errc::upstream_failed, "502", 0},
                           {Errc::upstream_unreachable, "no connection", 0},
                           {Errc::upstream_timeout, "no answer", 0},
                           {Errc::upstream_rate_limited, "429", static_cast<int>(below(random_, 3))}};
  return kErrors[below(random_, std::size(kErrors))];
}

// A body that is whole, and has another size than the blob.
std::string Walk::any_wrong_size(size_t blob) {
  std::string bytes = world_.blobs()[blob].bytes;
  uint64_t difference = 1 + below(random_, chance(random_, 50) ? 100 : 70'000);
  if (!bytes.empty() && chance(random_, 50)) {
    bytes.resize(bytes.size() - std::min<uint64_t>(bytes.size(), difference));
    return bytes;
  }
  std::string more = random_bytes(random_, difference);
  world_.add_wrong(blob, bytes.size(), more);
  return bytes + more;
}

void Walk::flip_in_origin(size_t blob, size_t origin, std::string& bytes) {
  if (bytes.empty()) return;
  uint64_t at = (seed_ * 31 + origin * 7919 + blob * 104'729) % bytes.size();
  bytes[at] = static_cast<char>(bytes[at] ^ 0x01);
  world_.add_wrong(blob, at, bytes.substr(at, 1));
}

void Walk::answer(const ModelUpstream::Request& request) {
  size_t blob = world_.blob_of(request.blob.digest);
  Answer answer = honest_answer(request);
  if (std::optional<Error> error = any_error(request)) answer.error = error;
  if (!answer.error) {
    if (chance(random_, mood_.lies_about_size)) answer.bytes = any_wrong_size(blob);
    if (mood_.wrong_origin == request.blob.origin) flip_in_origin(blob, request.blob.origin, answer.bytes);
    answer.refuses_range = chance(random_, mood_.refuses_ranges);
    answer.hides_size = chance(random_, mood_.hides_sizes);
  }
  note(request.upstream + "/" + request.blob.repository + of_blob(blob) + " from " +
       std::to_string(request.blob.from) +
       (request.blob.until ? " to " + std::to_string(*request.blob.until) : "") + " origin " +
       std::to_string(request.blob.origin) +
       (request.is_head          ? " HEAD"
        : request.blob.is_bypass ? " bypass"
                                 : "") +
       ": " +
       (answer.error ? answer.error->message
                     : std::to_string(answer.bytes.size()) + " bytes" +
                           (answer.refuses_range ? ", range refused" : "") +
                           (answer.hides_size ? ", size hidden" : "")));
  if (!answer.error && !request.is_head) {
    ++tally_["GETs answered"];
    if (request.blob.until)
      ++tally_["stretches"];
    else if (request.blob.from > 0)
      ++tally_[answer.refuses_range ? "ranges refused" : "transfers resumed"];
    if (request.blob.origin > 0) ++tally_["GETs of another origin"];
  }
  has_writer_work_ = has_writer_work_ || request.is_head;  // who is let in gets a link
  upstream_->answer(request.id, std::move(answer));
}

void Walk::move(const ModelUpstream::Body& body) {
  std::string name = "body of" + of_blob(world_.blob_of(body.blob.digest)) + " at " + std::to_string(body.at);
  if (chance(random_, mood_.cuts)) {
    bool is_early_end = chance(random_, 30);
    note(name + (is_early_end ? " ends, " : " is cut, ") + std::to_string(body.left) + " left");
    std::optional<Error> error;
    if (!is_early_end) error = Error{Errc::upstream_cut, "the connection was cut"};
    if (chance(random_, 10)) error = Error{Errc::upstream_timeout, "too slow"};
    return upstream_->end(body.id, error);
  }
  if (body.left == 0) {
    note(name + " ends");
    return upstream_->end(body.id, std::nullopt);
  }
  uint64_t most = std::min(body.left, kLargestPiece);
  uint64_t count = chance(random_, 30) ? most : std::min(any_count(random_), most);
  std::optional<uint64_t> flip;
  if (chance(random_, mood_.flips)) flip = below(random_, count);
  note(name + " gives " + std::to_string(count) + (flip ? ", one flipped" : ""));
  upstream_->give(body.id, count, flip);
}

// ---- the disk ----

void Walk::run_jobs(size_t count) {
  std::string names;
  for (size_t i = 0; i < count; ++i) {
    size_t waiting = process_->disk().waiting();
    if (waiting == 0) break;
    names += (names.empty() ? "" : ", ") + process_->disk().choose(below(random_, waiting));
  }
  has_writer_work_ = true;
  note("disk: " + names);
}

// Whoever cannot wait for long does without the disk.
void Walk::hang_or_not() {
  bool hangs = !process_->disk().is_stuck() && chance(random_, 50);
  note(hangs ? "the disk hangs" : "the disk does not hang");
  process_->disk().set_stuck(hangs);
}

void Walk::pass_time(Duration time) {
  note(std::to_string(time.count()) + " ms pass");
  clock_.advance(time);
}

void Walk::fill_cache() {
  std::string bytes = random_bytes(random_, below(random_, kLargestFiller));
  note("another blob of " + std::to_string(bytes.size()) + " bytes is to be stored");
  process_->disk().submit("another blob",
                          [&cache = process_->cache(), bytes = std::move(bytes)] { store(cache, bytes); });
}

void Walk::ask_head() {
  size_t repository = below(random_, world_.repositories().size());
  size_t blob = any_blob();
  size_t loop = below(random_, loops_);
  note("HEAD of" + of_blob(blob) + " in repository " + std::to_string(repository));
  process_->spawn(loop, [this, repository, blob, &puller = process_->puller(loop)] {
    return ask_for_head(world_, complaints_, puller, repository, blob);
  });
}

void Walk::ask_state() {
  size_t blob = any_blob();
  size_t loop = below(random_, loops_);
  note("state of" + of_blob(blob));
  process_->spawn(loop, [this, digest = world_.blobs()[blob].digest, &puller = process_->puller(loop)] {
    return ask_for_state(complaints_, puller, digest);
  });
}

void Walk::lose_file() {
  size_t blob = below(random_, world_.blobs().size());
  std::string hex = world_.blobs()[blob].digest.hex();
  std::error_code ignored;
  std::filesystem::remove(directory_ / "blobs/sha256" / hex.substr(0, 2) / hex, ignored);
  note("the file of" + of_blob(blob) + " is lost, if there is one");
}

void Walk::restart() {
  note("restart");
  ++tally_["restarts"];
  stop();
  if (chance(random_, 50)) damage_parts();
  start();
}

// As a crash may: bytes that were not written, and blocks that are not what was.
void Walk::damage_parts() {
  for (size_t blob = 0; blob < world_.blobs().size(); ++blob) {
    std::filesystem::path path = directory_ / "parts" / ("sha256-" + world_.blobs()[blob].digest.hex());
    std::error_code error;
    uint64_t size = std::filesystem::file_size(path, error);
    if (error || size == 0 || chance(random_, 50)) continue;
    uint64_t at = below(random_, size);
    if (chance(random_, 50)) {
      std::filesystem::resize_file(path, at, error);
      note("the part of" + of_blob(blob) + " is cut to " + std::to_string(at) + " bytes");
      continue;
    }
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    char byte = static_cast<char>(random_());
    file.seekp(static_cast<std::streamoff>(at));
    file.write(&byte, 1);
    world_.add_wrong(blob, at, std::string(1, byte));
    note("byte " + std::to_string(at) + " of the part of" + of_blob(blob) + " is damaged");
  }
}

}  // namespace entrepot::model
