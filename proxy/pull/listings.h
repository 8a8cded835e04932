#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "base/task/single_flight.h"
#include "proxy/pull/context.h"
#include "proxy/pull/listing_document.h"
#include "proxy/pull/manifests.h"

namespace entrepot::pull {

class Puller;

/// Which listing: the tags of a repository, or the referrers of `subject` in it, from `query` on (a page).
struct ListingKey {
  cache::Repository repository;
  std::optional<Digest> subject;
  std::string query;
  // What `query` says, for who answers out of the cache:
  size_t limit = 1000;
  std::string after = {};

  std::string text() const;
};

struct FoundListing {
  std::shared_ptr<const Listing> listing;
  Outcome outcome = Outcome::hit;
  MonotonicTime fresh_until;
};

/// Tag lists and referrers. A page is given for `tag_ttl` without asking again; then the upstream is asked,
/// by one request however many wait (each page has a home loop). When it can't be asked, the old page is
/// given (P8). A registry without the referrers API is asked for the fallback tag of the distribution-spec
/// ("Referrers Tag Schema"). Offline the tags are those that are here. Kept in memory alone, bounded; least
/// recently used goes first.
class Listings {
 public:
  Listings(Context& context, Puller& puller) : context_(context), puller_(puller) {}

  /// Any request's loop. `client`: as in TagRequest.
  Task<Result<FoundListing>> get(ListingKey key, std::string client);
  /// A push to the repository was announced: the pages that are at home here are asked for before they are
  /// given again, unless the upstream cannot be asked.
  void announce(const cache::Repository& repository);
  /// The page's home loop.
  Task<Result<FoundListing>> get_here(ListingKey key, std::string client);

 private:
  struct Entry {
    std::string key;
    std::shared_ptr<const Listing> listing;
    size_t weight = 0;
    MonotonicTime checked_at;
    MonotonicTime leave_alone_until;    // the upstream has just failed
    Outcome stale_as = Outcome::stale;  // and that is why
    bool is_refreshing = false;         // while it is given
    bool is_announced = false;          // that it has changed
  };
  using Entries = std::list<Entry>;  // most recently used first

  Task<void> refresh_meanwhile(ListingKey key, std::string client);
  Task<Result<FoundListing>> refresh(ListingKey key, std::string client);
  Task<Result<std::shared_ptr<const Listing>>> fetch(ListingKey key, std::string client);
  Task<Result<std::shared_ptr<const Listing>>> find_tags(ListingKey key);
  Task<Result<std::shared_ptr<const Listing>>> find_referrers(ListingKey key, std::string client);
  Task<Result<std::shared_ptr<const Manifest>>> find_fallback(cache::Repository repository, Digest subject,
                                                              std::string client);
  Task<Result<std::shared_ptr<const Listing>>> fetch_fallback(cache::Repository repository, Digest subject,
                                                              std::string client);
  Entry* find(const std::string& key);
  void keep(const std::string& key, std::shared_ptr<const Listing> listing, bool is_announced);

  Context& context_;
  Puller& puller_;
  Entries entries_;
  std::unordered_map<std::string, Entries::iterator> by_key_;
  size_t bytes_ = 0;
  uint64_t announcements_ = 0;  // of pushes, to whatever repository
  SingleFlight<Result<FoundListing>> flights_;
};

}  // namespace entrepot::pull
