#include "cache/refs_log.h"

#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

#include "cache/files.h"
#include "cache/record.h"

namespace entrepot::cache {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kTag = 1;
constexpr uint8_t kLink = 2;
constexpr uint8_t kManifest = 3;
constexpr uint8_t kPin = 4;
constexpr uint8_t kImagePin = 5;
constexpr uint8_t kRemoval = 6;
constexpr uint8_t kTagRemoval = 7;

// Header: the magic, then the generation and a CRC over both.
constexpr std::string_view kMagic{"entrepot-refs\0\0\1", 16};
constexpr size_t kHeaderSize = 16 + 8 + 4;
constexpr std::string_view kRecordKey = "refs";
constexpr uint32_t kMaxRecord = 64u << 20;
constexpr size_t kFlushAt = 1u << 20;

std::string make_header(uint64_t generation) {
  std::string header(kMagic);
  append_u64(header, generation);
  append_u32(header, crc32c(header));
  return header;
}

/// 0 when it is no header.
uint64_t generation_of(std::string_view header) {
  if (header.size() < kHeaderSize || !header.starts_with(kMagic)) return 0;
  if (load_u32(header.substr(24)) != crc32c(header.substr(0, 24))) return 0;
  return load_u64(header.substr(16));
}

RecordWriter& repository(RecordWriter& writer, const Repository& repository) {
  return writer.text(repository.upstream).text(repository.name);
}

struct Encoder {
  RecordWriter writer{kVersion};

  void operator()(const Commit::Tag& tag) {
    repository(writer.u8(kTag), tag.repository).text(tag.tag).digest(tag.digest);
    writer.u64(static_cast<uint64_t>(to_milliseconds(tag.checked_at)));
  }
  void operator()(const Commit::Link& link) {
    repository(writer.u8(kLink), link.repository).digest(link.object.digest).u64(link.object.size);
  }
  void operator()(const ManifestEntry& manifest) {
    writer.u8(kManifest).digest(manifest.digest).text(manifest.media_type);
    writer.u32(static_cast<uint32_t>(manifest.children.size()));
    for (const Digest& child : manifest.children) writer.digest(child);
    if (manifest.subject) writer.digest(*manifest.subject);
  }
  void operator()(const PinEntry& pin) { writer.u8(kPin).digest(pin.digest).u8(pin.is_pinned ? 1 : 0); }
  void operator()(const Commit::ImagePin& pin) {
    writer.u8(kImagePin).digest(pin.manifest).u8(pin.is_pinned ? 1 : 0);
    writer.u64(static_cast<uint64_t>(to_milliseconds(pin.at)));
  }
  void operator()(const Commit::Removal& removal) {
    repository(writer.u8(kRemoval), removal.repository).digest(removal.digest);
  }
  void operator()(const Commit::TagRemoval& removal) {
    repository(writer.u8(kTagRemoval), removal.repository).text(removal.tag);
  }
};

std::optional<RefsEntry> decode_tag(RecordReader& reader) {
  Repository repository{reader.text(), reader.text()};
  std::string tag = reader.text();
  std::optional<Digest> digest = reader.digest();
  WallTime checked_at = from_milliseconds(static_cast<int64_t>(reader.u64()));
  if (!digest || !reader.is_complete()) return std::nullopt;
  return Commit::Tag{std::move(repository), std::move(tag), *digest, checked_at};
}

std::optional<RefsEntry> decode_link(RecordReader& reader) {
  Repository repository{reader.text(), reader.text()};
  std::optional<Digest> digest = reader.digest();
  uint64_t size = reader.u64();
  if (!digest || !reader.is_complete()) return std::nullopt;
  return Commit::Link{std::move(repository), {*digest, size}};
}

std::optional<RefsEntry> decode_manifest(RecordReader& reader) {
  std::optional<Digest> digest = reader.digest();
  if (!digest) return std::nullopt;
  ManifestEntry manifest{*digest, reader.text(), {}};
  uint32_t count = reader.u32();
  for (uint32_t i = 0; i < count; ++i) {
    std::optional<Digest> child = reader.digest();
    if (!child) return std::nullopt;
    manifest.children.push_back(*child);
  }
  if (!reader.is_complete()) {
    manifest.subject = reader.digest();
    if (!manifest.subject || !reader.is_complete()) return std::nullopt;
  }
  return manifest;
}

std::optional<RefsEntry> decode_pin(RecordReader& reader) {
  std::optional<Digest> digest = reader.digest();
  bool is_pinned = reader.u8() != 0;
  if (!digest || !reader.is_complete()) return std::nullopt;
  return PinEntry{*digest, is_pinned};
}

std::optional<RefsEntry> decode_image_pin(RecordReader& reader) {
  std::optional<Digest> digest = reader.digest();
  bool is_pinned = reader.u8() != 0;
  WallTime at = from_milliseconds(static_cast<int64_t>(reader.u64()));
  if (!digest || !reader.is_complete()) return std::nullopt;
  return Commit::ImagePin{*digest, is_pinned, at};
}

std::optional<RefsEntry> decode_removal(RecordReader& reader) {
  Repository repository{reader.text(), reader.text()};
  std::optional<Digest> digest = reader.digest();
  if (!digest || !reader.is_complete()) return std::nullopt;
  return Commit::Removal{std::move(repository), *digest};
}

std::optional<RefsEntry> decode_tag_removal(RecordReader& reader) {
  Repository repository{reader.text(), reader.text()};
  std::string tag = reader.text();
  if (!reader.is_complete()) return std::nullopt;
  return Commit::TagRemoval{std::move(repository), std::move(tag)};
}

void append_framed(std::string& to, std::string_view record) {
  append_u32(to, static_cast<uint32_t>(record.size()));
  to += record;
}

// False when there is less, which is then in `into`.
bool read_exactly(std::FILE* file, std::string& into, size_t size) {
  into.resize(size);
  into.resize(std::fread(into.data(), 1, size, file));
  return into.size() == size;
}

}  // namespace

