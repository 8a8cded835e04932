#pragma once

#include <memory>
#include <string>

#include "base/hasher.h"
#include "cache/blob_files.h"
#include "cache/file_use.h"
#include "cache/inbox.h"
#include "cache/part.h"
#include "cache/parts_directory.h"
#include "cache/room.h"

namespace entrepot::cache {

/// The Part of the disk cache. What it refers to outlives it.
class PartFile final : public Part {
 public:
  struct Surroundings {
    PartsDirectory& parts;
    BlobFiles& blobs;
    Room& room;
    Inbox& inbox;
  };

  /// BLOCKING. `use` owns what was reserved before.
  static Result<std::unique_ptr<Part>> create(const Digest& digest, std::shared_ptr<FileUse> use,
                                              Surroundings surroundings);
  ~PartFile() override;

  const Digest& digest() const override { return digest_; }
  SharedFd file() const override { return file_; }
  Status append(std::string_view bytes) override;
  uint64_t size() const override { return size_; }
  Status verify() override;
  Status place() override;
  void discard() override;

 private:
  enum class State { writing, verified, placed, discarded };

  PartFile(const Digest& digest, PartsDirectory::Created created, std::shared_ptr<FileUse> use,
           Surroundings surroundings);
  Status reserve_up_to(uint64_t end);

  const Digest digest_;
  Surroundings around_;
  const uint64_t generation_;
  std::shared_ptr<FileUse> use_;
  SharedFd file_;
  Hasher hasher_;
  State state_ = State::writing;
  uint64_t size_ = 0;
  uint64_t flushed_ = 0;  // up to here the kernel was told to start writing
};

/// What a file of `size` bytes takes, with a block each for its extents and for its directory entries.
constexpr uint64_t reservation_for(uint64_t size) { return (size + 4095) / 4096 * 4096 + 8192; }

}  // namespace entrepot::cache
