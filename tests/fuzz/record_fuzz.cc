// The index's records: what kind of row, its key, and the record's fields. The checksum is made here, since
// no fuzzer guesses one; without it, with a flipped bit or under another key a record is refused. A row that
// is decoded is encoded to the same bytes.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "cache/record.h"
#include "cache/rows.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace entrepot::cache;
using entrepot::fuzz::Exact;

constexpr char kVersion = 1;

std::string sealed(std::string_view fields, std::string_view key) {
  std::string record = kVersion + std::string(fields);
  append_u32(record, crc32c(key, crc32c(record)));
  return record;
}

std::string with_flipped_bit(std::string_view bytes, size_t bit) {
  std::string flipped(bytes);
  char& at = flipped[bit / 8 % flipped.size()];
  at = static_cast<char>(at ^ (1 << bit % 8));
  return flipped;
}

// Every program writes 0 and 1; and of a newer format nothing is known but its number.
bool is_written_by_us(const StateRow& row, std::string_view record) {
  constexpr size_t kCompleteAt = 5;
  return row.format <= 1 && static_cast<uint8_t>(record[kCompleteAt]) <= 1;
}
template <class Row>
bool is_written_by_us(const Row&, std::string_view) {
  return true;
}

template <class Row>
void check_row(std::string_view fields, std::string_view key, size_t bit) {
  Row::decode(Exact(fields).view(), key);
  Exact record(sealed(fields, key));
  CHECK(!Row::decode(Exact(with_flipped_bit(record.view(), bit)).view(), key));
  if (!key.empty()) CHECK(!Row::decode(record.view(), with_flipped_bit(key, bit)));

  std::optional<Row> row = Row::decode(record.view(), key);
  if (!row) return;
  std::string encoded = row->encode(key);
  if (is_written_by_us(*row, record.view())) CHECK(encoded == record.view());
  std::optional<Row> again = Row::decode(encoded, key);
  CHECK(again && again->encode(key) == encoded);
}

// Whatever is read, in whatever order, is inside of the record.
void check_reader(std::string_view fields, std::string_view order) {
  Exact record(sealed(fields, order));
  std::optional<RecordReader> reader = RecordReader::open(record.view(), order, kVersion);
  CHECK(reader.has_value());
  for (char next : order) {
    if (next % 5 == 0) reader->u8();
    if (next % 5 == 1) reader->u32();
    if (next % 5 == 2) reader->u64();
    if (next % 5 == 3) CHECK(reader->text().size() <= fields.size());
    if (next % 5 == 4) reader->digest();
  }
  if (!fields.empty() && order.empty()) CHECK(!reader->is_complete());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Input input(data, size);
  uint8_t kind = input.byte();
  size_t bit = input.byte() * 256u + input.byte();
  Exact key(input.line());
  std::string_view fields = input.rest();
  switch (kind % 10) {
    case 0:
      check_row<BlobRow>(fields, key.view(), bit);
      break;
    case 1:
      check_row<ManifestRow>(fields, key.view(), bit);
      break;
    case 2:
      check_row<TagRow>(fields, key.view(), bit);
      break;
    case 3:
      check_row<LinkRow>(fields, key.view(), bit);
      break;
    case 4:
      check_row<RepositoryRow>(fields, key.view(), bit);
      break;
    case 5:
      check_row<StateRow>(fields, key.view(), bit);
      break;
    case 6:
      check_row<TimeRow>(fields, key.view(), bit);
      break;
    case 7:
      check_row<PinRow>(fields, key.view(), bit);
      break;
    case 8:
      check_row<RebuiltRow>(fields, key.view(), bit);
      break;
    default:
      check_reader(fields, key.view());
  }
  return 0;
}
