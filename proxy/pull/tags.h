#pragma once

#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/task/completion.h"
#include "proxy/pull/absent_tags.h"
#include "proxy/pull/context.h"
#include "proxy/pull/manifests.h"

namespace entrepot::pull {

class Puller;

/// A tag, and who wants it: `client` is whom MissLimit counts, "" is ourselves.
struct TagRequest {
  cache::Repository repository;
  std::string tag;
  std::string client;

  std::string key() const { return repository.upstream + '/' + repository.name + ':' + tag; }
};

struct ResolvedTag {
  Digest digest;
  Outcome outcome = Outcome::hit;
  /// When `tag_ttl` ends, or ended (a stale answer).
  MonotonicTime fresh_until = MonotonicTime::max();
  /// The upstream is being asked meanwhile.
  bool is_to_be_checked = false;
  /// Its manifest was fetched for this answer, and is a hit for whoever asks for it now.
  bool has_brought_manifest = false;
};

/// From tag to digest. A tag is answered from memory or the index within `tag_ttl` of its last check; then by
/// a HEAD upstream, which costs nothing of a rate limit; by a GET only where the HEAD named a manifest that
/// is not there. When the upstream cannot be asked (down, slow, limiting), or does not give the manifest that
/// a tag has moved to, the old digest is given for `stale_ttl`, marked stale (P8), and the upstream is left
/// alone for some seconds; for `stale_while_revalidate` it is given while the upstream is asked. A true 404
/// or a refusal is passed on, and a true 404 kept for `negative_ttl`.
///
/// Each tag has a home loop; there one check runs, however many ask.
class Tags {
 public:
  Tags(Context& context, Puller& puller) : context_(context), puller_(puller) {}

  /// Any request's loop.
  Task<Result<ResolvedTag>> resolve(TagRequest request);
  /// The tag's home loop.
  Task<Result<ResolvedTag>> resolve_here(TagRequest request);
  /// It has been pushed, somebody says: the upstream is asked before it is given again, also when it has just
  /// been asked, and also after a crash. Any loop. Errors: the index's.
  Task<Status> announce(TagRequest request);
  Task<Status> announce_here(TagRequest request);
  /// It has been purged from the index, and is not given from memory either. The tag's home loop.
  void drop(const TagRequest& request);

 private:
  struct Entry {
    std::optional<Digest> digest;
    MonotonicTime checked_at;
    MonotonicTime leave_alone_until;    // the upstream has just failed
    Outcome stale_as = Outcome::stale;  // and that is why
    std::optional<Digest> refuted;      // a HEAD named it, and there is no such manifest
    bool is_checking = false;
    uint64_t announcements = 0;  // of pushes
    uint64_t heeded = 0;         // so many of them were made before it was last asked for
    bool is_announced() const { return announcements != heeded; }
    std::vector<Completion<Result<ResolvedTag>>*> waiters;
  };

  Task<void> check(TagRequest request);
  static void answer_waiters(Entry& entry, const Result<ResolvedTag>& result);
  Task<Result<ResolvedTag>> ask(Entry& entry, TagRequest request);
  Task<void> note_refusal(Entry& entry, TagRequest request, Error error);
  Task<Result<upstream::ManifestHead>> ask_head(upstream::Registry& registry, std::string name,
                                                std::string tag, bool may_be_stale);
  Task<Result<PulledManifest>> pull(Entry& entry, TagRequest request, upstream::ManifestHead head);
  Task<void> recall(Entry& entry, TagRequest request);
  std::optional<ResolvedTag> answer_from(const Entry& entry, const cache::Repository& repository) const;
  Result<ResolvedTag> stale_or_fail(Entry& entry, const cache::Repository& repository, const Error& error);
  void remember(const TagRequest& request, const Digest& digest);
  Task<void> forget(Entry& entry, TagRequest request);
  void make_room();

  Context& context_;
  Puller& puller_;
  std::unordered_map<std::string, Entry> entries_;
  AbsentTags absent_;
};

}  // namespace entrepot::pull