int64_t to_milliseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime from_milliseconds(int64_t milliseconds) {
  // Bounded, since the clock counts in nanoseconds and the number comes from a file.
  constexpr int64_t kLimit = int64_t{1} << 43;
  return WallTime(std::chrono::milliseconds(std::clamp(milliseconds, -kLimit, kLimit)));
}

std::string encode(const RefsEntry& entry) {
  Encoder encoder;
  std::visit(encoder, entry);
  return encoder.writer.finish(kRecordKey);
}

std::optional<RefsEntry> decode_refs_entry(std::string_view record) {
  std::optional<RecordReader> reader = RecordReader::open(record, kRecordKey, kVersion);
  if (!reader) return std::nullopt;
  switch (reader->u8()) {
    case kTag:
      return decode_tag(*reader);
    case kLink:
      return decode_link(*reader);
    case kManifest:
      return decode_manifest(*reader);
    case kPin:
      return decode_pin(*reader);
    case kImagePin:
      return decode_image_pin(*reader);
    case kRemoval:
      return decode_removal(*reader);
    case kTagRemoval:
      return decode_tag_removal(*reader);
    default:
      return std::nullopt;
  }
}

Result<bool> RefsLog::open(const Position& expected) {
  position_ = expected;
  int fd = ::openat(directory_, "refs.log", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && (errno == ENOENT || errno == ELOOP)) return false;
  if (fd < 0) return fail(system_error("cannot open refs.log", errno));
  UniqueFd file(fd);
  struct stat status;
  if (::fstat(fd, &status) != 0) return fail(system_error("cannot stat refs.log", errno));
  if (!S_ISREG(status.st_mode) || static_cast<uint64_t>(status.st_size) < expected.length) return false;
  ENTREPOT_TRY_ASSIGN(std::string header, read_file(fd, kHeaderSize));
  if (generation_of(header) != expected.generation || expected.length < kHeaderSize) return false;
  if (::ftruncate(fd, static_cast<off_t>(expected.length)) != 0)
    return fail(system_error("cannot cut refs.log", errno));
  file_ = std::move(file);
  return true;
}

