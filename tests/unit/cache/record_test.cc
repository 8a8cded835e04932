#include "cache/record.h"

#include <gtest/gtest.h>

#include <random>

#include "cache/refs_log.h"
#include "cache/rows.h"

namespace entrepot::cache {
namespace {

const Digest kDigest = Digest::of("record");
const Digest kLongDigest = Digest::of(DigestAlgorithm::sha512, "record");

TEST(Record, AManifestEndsWithItsSubjectOrWithItsChildren) {
  ManifestRow row{"type", {kDigest}, kLongDigest};
  auto decoded = ManifestRow::decode(row.encode("k"), "k");
  ASSERT_TRUE(decoded.has_value());
  EXPECT_EQ(decoded->subject, kLongDigest);
  for (const char* rest : {"\x7f", "\x01", "\x01xyz"}) {
    RecordWriter writer(1);
    std::string record = writer.text("type").u32(0).finish("k");
    record.resize(record.size() - sizeof(uint32_t));
    record += rest;
    append_u32(record, crc32c("k", crc32c(record)));
    EXPECT_FALSE(ManifestRow::decode(record, "k").has_value()) << rest;
  }
}

TEST(Record, TheChecksumIsCrc32c) { EXPECT_EQ(crc32c("123456789"), 0xe3069283u); }

TEST(Record, FieldsComeBackAsTheyWereWritten) {
  std::string record = RecordWriter(3)
                           .u8(7)
                           .u32(0x01020304)
                           .u64(uint64_t{1} << 40)
                           .text("abc")
                           .digest(kDigest)
                           .digest(kLongDigest)
                           .finish("k");
  auto reader = RecordReader::open(record, "k", 3);
  ASSERT_TRUE(reader.has_value());
  EXPECT_EQ(reader->u8(), 7);
  EXPECT_EQ(reader->u32(), 0x01020304u);
  EXPECT_EQ(reader->u64(), uint64_t{1} << 40);
  EXPECT_EQ(reader->text(), "abc");
  EXPECT_EQ(reader->digest(), kDigest);
  EXPECT_FALSE(reader->is_complete());
  EXPECT_EQ(reader->digest(), kLongDigest);
  EXPECT_TRUE(reader->is_complete());
  reader->u8();
  EXPECT_FALSE(reader->is_complete());
}

TEST(Record, AnotherKeyOrVersionIsRefused) {
  std::string record = RecordWriter(1).u32(5).finish("key");
  EXPECT_FALSE(RecordReader::open(record, "other", 1).has_value());
  EXPECT_FALSE(RecordReader::open(record, "key", 2).has_value());
  EXPECT_TRUE(RecordReader::open(record, "key", 1).has_value());
}

TEST(Record, IntegersAreBigEndianSoThatKeysSort) {
  EXPECT_LT(lru_key(255, kDigest), lru_key(256, kDigest));
  EXPECT_LT(age_key(AgeKind::tag, 65535), age_key(AgeKind::tag, 65536));
}

TEST(Record, EveryFlippedBitOfABlobRowIsSeen) {
  BlobRow row{BlobState::doomed, 12, 4096, 99, 1};
  std::string key = kDigest.key();
  std::string record = row.encode(key);
  ASSERT_TRUE(BlobRow::decode(record, key).has_value());
  for (size_t bit = 0; bit < record.size() * 8; ++bit) {
    std::string damaged = record;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(BlobRow::decode(damaged, key).has_value()) << bit;
  }
  for (size_t size = 0; size < record.size(); ++size)
    EXPECT_FALSE(BlobRow::decode(record.substr(0, size), key).has_value()) << size;
}

TEST(Record, RowsComeBackAsTheyWereWritten) {
  auto manifest = ManifestRow::decode(ManifestRow{"type", {kDigest, kLongDigest}}.encode("k"), "k");
  ASSERT_TRUE(manifest.has_value());
  EXPECT_EQ(manifest->media_type, "type");
  EXPECT_EQ(manifest->children, (std::vector{kDigest, kLongDigest}));
  auto tag = TagRow::decode(TagRow{kLongDigest, -5, 6, "etag", 7}.encode("k"), "k");
  ASSERT_TRUE(tag.has_value());
  EXPECT_EQ(tag->digest, kLongDigest);
  EXPECT_EQ(tag->checked_at_ms, -5);
  EXPECT_EQ(tag->logged_at_ms, 6);
  EXPECT_EQ(tag->etag, "etag");
  EXPECT_EQ(tag->age, 7u);
}

TEST(Record, GarbageWithAGoodChecksumIsNoRow) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    RecordWriter writer(1);
    for (size_t i = random() % 60; i > 0; --i) writer.u8(static_cast<uint8_t>(random()));
    std::string record = writer.finish("refs");
    (void)decode_refs_entry(record);
    (void)ManifestRow::decode(record, "refs");
    (void)TagRow::decode(record, "refs");
    (void)RepositoryRow::decode(record, "refs");
  }
}

}  // namespace
}  // namespace entrepot::cache
