// refs.log on disk. The first byte says what is made sound of the rest (the header, the checksums), since no
// fuzzer guesses a checksum; the next two where the file is then cut or damaged. A replay gives every entry
// before the first bad one and none after it, says whether that was all, and what it gave can be opened at
// its length and appended to.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/unique_fd.h"
#include "cache/record.h"
#include "cache/refs_log.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using namespace entrepot::cache;
using entrepot::fuzz::Input;

constexpr uint64_t kGeneration = 7;
constexpr size_t kHeader = 28;
constexpr uint8_t kSoundHeader = 1;
constexpr uint8_t kSoundRecords = 2;
constexpr uint8_t kAppends = 4;  // which syncs, and that is slow

// The cache's directory, of this process; under $TMPDIR, and gone at its end.
class Directory {
 public:
  Directory() : path_(std::filesystem::temp_directory_path() / "entrepot-refs-XXXXXX") {
    CHECK(mkdtemp(path_.data()) != nullptr);
    fd_.reset(open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    CHECK(fd_.is_open());
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory() { std::filesystem::remove_all(path_); }

  int fd() const { return fd_.get(); }
  void put(std::string_view bytes) const {
    entrepot::UniqueFd file(openat(fd(), "refs.log", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    CHECK(file.is_open() &&
          write(file.get(), bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
  }
  size_t size() const { return std::filesystem::file_size(path_ + "/refs.log"); }

 private:
  std::string path_;
  entrepot::UniqueFd fd_;
};

struct Replayed {
  std::vector<std::string> entries;  // encoded
  bool is_whole = false;
};

Replayed replay(const Directory& directory, std::string_view file) {
  directory.put(file);
  Replayed replayed;
  auto is_whole = RefsLog::replay(directory.fd(), [&](const RefsEntry& entry) -> entrepot::Status {
    replayed.entries.push_back(encode(entry));
    return {};
  });
  CHECK(is_whole.has_value());
  replayed.is_whole = *is_whole;
  return replayed;
}

std::string sound_header() {
  std::string header("entrepot-refs\0\0\1", 16);
  append_u64(header, kGeneration);
  append_u32(header, crc32c(header));
  return header;
}

// One byte of length before each record's fields.
std::string sound_records(Input input) {
  std::string bytes;
  while (!input.is_at_end()) {
    std::string record(1, '\1');
    for (size_t left = input.byte(); left > 0 && !input.is_at_end(); --left)
      record += static_cast<char>(input.byte());
    append_u32(record, crc32c("refs", crc32c(record)));
    append_u32(bytes, static_cast<uint32_t>(record.size()));
    bytes += record;
  }
  return bytes;
}

bool begins_with(const std::vector<std::string>& all, const std::vector<std::string>& some) {
  return some.size() <= all.size() && std::equal(some.begin(), some.end(), all.begin());
}

// Where the sound part ends, found without RefsLog; every entry that it holds is in `entries`.
size_t sound_length(std::string_view file, std::vector<std::string>& entries) {
  if (!file.starts_with(sound_header())) return 0;
  size_t at = kHeader;
  while (file.size() - at >= sizeof(uint32_t)) {
    uint32_t size = load_u32(file.substr(at));
    if (size > file.size() - at - sizeof(uint32_t)) break;
    std::optional<RefsEntry> entry =
        decode_refs_entry(entrepot::fuzz::Exact(file.substr(at + 4, size)).view());
    if (!entry) break;
    entries.push_back(encode(*entry));
    at += sizeof(uint32_t) + size;
  }
  return at;
}

void check_opened(const Directory& directory, size_t length, std::vector<std::string> entries, bool appends) {
  {
    RefsLog log(directory.fd());
    CHECK(log.open({kGeneration, length, 0}).value() && directory.size() == length);
    if (appends) {
      entries.push_back(encode(PinEntry{entrepot::Digest::of("appended"), true}));
      CHECK(log.append({entries.back()}).has_value());
    }
  }
  std::vector<std::string> found;
  CHECK(RefsLog::replay(directory.fd(), [&](const RefsEntry& entry) -> entrepot::Status {
          found.push_back(encode(entry));
          return {};
        }).value());
  CHECK(found == entries);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Directory directory;
  Input input(data, size);
  uint8_t how = input.byte();
  size_t place = input.byte() * 256u + input.byte();
  std::string file = (how & kSoundHeader) != 0 ? sound_header() : std::string();
  file += (how & kSoundRecords) != 0 ? sound_records(input) : std::string(input.rest());

  std::vector<std::string> entries;
  size_t length = sound_length(file, entries);
  Replayed whole = replay(directory, file);
  if (length != 0) {
    CHECK(whole.entries == entries && whole.is_whole == (length == file.size()));
    check_opened(directory, length, entries, (how & kAppends) != 0);
  }
  if (file.empty()) return 0;
  CHECK(begins_with(whole.entries, replay(directory, file.substr(0, place % file.size())).entries));
  file[place % file.size()] = static_cast<char>(file[place % file.size()] ^ (1 << (how >> 5)));
  if ((how & kSoundHeader) != 0) CHECK(begins_with(whole.entries, replay(directory, file).entries));
  return 0;
}
