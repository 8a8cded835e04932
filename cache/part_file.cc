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
constexpr size_t kReadAtOnce = 256u << 10;
constexpr uint64_t kBlock = 4096;

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
  if (state_ != State::writing && state_ != State::verified) return;
  show_hole();
  around_.inbox.post(PartLeftMessage{digest_, generation_, content(), written_.total(), std::move(use_)});
}

// The next process sees holes of whole blocks only: one that ends within the block it begins in would pass
// for bytes of the blob. What is behind it goes, which whoever goes on does not use anyway. (After a crash
// nobody has done this, and the digest finds out.)
void PartFile::show_hole() {
  if (content_prefix(file_->get()) > content()) (void)truncate(file_->get(), content());
}

Result<std::unique_ptr<Part>> PartFile::adopt(const Digest& digest, Surroundings surroundings) {
  ENTREPOT_TRY_ASSIGN(std::optional<PartsDirectory::Taken> taken, surroundings.parts.take_idle(digest));
  if (!taken) return nullptr;
  int fd = taken->file.file.get();
  uint64_t found = taken->length.value_or(0);
  if (!taken->length) {
    // Left by another process. The last block of what is there may be half written, and holes are seen in
    // whole blocks only: so the last one is fetched again.
    uint64_t prefix = content_prefix(fd);
    found = prefix == 0 ? 0 : (prefix - 1) / kBlock * kBlock;
    ENTREPOT_TRY(truncate(fd, found));
  }
  std::unique_ptr<PartFile> part(
      new PartFile(digest, std::move(taken->file), std::move(taken->use), surroundings));
  part->found_ = found;
  part->written_.add({0, found});
  part->ahead_.add({0, found});
  return part;
}

Status PartFile::reserve(uint64_t size) {
  uint64_t wanted = reservation_for(size);
  uint64_t has = use_->bytes();
  return wanted <= has ? Status() : around_.room.take(*use_, wanted - has);
}

Status PartFile::reserve_up_to(uint64_t end) {
  uint64_t wanted = reservation_for(end);
  uint64_t has = use_->bytes();
  if (wanted <= has) return {};
  uint64_t step = std::max(kReservedAtOnce, wanted - has);
  if (around_.room.try_take(*use_, step)) return {};
  return around_.room.take(*use_, wanted - has);
}

Status PartFile::absorb(uint64_t limit) {
  CHECK(state_ == State::writing);
  std::string buffer(std::min<uint64_t>(limit, kReadAtOnce), '\0');
  uint64_t end = std::min(ahead_.readable_at(size_).end, size_ + limit);
  while (size_ < end) {
    ENTREPOT_TRY_ASSIGN(size_t count, read_at(file_->get(), buffer.data(),
                                              std::min<uint64_t>(buffer.size(), end - size_), size_));
    if (count == 0) return fail(Errc::io_error, "the part of " + digest_.text() + " has become shorter");
    hasher_.update({buffer.data(), count});
    size_ += count;
  }
  flush_along();
  return {};
}

Status PartFile::append(std::string_view bytes) {
  CHECK(state_ == State::writing && ahead_.readable_at(size_).size() == 0);
  while (!bytes.empty()) {
    uint64_t known = kept_.readable_at(size_).size();
    std::string_view piece = bytes.substr(0, known > 0 ? known : kept_.next_begin(size_) - size_);
    ENTREPOT_TRY(known > 0 ? compare(piece) : write(size_, piece));
    hasher_.update(piece);
    size_ += piece.size();
    bytes.remove_prefix(piece.size());
  }
  flush_along();
  return {};
}

Status PartFile::write_ahead(uint64_t at, std::string_view bytes) {
  CHECK(state_ == State::writing && at > size_ && kept_.end() == 0);
  ENTREPOT_TRY(write(at, bytes));
  ahead_.add({at, at + bytes.size()});
  return {};
}

Status PartFile::compare(std::string_view bytes) {
  std::string buffer(std::min(bytes.size(), kReadAtOnce), '\0');
  for (uint64_t at = size_; !bytes.empty();) {
    ENTREPOT_TRY_ASSIGN(size_t count,
                        read_at(file_->get(), buffer.data(), std::min(buffer.size(), bytes.size()), at));
    if (count == 0 || bytes.substr(0, count) != std::string_view(buffer.data(), count))
      return fail(Errc::digest_mismatch, "read again, " + digest_.text() + " is not what was published");
    at += count;
    bytes.remove_prefix(count);
  }
  return {};
}

Status PartFile::write(uint64_t at, std::string_view bytes) {
  ENTREPOT_TRY(reserve_up_to(at + bytes.size()));
  ENTREPOT_TRY(write_at(file_->get(), bytes, at));
  uint64_t before = written_.total();
  written_.add({at, at + bytes.size()});
  use_->wrote(written_.total() - before);
  return {};
}

void PartFile::flush_along() {
  if (size_ < flushed_ + kFlushEvery) return;
  // Only a hint: fdatasync is what counts, and tells of errors.
  (void)::sync_file_range(file_->get(), static_cast<off_t>(flushed_), static_cast<off_t>(size_ - flushed_),
                          SYNC_FILE_RANGE_WRITE);
  flushed_ = size_;
}

Status PartFile::rewind(const Extents& kept) {
  CHECK(state_ == State::writing || state_ == State::verified);
  state_ = State::writing;
  hasher_ = Hasher(digest_.algorithm());
  for (Extent extent : kept.all()) kept_.add(extent);
  ahead_ = {};
  size_ = 0;
  found_ = 0;
  flushed_ = 0;
  return {};
}

Status PartFile::verify() {
  CHECK(state_ == State::writing);
  Digest found = hasher_.copy().finish();  // who goes on without us may still want it
  state_ = State::verified;
  if (found == digest_ && size_ >= kept_.end()) return {};
  return fail(Errc::digest_mismatch, "asked for " + digest_.text() + ", got bytes of " + found.text());
}

Status PartFile::place() {
  CHECK(state_ == State::verified);
  // An earlier, wrong fetch may have gone further; nobody was shown those bytes. And some file systems
  // allocate ahead, which counts until a truncate ends it (XFS).
  Status placed = truncate(file_->get(), size_);
  if (placed) placed = sync_data(file_->get(), digest_.text());
  if (placed) {
    around_.parts.set_placed(digest_, generation_);
    placed = around_.blobs.place(around_.parts.fd(), PartsDirectory::name_of_part(digest_), digest_);
  }
  if (!placed) {
    discard();
    return placed;
  }
  state_ = State::placed;
  around_.inbox.post(PlacedMessage{digest_, generation_, size_, counted_bytes(file_->get()), use_});
  return {};
}

void PartFile::leave() {
  if (state_ != State::writing && state_ != State::verified) return;
  state_ = State::left;
  show_hole();
  around_.parts.left(digest_, generation_, use_, PartsDirectory::kNewest, content(), written_.total());
  around_.inbox.post(PartLeftMessage{digest_, generation_, content(), written_.total(), nullptr});
}

void PartFile::discard() {
  if (state_ == State::placed || state_ == State::left || state_ == State::discarded) return;
  state_ = State::discarded;
  // When the name can't be removed it is found at the next start.
  (void)around_.parts.remove(digest_, generation_);
  // Until the last follower closes it counts what it takes, not what was reserved.
  use_->set_measured(
      std::min(use_->bytes(), std::max(disk_bytes(file_->get()), round_up_to_block(written_.total()))));
  use_->set_removed();
}

}  // namespace entrepot::cache
