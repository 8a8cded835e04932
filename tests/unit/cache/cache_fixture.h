#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/unique_fd.h"
#include "cache/cache.h"
#include "cache/part.h"

namespace entrepot::cache {

/// A directory under TMPDIR that goes with the object.
class TemporaryDirectory {
 public:
  TemporaryDirectory();
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Bytes of everything in the directory by blocks, hard links once: what du(1) counts.
uint64_t disk_usage(const std::filesystem::path& directory);

std::string read_whole(const SharedFd& file);
std::string read_whole(const std::filesystem::path& path);
void write_whole(const std::filesystem::path& path, std::string_view bytes);
/// `size` bytes that no other `seed` has.
std::string make_bytes(uint64_t seed, size_t size);
std::filesystem::path blob_path(const std::filesystem::path& directory, const Digest& digest);
std::filesystem::path part_path(const std::filesystem::path& directory, const Digest& digest);

inline const Repository kRepository{"docker.io", "library/alpine"};
inline const Repository kOther{"quay.io", "library/alpine"};

/// A cache in a directory of its own, with everything it needs; the log is thrown away. Nothing is made
/// before `open`, so that a test can fork first.
class OpenCache {
 public:
  explicit OpenCache(Options options);
  OpenCache(const std::filesystem::path& directory, uint64_t max_size = 256u << 20)
      : OpenCache(Options{directory.string(), max_size, 0, false}) {}
  ~OpenCache();

  Cache* operator->() { return cache_.get(); }
  Cache& operator*() { return *cache_; }
  /// As a restart does.
  void reopen();
  void close() { cache_.reset(); }
  Metrics& metrics() { return metrics_; }
  /// A part waits a second for room, which a busy machine may exceed: how often `place` asks.
  void set_attempts(int attempts) { attempts_ = attempts; }

  /// open_part, append, verify and place.
  Status place(const Digest& digest, std::string_view bytes);
  /// Commits and waits until it is durable.
  Status commit(Commit commit);
  /// All of it, with a link for kRepository.
  Status store(std::string_view bytes);
  /// The same as a manifest.
  Status store_manifest(std::string_view bytes, std::vector<Digest> children = {});
  /// Waits until the writer has taken all that was sent before.
  void settle() { ASSERT_TRUE(commit(Commit{}).has_value()); }
  /// The blob's bytes as a look-up gives them.
  std::optional<std::string> find(const Digest& digest, const Repository& repository = kRepository);

 private:
  Options options_;
  int attempts_ = 10;
  SystemClock clock_;
  UniqueFd null_;
  Logger logger_;
  Metrics metrics_;
  std::unique_ptr<Cache> cache_;
};

class CacheTest : public testing::Test {
 protected:
  std::filesystem::path directory() const { return temporary_.path() / "cache"; }

 private:
  TemporaryDirectory temporary_;
};

}  // namespace entrepot::cache
