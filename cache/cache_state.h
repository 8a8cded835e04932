#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>

#include "cache/blob_files.h"
#include "cache/cache.h"
#include "cache/doubtful_blobs.h"
#include "cache/file_use.h"
#include "cache/inbox.h"
#include "cache/index.h"
#include "cache/index_writer.h"
#include "cache/ledger.h"
#include "cache/overhead.h"
#include "cache/parts_directory.h"
#include "cache/recovery.h"
#include "cache/refs_log.h"
#include "cache/room.h"
#include "cache/scrub.h"
#include "cache/trouble.h"

namespace entrepot::cache {

/// What an open cache is made of, and how it is opened, recovered and ended; the functions that others see
/// are in cache.cc. In the order in which they are made; each refers to those above it.
struct Cache::State {
  State(Options given, const Clock& the_clock, Logger& the_logger)
      : options(std::move(given)), clock(the_clock), logger(the_logger) {}
  ~State() {
    end();
    if (closing) closing->shut();
  }

  void end();
  Status open_files();
  Status open_index();
  Status start(Metrics& metrics);
  void drop(const Digest& digest, std::string complaint, uint64_t bad_inode = 0) {
    inbox->post(DropMessage{.digest = digest, .complaint = std::move(complaint), .bad_inode = bad_inode});
  }
  std::function<void()> dropper_of_unreadable(const Digest& digest, uint64_t inode) const;
  /// Whether the index, and `pinned` bytes, fit.
  Status check_max_size(uint64_t max_size, uint64_t pinned) const;
  struct Rows {
    BlobRow blob;
    std::optional<ManifestRow> manifest;
  };
  /// Of a committed blob that the repository has a link to.
  Result<std::optional<Rows>> find_rows(const Repository& repository, const Digest& digest) const;
  struct Opened {
    SharedFd file;
    uint64_t inode = 0;
    struct timespec written {};
  };
  Status recall_doubts(const Recovered& recovered, std::optional<WallTime> this_run);
  /// Nothing: it is gone, or known to be wrong.
  Result<std::optional<Opened>> open_blob(const Digest& digest, uint64_t size);

  const Options options;
  const Clock& clock;
  Logger& logger;
  UniqueFd root;
  UniqueFd lock;
  UniqueFd index_directory;  // to measure it
  std::shared_ptr<Ledger> ledger;
  std::shared_ptr<ClosingBox> closing;
  std::unique_ptr<OpenFiles> uses;
  std::unique_ptr<BlobFiles> blobs;
  std::unique_ptr<PartsDirectory> parts;
  std::unique_ptr<Index> index;
  std::unique_ptr<RefsLog> log;
  std::unique_ptr<Overhead> overhead;
  std::unique_ptr<Room> room;
  std::unique_ptr<Trouble> trouble;
  std::atomic<bool> is_purging{false};
  std::shared_ptr<Inbox> inbox;
  DoubtfulBlobs doubtful;
  std::unique_ptr<IndexWriter> writer;
  std::unique_ptr<Scrub> scrub;
};

}  // namespace entrepot::cache
