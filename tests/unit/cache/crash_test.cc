// A child process fills the cache and is killed; the parent opens what it left. The parent has no thread when
// it forks.

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>

#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

[[noreturn]] void die() {
  ::kill(::getpid(), SIGKILL);
  ::_exit(1);
}

class CrashTest : public CacheTest {
 protected:
  /// Runs `work` in a child until it dies by SIGKILL.
  static void run_killed(const std::function<void()>& work) {
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      work();
      ::_exit(2);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  }
};

std::string numbered(uint64_t number) { return make_bytes(number, 1000 + number * 997 % 40'000); }

TEST_F(CrashTest, WhatWasAcknowledgedIsThereAfterAKill) {
  run_killed([this] {
    OpenCache cache(directory());
    for (uint64_t i = 0; i < 10; ++i)
      if (!cache.store(numbered(i))) ::_exit(3);
    Commit tag;
    tag.tags.push_back({kRepository, "latest", Digest::of(numbered(9)), {}});
    if (!cache.commit(std::move(tag))) ::_exit(3);
    die();
  });
  OpenCache cache(directory());
  for (uint64_t i = 0; i < 10; ++i) EXPECT_EQ(cache.find(Digest::of(numbered(i))), numbered(i));
  EXPECT_EQ(cache->find_tag(kRepository, "latest").value()->digest, Digest::of(numbered(9)));
}

TEST_F(CrashTest, KilledAtAnyTimeNothingAcknowledgedIsLostAndNothingWrongIsFound) {
  constexpr uint64_t kThreads = 3;
  for (uint64_t kill_after : {1u, 4u, 11u, 17u, 30u}) {
    int acknowledged[2];
    ASSERT_EQ(::pipe2(acknowledged, O_CLOEXEC), 0);
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      OpenCache cache(directory());
      std::vector<std::thread> threads;
      for (uint64_t t = 0; t < kThreads; ++t) {
        threads.emplace_back([&, t] {
          for (uint64_t i = t;; i += kThreads)
            if (!cache.store(numbered(i)) || ::write(acknowledged[1], &i, sizeof i) != sizeof i) ::_exit(3);
        });
      }
      for (std::thread& thread : threads) thread.join();
      ::_exit(2);
    }
    ::close(acknowledged[1]);
    std::vector<uint64_t> kept;
    uint64_t number = 0;
    while (::read(acknowledged[0], &number, sizeof number) == sizeof number) {
      kept.push_back(number);
      if (kept.size() == kill_after) ::kill(child, SIGKILL);
    }
    ::close(acknowledged[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << status;

    OpenCache cache(directory());
    for (uint64_t i : kept) EXPECT_EQ(cache.find(Digest::of(numbered(i))), numbered(i)) << i;
    for (uint64_t i = 0; i < 60; ++i) {
      std::optional<std::string> found = cache.find(Digest::of(numbered(i)));
      EXPECT_TRUE(!found || *found == numbered(i)) << i;
    }
    cache.settle();
    EXPECT_GE(cache->used(), disk_usage(directory()));
    EXPECT_LE(cache->used(), disk_usage(directory()) + (1u << 20));
  }
}

TEST_F(CrashTest, KilledBetweenTheCommitAndThePartsRemovalTheBlobIsThereAndThePartIsNot) {
  Digest digest = Digest::of("in done");
  run_killed([&] {
    OpenCache cache(directory());
    if (!cache.place(digest, "in done")) ::_exit(3);
    Commit one;
    one.blobs.push_back({digest, 7, "", {}});
    one.links.push_back({kRepository, {digest, 7}});
    cache->commit(std::move(one), [](const Status&) { die(); });
    while (true) ::pause();
  });
  ASSERT_TRUE(std::filesystem::exists(part_path(directory(), digest)));
  OpenCache cache(directory());
  EXPECT_EQ(cache.find(digest), "in done");
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
}

TEST_F(CrashTest, APlacedPartWhoseCommitIsMissingIsFinished) {
  Digest digest = Digest::of("placed only");
  run_killed([&] {
    OpenCache cache(directory());
    if (!cache.place(digest, "placed only")) ::_exit(3);
    die();
  });
  OpenCache cache(directory());
  EXPECT_TRUE(cache->contains(digest).value());
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_EQ(cache.find(digest), std::nullopt) << "nobody has a link to it yet";
  EXPECT_FALSE(cache->is_acknowledged(digest).value());
  Commit link;
  link.links.push_back({kRepository, {digest, 0}});
  ASSERT_TRUE(cache.commit(std::move(link)).has_value());
  EXPECT_TRUE(cache->is_acknowledged(digest).value());
  EXPECT_GE(cache->used(), disk_usage(directory()));
}

// A power cut may take back the directory entry of a blob and the removal of its part, and leave the row.
TEST_F(CrashTest, APartWhoseBlobHasLostItsNameIsKept) {
  Digest digest = Digest::of("the only copy");
  {
    OpenCache cache(directory());
    ASSERT_TRUE(cache.store("the only copy").has_value());
  }
  std::filesystem::create_hard_link(blob_path(directory(), digest), part_path(directory(), digest));
  std::filesystem::remove(blob_path(directory(), digest));
  OpenCache cache(directory());
  EXPECT_TRUE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_EQ(cache.find(digest), std::nullopt);
}

TEST_F(CrashTest, ALeftoverPartIsKeptCountedAndEvictable) {
  Digest digest = Digest::of("never finished");
  run_killed([&] {
    OpenCache cache(directory());
    auto part = cache->open_part(digest, 3u << 20);
    if (!part || !(*part)->append(make_bytes(1, 2u << 20))) ::_exit(3);
    die();
  });
  OpenCache cache(directory(), 8u << 20);
  EXPECT_TRUE(std::filesystem::exists(part_path(directory(), digest)));
  EXPECT_GE(cache->used(), 2u << 20);
  for (uint64_t i = 0; i < 8; ++i) ASSERT_TRUE(cache.store(make_bytes(10 + i, 1u << 20)).has_value());
  EXPECT_FALSE(std::filesystem::exists(part_path(directory(), digest)));
}

TEST_F(CrashTest, AnEvictionCutShortIsFinished) {
  Digest first = Digest::of(make_bytes(0, 1u << 20));
  run_killed([this] {
    OpenCache cache(directory(), 8u << 20);
    cache->set_evict_listener([](const Digest&) { die(); });
    for (uint64_t i = 0;; ++i)
      if (!cache.store(make_bytes(i, 1u << 20))) ::_exit(3);
  });
  ASSERT_TRUE(std::filesystem::exists(blob_path(directory(), first)));
  OpenCache cache(directory(), 8u << 20);
  EXPECT_FALSE(std::filesystem::exists(blob_path(directory(), first)));
  EXPECT_FALSE(cache->contains(first).value());
  EXPECT_GE(cache->used(), disk_usage(directory()));
  EXPECT_LE(cache->used(), disk_usage(directory()) + (1u << 20));
}

TEST_F(CrashTest, ForeignNamesInPartsAreClearedAndDirectoriesLeftAlone) {
  { OpenCache cache(directory()); }
  write_whole(directory() / "parts" / "stranger", "x");
  write_whole(directory() / "parts" / (part_path("", Digest::of("x")).filename().string() + ".link"), "x");
  std::filesystem::create_directory(directory() / "parts" / "folder");
  std::filesystem::create_symlink("/etc/passwd", part_path(directory(), Digest::of("y")));
  OpenCache cache(directory());
  EXPECT_FALSE(std::filesystem::exists(directory() / "parts" / "stranger"));
  EXPECT_TRUE(std::filesystem::exists(directory() / "parts" / "folder"));
  EXPECT_FALSE(std::filesystem::is_symlink(part_path(directory(), Digest::of("y"))));
}

}  // namespace
}  // namespace entrepot::cache
