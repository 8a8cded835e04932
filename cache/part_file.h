#pragma once

#include <algorithm>
#include <memory>
#include <string>

#include "base/hasher.h"
#include "cache/blob_files.h"
#include "cache/extents.h"
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

  /// BLOCKING. Goes on with what an earlier fetch left; nullptr when there is nothing.
  static Result<std::unique_ptr<Part>> adopt(const Digest& digest, Surroundings surroundings);
  /// BLOCKING. A new file. `use` owns what was reserved before.
  static Result<std::unique_ptr<Part>> create(const Digest& digest, std::shared_ptr<FileUse> use,
                                              Surroundings surroundings);
  ~PartFile() override;

  const Digest& digest() const override { return digest_; }
  SharedFd file() const override { return file_; }
  uint64_t found() const override { return found_; }
  Status reserve(uint64_t size) override;
  Status absorb(uint64_t limit) override;
  Status append(std::string_view bytes) override;
  Status write_ahead(uint64_t at, std::string_view bytes) override;
  Status rewind(const Extents& kept) override;
  uint64_t size() const override { return size_; }
  PartHash hash() const override { return {size_, hasher_.copy()}; }
  Status verify() override;
  Status place() override;
  void leave() override;
  void discard() override;

 private:
  enum class State { writing, verified, placed, left, discarded };

  PartFile(const Digest& digest, PartsDirectory::Created created, std::shared_ptr<FileUse> use,
           Surroundings surroundings);
  Status reserve_up_to(uint64_t end);
  Status compare(std::string_view bytes);
  Status write(uint64_t at, std::string_view bytes);
  void flush_along();
  void show_hole();
  /// How far the file holds bytes of the blob.
  uint64_t content() const { return written_.prefix(); }

  const Digest digest_;
  Surroundings around_;
  const uint64_t generation_;
  std::shared_ptr<FileUse> use_;
  SharedFd file_;
  Hasher hasher_;
  State state_ = State::writing;
  uint64_t found_ = 0;
  uint64_t size_ = 0;     // hashed
  Extents ahead_;         // found or written ahead: to be absorbed
  Extents kept_;          // after a rewind: here nothing is written, only compared
  Extents written_;       // where the file holds bytes that were written whole
  uint64_t flushed_ = 0;  // up to here the kernel was told to start writing
};

/// What a file of `size` bytes takes, with a block each for its extents and for its directory entries.
constexpr uint64_t reservation_for(uint64_t size) { return (size + 4095) / 4096 * 4096 + 8192; }

}  // namespace entrepot::cache
