#include "cache/parts_directory.h"

#include <fcntl.h>

#include <algorithm>

#include "cache/files.h"

namespace entrepot::cache {

Result<std::unique_ptr<PartsDirectory>> PartsDirectory::open(int directory) {
  ENTREPOT_TRY(make_directory(directory, "parts"));
  ENTREPOT_TRY_ASSIGN(UniqueFd fd, open_directory(directory, "parts"));
  return std::unique_ptr<PartsDirectory>(new PartsDirectory(std::move(fd)));
}

std::string PartsDirectory::name_of_part(const Digest& digest) {
  return std::string(name_of(digest.algorithm())) + "-" + digest.hex();
}

std::optional<Digest> PartsDirectory::parse_name(std::string_view name) {
  std::string text(name);
  size_t dash = text.find('-');
  if (dash == std::string::npos) return std::nullopt;
  text[dash] = ':';
  return Digest::parse(text);
}

Result<PartsDirectory::Created> PartsDirectory::create(const Digest& digest) {
  std::string name = name_of_part(digest);
  std::lock_guard lock(mutex_);
  auto known = entries_.find(digest);
  if (known != entries_.end()) {
    if (known->second.state == PartState::placed)
      return fail(Errc::overloaded, digest.text() + " has just been fetched and is being committed");
    // By somebody who has given up waiting for the disk, and whose last job has not run yet.
    if (known->second.state == PartState::open)
      return fail(Errc::io_error, digest.text() + " is still being written by an earlier fetch");
    if (known->second.use) known->second.use->set_removed();
    entries_.erase(known);
  }
  ENTREPOT_TRY(remove_name(fd_.get(), name));
  ENTREPOT_TRY_ASSIGN(UniqueFd file, open_file(fd_.get(), name, O_RDWR | O_CREAT | O_EXCL));
  uint64_t generation = next_generation_++;
  entries_[digest] = Entry{PartState::open, generation, 0, nullptr, {}};
  return Created{std::move(file), generation};
}

Result<std::optional<PartsDirectory::Taken>> PartsDirectory::take_idle(const Digest& digest) {
  std::lock_guard lock(mutex_);
  auto known = entries_.find(digest);
  if (known == entries_.end() || known->second.state != PartState::idle) return std::optional<Taken>();
  Entry& entry = known->second;
  Result<UniqueFd> file = open_file(fd_.get(), name_of_part(digest), O_RDWR);
  bool is_there = ::faccessat(fd_.get(), name_of_part(digest).c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
  if (!file && is_there) return fail(file.error());  // too many open files, say: the part is worth keeping
  if (!file) {
    // Taken away by somebody else: as good as none.
    entry.use->set_removed();
    entries_.erase(known);
    return std::optional<Taken>();
  }
  Taken taken{{std::move(*file), next_generation_++}, entry.length, std::move(entry.use)};
  entry = Entry{PartState::open, taken.file.generation, 0, nullptr, {}};
  return taken;
}

bool PartsDirectory::is_current(const Digest& digest, uint64_t generation) const {
  auto known = entries_.find(digest);
  return known != entries_.end() && known->second.generation == generation;
}

void PartsDirectory::set_placed(const Digest& digest, uint64_t generation) {
  std::lock_guard lock(mutex_);
  if (is_current(digest, generation)) entries_[digest].state = PartState::placed;
}

void PartsDirectory::set_committed(const Digest& digest, uint64_t generation) {
  std::lock_guard lock(mutex_);
  if (is_current(digest, generation)) entries_[digest].state = PartState::committed;
}

Status PartsDirectory::remove(const Digest& digest, uint64_t generation) {
  std::lock_guard lock(mutex_);
  if (!is_current(digest, generation)) return {};
  entries_.erase(digest);
  ENTREPOT_TRY(remove_name(fd_.get(), name_of_part(digest)));
  return {};
}

void PartsDirectory::left(const Digest& digest, uint64_t generation, std::shared_ptr<FileUse> use,
                          uint64_t sequence, uint64_t length, uint64_t written) {
  std::lock_guard lock(mutex_);
  if (!is_current(digest, generation)) {
    use->set_removed();
    return;
  }
  // What was reserved and not written goes back; what is on disk stays counted. The file may have holes, and
  // what was written last may have no blocks yet.
  struct stat status;
  bool is_there = ::fstatat(fd_.get(), name_of_part(digest).c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0;
  use->set_measured(is_there ? std::max(disk_bytes(status), round_up_to_block(written)) : 0);
  entries_[digest] = Entry{PartState::idle, generation, sequence, std::move(use), length};
}

void PartsDirectory::set_sequence(const Digest& digest, uint64_t generation, uint64_t sequence) {
  std::lock_guard lock(mutex_);
  if (is_current(digest, generation)) entries_[digest].sequence = sequence;
}

void PartsDirectory::found(const Digest& digest, std::shared_ptr<FileUse> use, uint64_t sequence) {
  std::lock_guard lock(mutex_);
  entries_[digest] = Entry{PartState::idle, next_generation_++, sequence, std::move(use), {}};
}

std::optional<PartsDirectory::Idle> PartsDirectory::oldest_idle() const {
  std::lock_guard lock(mutex_);
  std::optional<Idle> oldest;
  for (const auto& [digest, entry] : entries_) {
    if (entry.state != PartState::idle || (oldest && oldest->sequence <= entry.sequence)) continue;
    oldest = Idle{digest, entry.sequence, entry.use->bytes()};
  }
  return oldest;
}

uint64_t PartsDirectory::idle_bytes() const {
  std::lock_guard lock(mutex_);
  uint64_t bytes = 0;
  for (const auto& [digest, entry] : entries_)
    if (entry.state == PartState::idle) bytes += entry.use->bytes();
  return bytes;
}

Status PartsDirectory::remove_idle(const Digest& digest) {
  std::lock_guard lock(mutex_);
  auto known = entries_.find(digest);
  if (known == entries_.end() || known->second.state != PartState::idle) return {};
  ENTREPOT_TRY(remove_name(fd_.get(), name_of_part(digest)));
  known->second.use->set_removed();
  entries_.erase(known);
  return {};
}

}  // namespace entrepot::cache
