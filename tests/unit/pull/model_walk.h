#pragma once

#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model_process.h"
#include "model_visitor.h"
#include "model_world.h"

namespace entrepot::model {

/// How badly upstreams and disk behave for a while; in percent of what they do.
struct Mood {
  explicit Mood(Random& random);
  std::string text() const;

  uint64_t refuses_ranges;
  uint64_t hides_sizes;
  uint64_t has_errors;  // 5xx, 429, no connection, time-outs
  uint64_t lacks_it;    // 404 for what is there
  uint64_t lies_about_size;
  uint64_t flips;  // of pieces
  uint64_t cuts;   // of pieces
  std::optional<size_t> wrong_origin;
};

/// A random walk through what may happen to the pull path: clients come, read and leave, upstreams answer,
/// stall, break and lie, disk jobs run in any order, time passes, the cache evicts, the process starts anew.
/// After each step everything is left to settle, and what must always hold is checked.
///
/// What happens follows from the seed, as far as threads let it: with one loop nearly all, but for what the
/// cache evicts when.
class Walk {
 public:
  Walk(const std::filesystem::path& directory, uint64_t seed, size_t loops);
  ~Walk();

  /// So many steps in one mood. Then the upstreams become honest, and everybody must get an end, and who
  /// comes then the right bytes. False: something was wrong, and the walk can't go on.
  bool run(uint64_t steps);
  /// Takes the process down. Nothing runs after it.
  void end();
  /// What was wrong, and what led to it.
  std::string report() const;
  /// What has happened, and how often.
  using Tally = std::map<std::string, uint64_t>;
  const Tally& tally() const { return tally_; }

 private:
  // ---- model_walk.cc ----
  void start();
  void stop();
  void settle();
  void wait_for_stuck_jobs();
  void check();
  void check_disk();
  void note(std::string what);
  void count(const Visitor::View& view);
  void say_where_it_hangs();

  // ---- model_steps.cc ----
  void step();
  void step_of_clients();
  void step_of_upstream();
  void step_of_disk();
  void come();
  size_t any_blob();
  void allow();
  void leave();
  void answer(const ModelUpstream::Request& request);
  void move(const ModelUpstream::Body& body);
  void run_jobs(size_t count);
  void hang_or_not();
  void pass_time(Duration time);
  void fill_cache();
  void ask_head();
  void ask_state();
  void lose_file();
  void restart();
  void damage_parts();
  Answer honest_answer(const ModelUpstream::Request& request) const;
  std::optional<Error> any_error(const ModelUpstream::Request& request);
  std::string any_wrong_size(size_t blob);
  void flip_in_origin(size_t blob, size_t origin, std::string& bytes);

  // ---- model_end.cc ----
  bool come_to_rest();
  void move_honestly();
  void check_everybody_is_served();
  std::vector<Visitor::Wish> all_wishes() const;
  std::vector<Visitor::Wish> serve(const std::vector<Visitor::Wish>& wishes);
  bool may_be_refused(const Visitor& visitor) const;

  std::shared_ptr<Visitor> visit(Visitor::Wish wish, size_t loop);
  void allow(const std::shared_ptr<Visitor>& visitor, uint64_t bytes);

  struct Guest {
    std::shared_ptr<Visitor> visitor;
    size_t loop;
  };

  const std::filesystem::path directory_;
  const uint64_t seed_;
  const size_t loops_;
  Random random_;
  uint64_t max_size_;
  std::map<std::string, size_t> origins_;
  World world_;
  Complaints complaints_;
  StandingClock clock_;
  Mood mood_;
  std::unique_ptr<ModelUpstream> upstream_;
  std::unique_ptr<ModelProcess> process_;
  std::vector<Guest> guests_;
  size_t stuck_ = 0;  // disk jobs that are known to wait for room
  uint64_t steps_ = 0;
  bool has_writer_work_ = false;  // something was done that a commit may follow
  std::deque<std::string> trace_;
  Tally tally_;
};

}  // namespace entrepot::model
