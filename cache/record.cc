#include "cache/record.h"

#include <array>

namespace entrepot::cache {
namespace {

constexpr size_t kCrcSize = 4;

constexpr std::array<uint32_t, 256> make_crc_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < table.size(); ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value & 1) != 0 ? 0x82f63b78u ^ (value >> 1) : value >> 1;
    table[i] = value;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kCrcTable = make_crc_table();

template <class T>
void append_big_endian(std::string& to, T value) {
  for (size_t i = sizeof value; i-- > 0;) to += static_cast<char>(value >> (8 * i));
}

template <class T>
T load_big_endian(std::string_view from) {
  T value = 0;
  for (size_t i = 0; i < sizeof value; ++i)
    value = static_cast<T>(value << 8 | static_cast<uint8_t>(from[i]));
  return value;
}

}  // namespace

uint32_t crc32c(std::string_view bytes, uint32_t seed) {
  uint32_t crc = ~seed;
  for (char c : bytes) crc = kCrcTable[(crc ^ static_cast<uint8_t>(c)) & 0xff] ^ (crc >> 8);
  return ~crc;
}

void append_u32(std::string& to, uint32_t value) { append_big_endian(to, value); }
void append_u64(std::string& to, uint64_t value) { append_big_endian(to, value); }
uint32_t load_u32(std::string_view from) { return load_big_endian<uint32_t>(from); }
uint64_t load_u64(std::string_view from) { return load_big_endian<uint64_t>(from); }

RecordWriter& RecordWriter::u8(uint8_t value) {
  bytes_ += static_cast<char>(value);
  return *this;
}

RecordWriter& RecordWriter::u32(uint32_t value) {
  append_u32(bytes_, value);
  return *this;
}

RecordWriter& RecordWriter::u64(uint64_t value) {
  append_u64(bytes_, value);
  return *this;
}

RecordWriter& RecordWriter::text(std::string_view value) {
  append_u32(bytes_, static_cast<uint32_t>(value.size()));
  bytes_ += value;
  return *this;
}

RecordWriter& RecordWriter::digest(const Digest& value) {
  bytes_ += value.key();
  return *this;
}

std::string RecordWriter::finish(std::string_view key) {
  append_u32(bytes_, crc32c(key, crc32c(bytes_)));
  return std::move(bytes_);
}

std::optional<RecordReader> RecordReader::open(std::string_view record, std::string_view key,
                                               uint8_t version) {
  if (record.size() < 1 + kCrcSize) return std::nullopt;
  std::string_view covered = record.substr(0, record.size() - kCrcSize);
  if (load_u32(record.substr(covered.size())) != crc32c(key, crc32c(covered))) return std::nullopt;
  if (static_cast<uint8_t>(covered[0]) != version) return std::nullopt;
  return RecordReader(covered.substr(1));
}

std::string_view RecordReader::take(size_t count) {
  if (rest_.size() < count) {
    is_short_ = true;
    rest_ = {};
    return {};
  }
  std::string_view taken = rest_.substr(0, count);
  rest_.remove_prefix(count);
  return taken;
}

uint8_t RecordReader::u8() {
  std::string_view bytes = take(1);
  return bytes.empty() ? uint8_t{0} : static_cast<uint8_t>(bytes[0]);
}

uint32_t RecordReader::u32() {
  std::string_view bytes = take(sizeof(uint32_t));
  return bytes.empty() ? 0 : load_u32(bytes);
}

uint64_t RecordReader::u64() {
  std::string_view bytes = take(sizeof(uint64_t));
  return bytes.empty() ? 0 : load_u64(bytes);
}

std::string RecordReader::text() { return std::string(take(u32())); }

std::optional<Digest> RecordReader::digest() {
  if (rest_.empty()) {
    is_short_ = true;
    return std::nullopt;
  }
  bool is_sha256 = static_cast<uint8_t>(rest_[0]) == static_cast<uint8_t>(DigestAlgorithm::sha256);
  return Digest::from_key(take(1 + size_of(is_sha256 ? DigestAlgorithm::sha256 : DigestAlgorithm::sha512)));
}

}  // namespace entrepot::cache
