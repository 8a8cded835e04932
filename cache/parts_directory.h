#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/digest.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "cache/file_use.h"

namespace entrepot::cache {

/// The names under `parts/`, `<algorithm>-<hex>`, and who has them. All functions are BLOCKING; the mutex is
/// taken by disk-pool threads and the index writer only.
///
///     (no entry) --create--> open --set_placed--> placed --set_committed--> committed --remove--> (no entry)
///                             |  \                   \--remove (withdrawn)--> (no entry)
///                             |   \--remove (discarded)--> (no entry)
///                             \--left--> idle --take_idle--> open
///                                          \--remove_idle (evicted)--> (no entry)
///
/// `create` takes over from idle and from committed: the old name goes, with it an idle part's file.
///
/// A generation tells two parts of one digest apart: what is said late of an earlier one is no news of the
/// later.
class PartsDirectory {
 public:
  static Result<std::unique_ptr<PartsDirectory>> open(int directory);
  static std::string name_of_part(const Digest& digest);
  static std::optional<Digest> parse_name(std::string_view name);

  int fd() const { return fd_.get(); }

  struct Created {
    UniqueFd file;
    uint64_t generation = 0;
  };
  /// A new, empty file. Refused with `overloaded` while an earlier part of the digest is placed and its
  /// commit not settled: its name is what recovery would find it by; and with `io_error` while one is open.
  Result<Created> create(const Digest& digest);
  struct Taken {
    Created file;
    std::optional<uint64_t> length;  // how far its content goes; nothing: another process left it
    std::shared_ptr<FileUse> use;
  };
  /// An idle part, open again, with all that is in it; nothing when there is none.
  Result<std::optional<Taken>> take_idle(const Digest& digest);
  void set_placed(const Digest& digest, uint64_t generation);
  /// Its blob is durable: recovery does not need the name any more.
  void set_committed(const Digest& digest, uint64_t generation);
  /// Discarded, committed or withdrawn: the name is removed.
  Status remove(const Digest& digest, uint64_t generation);
  /// Closed with its file kept for the next who asks; `use` owns its bytes, `length` is how far its content
  /// goes, `written` what there is of it altogether. `sequence` is its place in the order of eviction.
  void left(const Digest& digest, uint64_t generation, std::shared_ptr<FileUse> use, uint64_t sequence,
            uint64_t length, uint64_t written);
  /// The place of a part that was left with `kNewest`.
  void set_sequence(const Digest& digest, uint64_t generation, uint64_t sequence);
  static constexpr uint64_t kNewest = UINT64_MAX;
  /// The same for a part that was found at the start.
  void found(const Digest& digest, std::shared_ptr<FileUse> use, uint64_t sequence);

  struct Idle {
    Digest digest;
    uint64_t sequence = 0;
    uint64_t bytes = 0;
  };
  std::optional<Idle> oldest_idle() const;
  uint64_t idle_bytes() const;
  Status remove_idle(const Digest& digest);

 private:
  enum class PartState { open, placed, committed, idle };
  struct Entry {
    PartState state = PartState::open;
    uint64_t generation = 0;
    uint64_t sequence = 0;
    std::shared_ptr<FileUse> use;    // of an idle part
    std::optional<uint64_t> length;  // of an idle part that this process left
  };
  explicit PartsDirectory(UniqueFd fd) : fd_(std::move(fd)) {}
  bool is_current(const Digest& digest, uint64_t generation) const;

  UniqueFd fd_;
  mutable std::mutex mutex_;
  std::unordered_map<Digest, Entry, DigestHash> entries_;
  uint64_t next_generation_ = 1;
};

}  // namespace entrepot::cache
