#include "cache/part_file.h"

#include <fcntl.h>

#include <algorithm>

#include "base/check.h"
#include "cache/files.h"

namespace entrepot::cache {
namespace {

constexpr uint64_t kReservedAtOnce = 8u << 20;
// Writing is started along the way, so that the fdatasync at the end is short.
constexpr uint64_t kFlushEvery = 32u << 20;

}  // namespace

Result<std::unique_ptr<Part>> PartFile::create(const Digest& digest, std::shared_ptr<FileUse> use,
                                               Surroundings surroundings) {
  ENTREPOT_TRY_ASSIGN(PartsDirectory::Created created, surroundings.parts.create(digest));
  return std::unique_ptr<Part>(new PartFile(digest, std::move(created), std::move(use), surroundings));
}

PartFile::PartFile(const Digest& digest, PartsDirectory::Created created, std::shared_ptr<FileUse> use,
                   Surroundings surroundings)
    : digest_(digest),
      around_(surroundings),
      generation_(created.generation),
      use_(std::move(use)),
      file_(FileUse::share(std::move(created.file), use_)),
      hasher_(digest.algorithm()) {}

PartFile::~PartFile() {
  if (state_ == State::writing || state_ == State::verified)
    around_.inbox.post(PartLeftMessage{digest_, generation_, std::move(use_)});
}

Status PartFile::reserve_up_to(uint64_t end) {
  uint64_t wanted = reservation_for(end);
  uint64_t has = use_->bytes();
  if (wanted <= has) return {};
  uint64_t step = std::max(kReservedAtOnce, wanted - has);
  if (around_.room.try_take(*use_, step)) return {};
  return around_.room.take(*use_, wanted - has);
}

Status PartFile::append(std::string_view bytes) {
  CHECK(state_ == State::writing);
  if (bytes.empty()) return {};
  ENTREPOT_TRY(reserve_up_to(size_ + bytes.size()));
  ENTREPOT_TRY(write_at(file_->get(), bytes, size_));
  hasher_.update(bytes);
  size_ += bytes.size();
  use_->wrote(bytes.size());
  if (size_ - flushed_ >= kFlushEvery) {
    // Only a hint: fdatasync is what counts, and tells of errors.
    (void)::sync_file_range(file_->get(), static_cast<off_t>(flushed_), static_cast<off_t>(size_ - flushed_),
                            SYNC_FILE_RANGE_WRITE);
    flushed_ = size_;
  }
  return {};
}

Status PartFile::verify() {
  CHECK(state_ == State::writing);
  Digest found = hasher_.finish();
  state_ = State::verified;
  if (found == digest_) return {};
  discard();
  return fail(Errc::digest_mismatch, "asked for " + digest_.text() + ", got bytes of " + found.text());
}

Status PartFile::place() {
  CHECK(state_ == State::verified);
  Status placed = sync_data(file_->get(), digest_.text());
  if (placed) {
    around_.parts.set_placed(digest_, generation_);
    placed = around_.blobs.place(around_.parts.fd(), PartsDirectory::name_of_part(digest_), digest_);
  }
  if (!placed) {
    discard();
    return placed;
  }
  state_ = State::placed;
  around_.inbox.post(PlacedMessage{digest_, generation_, size_, disk_bytes(file_->get()), use_});
  return {};
}

void PartFile::discard() {
  if (state_ == State::placed || state_ == State::discarded) return;
  state_ = State::discarded;
  // When the name can't be removed it is found at the next start.
  (void)around_.parts.remove(digest_, generation_);
  use_->set_removed();
}

}  // namespace entrepot::cache