Status RefsLog::append(const std::vector<std::string>& entries) {
  if (is_broken())
    return fail(Errc::io_error, "refs.log could not be written before and waits to be rewritten");
  std::string bytes;
  for (const std::string& entry : entries) append_framed(bytes, entry);
  if (bytes.empty()) return {};
  Status written = write_at(file_.get(), bytes, position_.length);
  if (written) written = sync_data(file_.get(), "refs.log");
  if (!written) {
    file_.reset();
    return written;
  }
  position_.length += bytes.size();
  return {};
}

RefsLog::Rewrite::Rewrite(RefsLog& log, UniqueFd file, uint64_t generation)
    : log_(log), file_(std::move(file)), generation_(generation), buffer_(make_header(generation)) {}

Status RefsLog::Rewrite::add(const RefsEntry& entry) {
  append_framed(buffer_, encode(entry));
  if (buffer_.size() >= kFlushAt) return flush();
  return {};
}

Status RefsLog::Rewrite::flush() {
  ENTREPOT_TRY(write_at(file_.get(), buffer_, flushed_));
  flushed_ += buffer_.size();
  buffer_.clear();
  return {};
}

Status RefsLog::Rewrite::finish() {
  ENTREPOT_TRY(flush());
  ENTREPOT_TRY(sync_data(file_.get(), "refs.log"));
  if (::renameat(log_.directory_, "refs.log.new", log_.directory_, "refs.log") != 0)
    return fail(system_error("cannot put the new refs.log in place", errno));
  ENTREPOT_TRY(sync_directory(log_.directory_, "of the cache"));
  log_.file_ = std::move(file_);
  log_.position_ = {generation_, flushed_, flushed_};
  return {};
}

Result<RefsLog::Rewrite> RefsLog::rewrite() {
  ENTREPOT_TRY(remove_name(directory_, "refs.log.new"));
  ENTREPOT_TRY_ASSIGN(UniqueFd file, open_file(directory_, "refs.log.new", O_RDWR | O_CREAT | O_EXCL));
  return Rewrite(*this, std::move(file), position_.generation + 1);
}

void RefsLog::take_back(const Position& position) {
  if (!file_.is_open() || position == position_) return;
  bool is_cut = position.generation == position_.generation &&
                ::ftruncate(file_.get(), static_cast<off_t>(position.length)) == 0 &&
                ::fdatasync(file_.get()) == 0;
  if (is_cut)
    position_ = position;
  else
    file_.reset();
}

Result<bool> RefsLog::replay(int directory, const Visit& visit) {
  int fd = ::openat(directory, "refs.log", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return true;
  if (fd < 0) return fail(system_error("cannot read refs.log", errno));
  auto close_file = [](std::FILE* file) { std::fclose(file); };
  std::unique_ptr<std::FILE, decltype(close_file)> file(::fdopen(fd, "r"), close_file);
  if (!file) {
    ::close(fd);
    return fail(Errc::io_error, "cannot read refs.log");
  }
  std::string bytes;
  // A disk that cannot be read now is no torn end: what comes behind must not be lost for it.
  auto end_of = [&file]() -> Result<bool> {
    if (std::ferror(file.get()) != 0) return fail(system_error("cannot read refs.log", errno));
    return false;
  };
  if (!read_exactly(file.get(), bytes, kHeaderSize) || generation_of(bytes) == 0) return end_of();
  while (read_exactly(file.get(), bytes, sizeof(uint32_t))) {
    uint32_t size = load_u32(bytes);
    if (size > kMaxRecord || !read_exactly(file.get(), bytes, size)) return end_of();
    std::optional<RefsEntry> entry = decode_refs_entry(bytes);
    if (!entry) return false;
    ENTREPOT_TRY(visit(std::move(*entry)));
  }
  ENTREPOT_TRY(end_of());
  return bytes.empty() && std::feof(file.get()) != 0;
}

uint64_t RefsLog::disk_bytes() const { return file_.is_open() ? cache::disk_bytes(file_.get()) : 0; }

}  // namespace entrepot::cache
