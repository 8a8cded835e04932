#include "cache/evictor.h"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

namespace entrepot::cache {
namespace {

constexpr size_t kSlice = 64;

}  // namespace

Evictor::Evictor(Surroundings surroundings, bool is_offline, Metrics& metrics)
    : around_(surroundings),
      is_offline_(is_offline),
      evicted_blobs_(metrics.counter("entrepot_cache_evicted_total", "Blobs and parts evicted")),
      evicted_bytes_(
          metrics.counter("entrepot_cache_evicted_bytes_total", "Bytes of evicted blobs and parts")) {}

uint64_t Evictor::evictable(const StateRow& state) const {
  if (is_offline_) return 0;
  return state.blob_bytes - std::min(state.blob_bytes, state.pinned_bytes) + around_.parts.idle_bytes();
}

uint64_t Evictor::bytes_to_evict(uint64_t requested, const StateRow& state) const {
  if (is_offline_) return 0;
  const Ledger& ledger = around_.ledger;
  uint64_t limit = ledger.blob_limit();
  uint64_t used = ledger.used();
  uint64_t lingering = ledger.lingering.load(std::memory_order_relaxed);
  uint64_t held = used - std::min(used, lingering);
  uint64_t most = evictable(state);
  bool is_feasible = requested <= limit && used - std::min(used, most) <= limit - requested &&
                     around_.room.file_system_shortage(requested) <= most;
  if (!is_feasible) requested = 0;

  bool is_short = requested > 0 && used + requested > limit;
  uint64_t wanted = 0;
  // What lingers comes back by itself; only a request that can't wait for that evicts others in its place.
  if (is_short || held > ledger.high_water()) wanted = held - std::min(held, ledger.low_water());
  if (is_short) wanted = std::max(wanted, used + requested - limit);
  // What was evicted and is still being sent will be free when it is closed.
  uint64_t shortage = around_.room.file_system_shortage(requested);
  return std::max(wanted, is_short ? shortage : shortage - std::min(shortage, lingering));
}

bool Evictor::is_hopeless(uint64_t requested, const StateRow& state, bool can_evict) const {
  uint64_t limit = around_.ledger.blob_limit();
  uint64_t lingering = around_.ledger.lingering.load(std::memory_order_relaxed);
  uint64_t may_go = evictable(state) + lingering;
  uint64_t used = around_.ledger.used();
  if (requested > limit || used - std::min(used, may_go) > limit - requested) return true;
  if (around_.room.file_system_shortage(requested) > may_go) return true;
  bool has_nothing_left = is_offline_ || !can_evict;
  return has_nothing_left && lingering == 0;
}

Result<Evictor::Choice> Evictor::choose(IndexUpdate& update, uint64_t bytes) {
  Choice choice;
  if (bytes == 0) return choice;
  ENTREPOT_TRY_ASSIGN(std::vector<IndexUpdate::Candidate> candidates, update.least_recently_used(kSlice));
  auto next = candidates.begin();
  uint64_t freed = 0;
  for (size_t i = 0; i < kSlice && freed < bytes; ++i) {
    std::optional<PartsDirectory::Idle> part = around_.parts.oldest_idle();
    if (part && (next == candidates.end() || part->sequence < next->row.sequence)) {
      Status removed = around_.parts.remove_idle(part->digest);
      if (!removed) {
        around_.logger.warn("cannot evict the part of {}: {}", part->digest.text(), removed.error().message);
        return choice;
      }
      freed += part->bytes;
      evicted_blobs_.add();
      evicted_bytes_.add(static_cast<double>(part->bytes));
      choice.has_progress = true;
      continue;
    }
    if (next == candidates.end()) return choice;
    ENTREPOT_TRY(update.doom(next->digest));
    choice.doomed.push_back({next->digest, next->row.disk_bytes, true});
    choice.has_progress = true;
    freed += next->row.disk_bytes;
    ++next;
  }
  return choice;
}

std::vector<Digest> Evictor::take_away(const std::vector<Doomed>& doomed) {
  std::vector<Digest> gone;
  if (doomed.empty()) return gone;
  std::vector<Digest> digests;
  std::unordered_map<Digest, uint64_t, DigestHash> bytes;
  for (const Doomed& blob : doomed) {
    digests.push_back(blob.digest);
    bytes[blob.digest] = blob.disk_bytes;
    if (forget_) forget_(blob.digest);
    around_.open_files.leaving(blob.digest);
  }
  // What can't be removed now stays doomed and counted; the next start tries again.
  Status removed = around_.blobs.remove(digests, gone);
  if (!removed) around_.logger.error("cannot remove evicted blobs: {}", removed.error().message);
  for (const Digest& digest : gone) {
    around_.open_files.removed(digest, bytes[digest]);
    evicted_blobs_.add();
    evicted_bytes_.add(static_cast<double>(bytes[digest]));
  }
  return gone;
}

void Evictor::take_away_undoomed(const std::vector<Doomed>& chosen) {
  std::vector<Digest> digests;
  for (const Doomed& blob : chosen) {
    digests.push_back(blob.digest);
    if (forget_) forget_(blob.digest);
    around_.open_files.leaving(blob.digest);
  }
  std::vector<Digest> gone;
  Status removed = around_.blobs.remove(digests, gone);
  if (!removed) around_.logger.error("cannot remove blobs from a full disk: {}", removed.error().message);
}

}  // namespace entrepot::cache
