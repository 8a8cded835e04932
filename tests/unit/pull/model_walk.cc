#include "model_walk.h"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "tests/unit/cache/cache_fixture.h"

namespace entrepot::model {
namespace {

constexpr size_t kTraceLength = 80;
constexpr uint64_t kStepsPerLookAtTheDisk = 16;
// A chosen disk job that has not ended by then waits for room, and is left alone. With one loop it is waited
// for, so that a walk is the same each time.
constexpr Duration kPatience{10};
constexpr Duration kLongPatience{5'000};
constexpr int kMostRoundsToStop = 300;

uint64_t some_percent(Random& random) {
  constexpr uint64_t kChoices[] = {0, 0, 10, 25, 50};
  return kChoices[below(random, std::size(kChoices))];
}

// With the smallest, jobs often wait for room until somebody lets go of an evicted file: a second each, when
// nothing else goes on meanwhile.
uint64_t any_max_size(Random& random, size_t loops) {
  constexpr uint64_t kChoices[] = {2, 4, 6, 8};
  size_t first = loops == 1 ? 1 : 0;
  return kChoices[first + below(random, std::size(kChoices) - first)] << 20;
}

}  // namespace

Mood::Mood(Random& random)
    : refuses_ranges(some_percent(random)),
      hides_sizes(some_percent(random)),
      has_errors(some_percent(random)),
      lacks_it(some_percent(random) / 2),
      lies_about_size(some_percent(random) / 4),
      flips(some_percent(random) / 4),
      cuts(some_percent(random)) {
  if (chance(random, 25)) wrong_origin = below(random, 3);
}

std::string Mood::text() const {
  return "ranges refused " + std::to_string(refuses_ranges) + "%, sizes hidden " +
         std::to_string(hides_sizes) + "%, errors " + std::to_string(has_errors) + "%, 404 " +
         std::to_string(lacks_it) + "%, wrong sizes " + std::to_string(lies_about_size) + "%, flips " +
         std::to_string(flips) + "%, cuts " + std::to_string(cuts) + "%, wrong origin " +
         (wrong_origin ? std::to_string(*wrong_origin) : "none");
}

Walk::Walk(const std::filesystem::path& directory, uint64_t seed, size_t loops)
    : directory_(directory),
      seed_(seed),
      loops_(loops),
      random_(seed),
      max_size_(any_max_size(random_, loops)),
      origins_{{"docker.io", 1 + below(random_, 3)}, {"quay.io", 1 + below(random_, 2)}},
      world_(random_, chance(random_, 50) ? max_size_ : 0),
      mood_(random_) {
  start();
}

Walk::~Walk() { end(); }

void Walk::end() {
  if (process_) stop();
}

void Walk::start() {
  upstream_ = std::make_unique<ModelUpstream>(world_, complaints_);
  // In every other life jobs take as long as they may; else those that come late are given up.
  DiskPatience patience;
  if (chance(random_, 50)) patience = Duration(2000);
  ModelProcess::Setup setup{directory_.string(), max_size_, loops_, origins_, patience};
  process_ = std::make_unique<ModelProcess>(setup, clock_, *upstream_);
}

// As main does: the upstreams' clients end what is under way, clients are cut off, and what is left runs out.
void Walk::stop() {
  upstream_->shut_down();
  for (Guest& guest : guests_)
    process_->loop(guest.loop).post([visitor = guest.visitor] { visitor->leave(); });
  int rounds = 0;
  while (process_->flows() > 0 || process_->disk().waiting() + process_->disk().running() > 0) {
    if (++rounds > kMostRoundsToStop) {
      complaints_.add("it does not stop");
      say_where_it_hangs();
      // It can't be taken down in order any more.
      std::cerr << report() << std::endl;
      std::abort();
    }
    while (!process_->disk().choose(0).empty()) continue;
    clock_.advance(std::chrono::seconds(3));
    has_writer_work_ = true;
    settle();
    wait_for_stuck_jobs();
  }
  if (!upstream_->bodies().empty()) complaints_.add("a transfer goes on without anybody");
  guests_.clear();
  tally_["evictions"] += process_->evictions();
  process_.reset();
}

// With one loop the jobs run one after the other, each with what follows from it.
void Walk::settle() {
  ManualDiskPool& disk = process_->disk();
  bool is_in_order = loops_ == 1;
  do {
    stuck_ = std::min(stuck_, disk.running());
    if (!disk.run(is_in_order ? 1 : disk.chosen(), is_in_order ? kLongPatience : kPatience, stuck_)) {
      stuck_ = disk.running();
      ++tally_["disk jobs that waited for room"];
    }
    process_->settle(has_writer_work_ || is_in_order);
  } while (disk.chosen() > 0);
  has_writer_work_ = false;
}

// Room is waited for for a second, in real time.
void Walk::wait_for_stuck_jobs() {
  if (stuck_ == 0) return;
  process_->disk().run(0, kLongPatience);
  stuck_ = process_->disk().running();
  process_->settle(true);
}

void Walk::note(std::string what) {
  trace_.push_back(std::to_string(steps_) + " " + std::move(what));
  if (is_log_wanted()) std::cerr << trace_.back() << std::endl;
  if (trace_.size() > kTraceLength) trace_.pop_front();
}

bool Walk::run(uint64_t steps) {
  mood_ = Mood(random_);
  note("mood: " + mood_.text());
  for (uint64_t i = 0; i < steps && complaints_.is_empty(); ++i) {
    ++steps_;
    step();
    settle();
    check();
  }
  if (!complaints_.is_empty() || !come_to_rest()) return false;
  check_everybody_is_served();
  check_disk();
  return complaints_.is_empty();
}

void Walk::check() {
  uint64_t used = process_->cache().used();
  if (used > max_size_) complaints_.add("the cache uses " + std::to_string(used) + " bytes");
  if (steps_ % kStepsPerLookAtTheDisk == 0) check_disk();
  std::erase_if(guests_, [this](const Guest& guest) {
    Visitor::View view = guest.visitor->view();
    if (view.is_over) count(view);
    return view.is_over;
  });
}

void Walk::count(const Visitor::View& view) {
  constexpr const char* kOutcomes[] = {"hit",  "revalidated", "stale", "limited",
                                       "miss", "collapsed",   "bypass"};
  if (view.is_complete && view.outcome) ++tally_[kOutcomes[static_cast<size_t>(*view.outcome)]];
  if (view.is_complete && view.went_past_cache) ++tally_["went past the cache in the middle"];
  if (view.error) ++tally_[std::string(describe(view.error->code).label)];
  if (!view.error && !view.is_complete) ++tally_["left"];
}

void Walk::check_disk() {
  uint64_t bytes = cache::disk_usage(directory_);
  if (bytes > max_size_) complaints_.add("the directory takes " + std::to_string(bytes) + " bytes");
}

void Walk::say_where_it_hangs() {
  note("flows: " + std::to_string(process_->flows()) +
       ", disk jobs: " + std::to_string(process_->disk().waiting()) + " waiting, " +
       std::to_string(process_->disk().running()) +
       " running, requests: " + std::to_string(upstream_->requests().size()) +
       ", bodies: " + std::to_string(upstream_->bodies().size()));
  for (const Guest& guest : guests_) {
    Visitor::View view = guest.visitor->view();
    note(guest.visitor->name() + " at " + std::to_string(view.at) + (view.is_hungry ? ", hungry" : "") +
         (view.is_over ? ", over" : "") + (view.error ? ", " + view.error->message : ""));
  }
}

std::string Walk::report() const {
  std::string text;
  for (const std::string& complaint : complaints_.all()) text += complaint + "\n";
  text += "seed " + std::to_string(seed_) + ", step " + std::to_string(steps_) + ", " +
          std::to_string(loops_) + " loops, max_size " + std::to_string(max_size_) + "; what led to it:\n";
  for (const std::string& line : trace_) text += "  " + line + "\n";
  return text;
}

}  // namespace entrepot::model
