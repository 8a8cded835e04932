#pragma once

#include <atomic>
#include <cstdint>

#include "cache/files.h"
#include "cache/index.h"
#include "cache/ledger.h"
#include "cache/parts_directory.h"
#include "cache/refs_log.h"

namespace entrepot::cache {

/// What the directory holds beside blobs and parts: index, refs.log, small files, directories (those of
/// blobs/ are BlobFiles' affair). It grows by itself, so it is measured after each change and the ledger is
/// set right. The index writer's thread, and the opening cache before there is one.
class Overhead {
 public:
  Overhead(int root, int index_directory, const PartsDirectory& parts, const Index& index, const RefsLog& log,
           Ledger& ledger)
      : root_(root),
        index_directory_(index_directory),
        parts_(parts),
        index_(index),
        log_(log),
        ledger_(ledger) {}

  /// `reserved` bytes of the ledger were set aside for what it has grown by; they are given back with it.
  void measure(uint64_t reserved = 0) {
    uint64_t now = kSmallFiles + index_.disk_bytes() + log_.disk_bytes() + disk_bytes(root_) +
                   disk_bytes(index_directory_) + disk_bytes(parts_.fd());
    ledger_.recount(bytes() + reserved, now);
    known_.store(now, std::memory_order_relaxed);
  }

  /// As last measured. Any thread.
  uint64_t bytes() const { return known_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint64_t kSmallFiles = 8192;  // FORMAT and LOCK

  const int root_;
  const int index_directory_;
  const PartsDirectory& parts_;
  const Index& index_;
  const RefsLog& log_;
  Ledger& ledger_;
  std::atomic<uint64_t> known_{0};
};

}  // namespace entrepot::cache
