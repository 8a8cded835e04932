#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/digest.h"
#include "base/mailbox.h"
#include "base/shared_fd.h"
#include "cache/ledger.h"

namespace entrepot::cache {

class FileUse;

/// Descriptors to be closed by the index writer: closing the last one of a large removed file frees its
/// blocks, which takes too long for an event loop.
class ClosingBox {
 public:
  struct Closing {
    std::shared_ptr<FileUse> use;  // given up after the file is closed
    UniqueFd file;
  };
  ClosingBox();
  void post(Closing closing);
  void close_all() {
    box_.drain([](const Closing& closing) { (void)closing; });
  }
  /// The writer has ended: from now on whoever lets go closes.
  void shut();
  /// Readable when something was posted; the writer waits for it with poll(2). Others may signal it too.
  int wake_fd() const { return wake_.get(); }
  void wake() const;

 private:
  Mailbox<Closing> box_;
  std::atomic<bool> is_shut_{false};
  UniqueFd wake_;
};

/// The bytes of one file that nobody else accounts for, given back when the last who has it open lets go. A
/// part's file owns its reservation through this; a committed blob's bytes belong to its index row, until it
/// is evicted while open: then the row's bytes are given to its FileUse. Shared by all descriptors of the
/// file; they may go on any thread, also after the Cache.
class FileUse {
 public:
  FileUse(std::shared_ptr<Ledger> ledger, std::shared_ptr<ClosingBox> closing)
      : ledger_(std::move(ledger)), closing_(std::move(closing)) {}
  ~FileUse();
  FileUse(const FileUse&) = delete;
  FileUse& operator=(const FileUse&) = delete;

  /// Takes responsibility for bytes that are in the ledger, none of them written (`unwritten`) or all.
  void own_reserved(uint64_t bytes);
  void own_written(uint64_t bytes);
  void wrote(uint64_t bytes);
  /// Hands all bytes over to the caller, who answers for them in the ledger from now on.
  uint64_t hand_over();
  /// The file turned out to take this much: the ledger is set right.
  void set_measured(uint64_t bytes);
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  /// The file has no name any more.
  void set_removed();
  bool is_removed() const { return is_removed_.load(std::memory_order_acquire); }

  /// A shared descriptor that keeps `use` alive until it is closed.
  static SharedFd share(UniqueFd file, std::shared_ptr<FileUse> use,
                        std::function<void()> on_unreadable = {});

 private:
  void settle_unwritten();

  const std::shared_ptr<Ledger> ledger_;
  const std::shared_ptr<ClosingBox> closing_;
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> unwritten_{0};
  std::atomic<bool> is_removed_{false};
};

/// Which committed blobs are open, by digest. The mutex is taken by disk-pool threads and the writer only.
class OpenFiles {
 public:
  OpenFiles(std::shared_ptr<Ledger> ledger, std::shared_ptr<ClosingBox> closing)
      : ledger_(std::move(ledger)), closing_(std::move(closing)) {}

  /// Before open(2) of a blob: whoever removes it later finds us.
  std::shared_ptr<FileUse> use(const Digest& digest);
  /// The file of a part becomes that of the blob.
  void adopt(const Digest& digest, const std::shared_ptr<FileUse>& use);
  /// The blob's file is about to lose its name: whoever closes it from now on leaves that to the writer.
  void leaving(const Digest& digest);
  /// After the blob's file was removed or replaced: its `bytes` go with those who have it open, or are given
  /// back.
  void removed(const Digest& digest, uint64_t bytes);

  std::shared_ptr<FileUse> make_use() const { return std::make_shared<FileUse>(ledger_, closing_); }

 private:
  void sweep();

  const std::shared_ptr<Ledger> ledger_;
  const std::shared_ptr<ClosingBox> closing_;
  std::mutex mutex_;
  std::unordered_map<Digest, std::weak_ptr<FileUse>, DigestHash> uses_;
  size_t sweep_at_ = 1024;
};

}  // namespace entrepot::cache
