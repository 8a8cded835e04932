#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/digest.h"

// How every record on disk is written, in the index and in refs.log: one version byte, the fields with
// integers in big-endian order, and a CRC-32C over all that and over the record's key, so that neither a
// flipped bit nor a record under the wrong key is taken for good. Values, used by one thread at a time.

namespace entrepot::cache {

uint32_t crc32c(std::string_view bytes, uint32_t seed = 0);

void append_u32(std::string& to, uint32_t value);
void append_u64(std::string& to, uint64_t value);
/// REQUIRES: `from` holds that many bytes.
uint32_t load_u32(std::string_view from);
uint64_t load_u64(std::string_view from);

class RecordWriter {
 public:
  explicit RecordWriter(uint8_t version) : bytes_(1, static_cast<char>(version)) {}

  RecordWriter& u8(uint8_t value);
  RecordWriter& u32(uint32_t value);
  RecordWriter& u64(uint64_t value);
  RecordWriter& text(std::string_view value);
  RecordWriter& digest(const Digest& value);
  std::string finish(std::string_view key);

 private:
  std::string bytes_;
};

/// Reads the fields in the order they were written. Reading past the end gives zeros and empty texts, and
/// `is_complete` is false afterwards: callers read everything and ask once.
class RecordReader {
 public:
  /// nullopt when the CRC or the version is another. `record` outlives the reader.
  static std::optional<RecordReader> open(std::string_view record, std::string_view key, uint8_t version);

  uint8_t u8();
  uint32_t u32();
  uint64_t u64();
  std::string text();
  std::optional<Digest> digest();
  /// All that was read was there and nothing is left.
  bool is_complete() const { return !is_short_ && rest_.empty(); }

 private:
  explicit RecordReader(std::string_view fields) : rest_(fields) {}
  std::string_view take(size_t count);

  std::string_view rest_;
  bool is_short_ = false;
};

}  // namespace entrepot::cache
