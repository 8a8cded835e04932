#include "cache/refs_log.h"

#include <fcntl.h>

#include "cache/compaction.h"
#include "cache/files.h"
#include "cache/index_update.h"
#include "cache_fixture.h"

namespace entrepot::cache {
namespace {

const Digest kDigest = Digest::of("refs");

class RefsLogTest : public CacheTest {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(directory());
    fd_ = UniqueFd(::open(directory().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }

  std::filesystem::path file() const { return directory() / "refs.log"; }

  static Commit::Link link(uint64_t number) {
    return {kRepository, {Digest::of(std::to_string(number)), number}};
  }

  /// A new log with `count` links.
  RefsLog make_log(uint64_t count) {
    RefsLog log(fd_.get());
    auto rewrite = log.rewrite();
    EXPECT_TRUE(rewrite.has_value() && rewrite->finish().has_value());
    std::vector<std::string> entries;
    for (uint64_t i = 0; i < count; ++i) entries.push_back(encode(link(i)));
    EXPECT_TRUE(log.append(entries).has_value());
    return log;
  }

  /// How many links from 0 on a replay finds, and whether it came to the end.
  std::pair<uint64_t, bool> replay() {
    uint64_t count = 0;
    auto is_whole = RefsLog::replay(fd_.get(), [&count](const RefsEntry& entry) -> Status {
      EXPECT_EQ(std::get<Commit::Link>(entry).object.digest, link(count).object.digest);
      EXPECT_EQ(std::get<Commit::Link>(entry).object.size, count);
      ++count;
      return {};
    });
    return {count, is_whole.value()};
  }

  UniqueFd fd_;
};

TEST_F(RefsLogTest, EveryKindOfEntryComesBack) {
  WallTime checked{std::chrono::milliseconds(1234)};
  auto tag = decode_refs_entry(encode(Commit::Tag{kRepository, "v1", kDigest, checked}));
  ASSERT_TRUE(tag && std::holds_alternative<Commit::Tag>(*tag));
  EXPECT_EQ(std::get<Commit::Tag>(*tag).tag, "v1");
  EXPECT_EQ(std::get<Commit::Tag>(*tag).repository, kRepository);
  EXPECT_EQ(std::get<Commit::Tag>(*tag).checked_at, checked);
  auto manifest = decode_refs_entry(encode(ManifestEntry{kDigest, "type", {kDigest}}));
  ASSERT_TRUE(manifest && std::holds_alternative<ManifestEntry>(*manifest));
  EXPECT_EQ(std::get<ManifestEntry>(*manifest).media_type, "type");
  EXPECT_EQ(std::get<ManifestEntry>(*manifest).children.size(), 1u);
  auto pin = decode_refs_entry(encode(PinEntry{kDigest, true}));
  ASSERT_TRUE(pin && std::holds_alternative<PinEntry>(*pin));
  EXPECT_TRUE(std::get<PinEntry>(*pin).is_pinned);
}

TEST_F(RefsLogTest, WhatWasAppendedIsReplayedInOrder) {
  make_log(50);
  EXPECT_EQ(replay(), std::pair(uint64_t{50}, true));
}

TEST_F(RefsLogTest, ALogCutAtAnyByteGivesTheEntriesBeforeTheCut) {
  RefsLog::Position position = make_log(3).position();
  std::string whole = read_whole(file());
  ASSERT_EQ(whole.size(), position.length);
  size_t entry_size = (whole.size() - 28) / 3;
  uint64_t last = 0;
  for (size_t size = 28; size <= whole.size(); ++size) {
    write_whole(file(), whole.substr(0, size));
    auto [count, is_whole] = replay();
    EXPECT_GE(count, last);
    EXPECT_LE(count, 3u);
    EXPECT_TRUE(size < whole.size() || count == 3);
    EXPECT_EQ(is_whole, (size - 28) % entry_size == 0) << size;
    last = count;
  }
}

TEST_F(RefsLogTest, AFlippedByteStopsTheReplayThere) {
  make_log(3);
  std::string whole = read_whole(file());
  for (size_t i = 0; i < whole.size(); ++i) {
    std::string damaged = whole;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x20);
    write_whole(file(), damaged);
    auto [count, is_whole] = replay();
    EXPECT_LT(count, 3u) << i;
    EXPECT_FALSE(is_whole) << i;
  }
}

TEST_F(RefsLogTest, OpeningCutsOffWhatTheIndexDoesNotKnow) {
  RefsLog::Position position = make_log(2).position();
  write_whole(file(), read_whole(file()) + "more");
  RefsLog log(fd_.get());
  EXPECT_TRUE(log.open(position).value());
  EXPECT_EQ(std::filesystem::file_size(file()), position.length);
  ASSERT_TRUE(log.append({encode(link(2))}).has_value());
  EXPECT_EQ(replay(), std::pair(uint64_t{3}, true));
}

TEST_F(RefsLogTest, AnotherGenerationOrAShorterFileIsNotOpened) {
  RefsLog::Position position = make_log(2).position();
  RefsLog log(fd_.get());
  EXPECT_FALSE(log.open({position.generation + 1, position.length, 0}).value());
  EXPECT_FALSE(log.open({position.generation, position.length + 1, 0}).value());
  EXPECT_TRUE(log.is_broken());
  EXPECT_FALSE(log.append({encode(link(2))}).has_value());
  std::filesystem::remove(file());
  EXPECT_FALSE(log.open(position).value());
}

TEST_F(RefsLogTest, CompactingKeepsTheLastWordOnEachAndForgetsTheRest) {
  std::filesystem::create_directories(directory() / "index");
  UniqueFd index_directory(::open((directory() / "index").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto index = Index::open(std::move(index_directory), (directory() / "index").string()).value();
  RefsLog log = make_log(0);
  for (uint64_t i = 0; i < 200; ++i) {
    IndexUpdate update(index->write().value());
    ASSERT_TRUE(update.begin().has_value());
    ASSERT_TRUE(update.put_tag({kRepository, "latest", Digest::of(std::to_string(i)), {}}).has_value());
    ASSERT_TRUE(log.append(update.log_entries()).has_value());
    ASSERT_TRUE(update.commit().has_value());
  }
  uint64_t before = log.position().length;
  uint64_t generation = log.position().generation;
  ASSERT_TRUE(compact_refs_log(*index, log).has_value());
  EXPECT_LT(log.position().length, before / 100);
  EXPECT_EQ(log.position().generation, generation + 1);
  int count = 0;
  EXPECT_TRUE(RefsLog::replay(fd_.get(), [&count](const RefsEntry& entry) -> Status {
                EXPECT_EQ(std::get<Commit::Tag>(entry).digest, Digest::of("199"));
                ++count;
                return {};
              }).value());
  EXPECT_EQ(count, 1);
}

TEST_F(RefsLogTest, ATagThatIsOnlyConfirmedIsNotLoggedEachTime) {
  std::filesystem::create_directories(directory() / "index");
  UniqueFd index_directory(::open((directory() / "index").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto index = Index::open(std::move(index_directory), (directory() / "index").string()).value();
  IndexUpdate update(index->write().value());
  ASSERT_TRUE(update.begin().has_value());
  for (int minute = 0; minute < 120; ++minute)
    ASSERT_TRUE(
        update.put_tag({kRepository, "v", kDigest, WallTime(std::chrono::minutes(minute))}).has_value());
  EXPECT_EQ(update.log_entries().size(), 2u);
  EXPECT_EQ(update.state().tags, 1u);
}

TEST_F(RefsLogTest, TagsAndLinksBeyondTheirCapsGoByAge) {
  std::filesystem::create_directories(directory() / "index");
  UniqueFd index_directory(::open((directory() / "index").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  auto index = Index::open(std::move(index_directory), (directory() / "index").string()).value();
  IndexUpdate update(index->write().value());
  ASSERT_TRUE(update.begin().has_value());
  for (uint64_t i = 0; i < 20; ++i) {
    ASSERT_TRUE(update.put_link(link(i)).has_value());
    ASSERT_TRUE(update.put_tag({kRepository, "t" + std::to_string(i), kDigest, {}}).has_value());
  }
  ASSERT_TRUE(update.put_tag({kRepository, "t0", Digest::of("moved"), {}}).has_value());
  ASSERT_TRUE(update.age_out({.tags = 5, .links = 8}).has_value());
  EXPECT_EQ(update.state().tags, 5u);
  EXPECT_EQ(update.state().links, 8u);
  uint32_t id = *update.view().repository_id(kRepository).value();
  EXPECT_TRUE(update.view().tag(id, "t0").value().has_value()) << "it was set last";
  EXPECT_FALSE(update.view().tag(id, "t1").value().has_value());
  EXPECT_TRUE(update.view().tag(id, "t19").value().has_value());
  EXPECT_FALSE(update.view().link(link(11).object.digest, id).value().has_value());
  EXPECT_TRUE(update.view().link(link(12).object.digest, id).value().has_value());
}

}  // namespace
}  // namespace entrepot::cache
