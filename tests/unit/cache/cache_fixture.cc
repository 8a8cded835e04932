#include "cache_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <future>
#include <iterator>
#include <random>
#include <set>
#include <system_error>
#include <utility>

namespace entrepot::cache {

TemporaryDirectory::TemporaryDirectory() {
  std::string pattern = (std::filesystem::temp_directory_path() / "entrepot-cache-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

uint64_t disk_usage(const std::filesystem::path& directory) {
  uint64_t sum = 0;
  std::set<std::pair<dev_t, ino_t>> seen;
  auto add = [&](const std::filesystem::path& path) {
    struct stat status;
    if (::lstat(path.c_str(), &status) != 0) return;  // gone meanwhile
    if (seen.emplace(status.st_dev, status.st_ino).second)
      sum += static_cast<uint64_t>(status.st_blocks) * 512;
  };
  add(directory);
  std::error_code error;
  std::filesystem::recursive_directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::recursive_directory_iterator(); entry.increment(error))
    add(entry->path());
  return sum;
}

std::string read_whole(const SharedFd& file) {
  struct stat status;
  if (::fstat(file->get(), &status) != 0) return "";
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  ssize_t got = ::pread(file->get(), bytes.data(), bytes.size(), 0);
  bytes.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return bytes;
}

std::string read_whole(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_whole(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::string make_bytes(uint64_t seed, size_t size) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random());
  return bytes;
}

std::filesystem::path blob_path(const std::filesystem::path& directory, const Digest& digest) {
  return directory / "blobs" / name_of(digest.algorithm()) / digest.hex().substr(0, 2) / digest.hex();
}

std::filesystem::path part_path(const std::filesystem::path& directory, const Digest& digest) {
  return directory / "parts" / (std::string(name_of(digest.algorithm())) + "-" + digest.hex());
}

OpenCache::OpenCache(Options options)
    : options_(std::move(options)),
      null_(::open("/dev/null", O_WRONLY | O_CLOEXEC)),
      logger_(
          {LogLevel::info, LogFormat::text, std::getenv("ENTREPOT_TEST_LOG") != nullptr ? 2 : null_.get()}) {
  reopen();
}

OpenCache::~OpenCache() = default;

void OpenCache::reopen() {
  cache_.reset();
  Result<std::unique_ptr<Cache>> opened = Cache::open(options_, clock_, logger_, metrics_);
  if (!opened) ADD_FAILURE() << opened.error().message;
  if (opened) cache_ = std::move(*opened);
}

Status OpenCache::place(const Digest& digest, std::string_view bytes) {
  Result<std::unique_ptr<Part>> opened = cache_->open_part(digest, bytes.size());
  for (int i = 1; i < attempts_ && !opened && opened.error().code == Errc::disk_full; ++i)
    opened = cache_->open_part(digest, bytes.size());
  if (!opened) return fail(opened.error());
  std::unique_ptr<Part> part = std::move(*opened);
  Status placed = part->absorb(part->found());
  if (placed) placed = part->append(bytes.substr(part->size()));
  if (placed) placed = part->verify();
  if (placed) placed = part->place();
  if (!placed) part->discard();
  return placed;
}

Status OpenCache::commit(Commit commit) {
  std::promise<Status> done;
  cache_->commit(std::move(commit), [&done](Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

Status OpenCache::store(std::string_view bytes) {
  Digest digest = Digest::of(bytes);
  ENTREPOT_TRY(place(digest, bytes));
  Commit one;
  one.blobs.push_back({digest, bytes.size(), "", {}});
  one.links.push_back({kRepository, {digest, bytes.size()}});
  return commit(std::move(one));
}

Status OpenCache::store_manifest(std::string_view bytes, std::vector<Digest> children) {
  Digest digest = Digest::of(bytes);
  ENTREPOT_TRY(place(digest, bytes));
  Commit one;
  one.links.push_back({kRepository, {digest, bytes.size()}});
  for (const Digest& child : children) one.links.push_back({kRepository, {child, 17}});
  one.blobs.push_back(
      {digest, bytes.size(), "application/vnd.oci.image.manifest.v1+json", std::move(children)});
  return commit(std::move(one));
}

std::optional<std::string> OpenCache::find(const Digest& digest, const Repository& repository) {
  Result<std::optional<FoundBlob>> found = cache_->find_blob(repository, digest);
  if (!found) ADD_FAILURE() << found.error().message;
  if (!found || !*found) return std::nullopt;
  Result<bool> is_right = cache_->prove(digest, **found);
  if (!is_right) ADD_FAILURE() << is_right.error().message;
  if (!is_right || !*is_right) return std::nullopt;
  return read_whole((*found)->file);
}

}  // namespace entrepot::cache
