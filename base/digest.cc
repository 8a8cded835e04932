#include "base/digest.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/hasher.h"

namespace entrepot {
namespace {

constexpr char kHex[] = "0123456789abcdef";

int nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::optional<DigestAlgorithm> algorithm_named(std::string_view name) {
  if (name == "sha256") return DigestAlgorithm::sha256;
  if (name == "sha512") return DigestAlgorithm::sha512;
  return std::nullopt;
}

}  // namespace

std::string_view name_of(DigestAlgorithm algorithm) {
  return algorithm == DigestAlgorithm::sha256 ? "sha256" : "sha512";
}

std::optional<Digest> Digest::parse(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  std::optional<DigestAlgorithm> algorithm = algorithm_named(text.substr(0, colon));
  if (!algorithm) return std::nullopt;
  std::string_view hex = text.substr(colon + 1);
  if (hex.size() != 2 * size_of(*algorithm)) return std::nullopt;
  Digest digest;
  digest.algorithm_ = *algorithm;
  for (size_t i = 0; i < hex.size(); i += 2) {
    int high = nibble(hex[i]);
    int low = nibble(hex[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest.raw_[i / 2] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

Digest Digest::from_raw(DigestAlgorithm algorithm, std::span<const uint8_t> raw) {
  CHECK(raw.size() == size_of(algorithm));
  Digest digest;
  digest.algorithm_ = algorithm;
  std::copy(raw.begin(), raw.end(), digest.raw_.begin());
  return digest;
}

std::optional<Digest> Digest::from_key(std::string_view key) {
  if (key.empty()) return std::nullopt;
  auto algorithm = static_cast<DigestAlgorithm>(key[0]);
  if (algorithm != DigestAlgorithm::sha256 && algorithm != DigestAlgorithm::sha512) return std::nullopt;
  if (key.size() != 1 + size_of(algorithm)) return std::nullopt;
  return from_raw(algorithm, {reinterpret_cast<const uint8_t*>(key.data()) + 1, key.size() - 1});
}

Digest Digest::of(std::string_view bytes) { return of(DigestAlgorithm::sha256, bytes); }

Digest Digest::of(DigestAlgorithm algorithm, std::string_view bytes) {
  Hasher hasher(algorithm);
  hasher.update(bytes);
  return hasher.finish();
}

std::string Digest::hex() const {
  std::string text;
  text.reserve(2 * raw().size());
  for (uint8_t byte : raw()) {
    text += kHex[byte >> 4];
    text += kHex[byte & 15];
  }
  return text;
}

std::string Digest::text() const {
  std::string text(name_of(algorithm_));
  text += ':';
  text += hex();
  return text;
}

std::string Digest::key() const {
  std::string key(1, static_cast<char>(algorithm_));
  key.append(reinterpret_cast<const char*>(raw().data()), raw().size());
  return key;
}

size_t Digest::hash() const {
  // All bytes: a digest is as good as random where somebody has hashed for it, but a manifest may name
  // whatever it likes, thousands that begin alike.
  uint64_t mixed = 0;
  std::span<const uint8_t> left = raw();
  for (uint64_t word; left.size() >= sizeof word; left = left.subspan(sizeof word)) {
    std::memcpy(&word, left.data(), sizeof word);
    mixed = (mixed ^ word) * 0x9e3779b97f4a7c15;
    mixed ^= mixed >> 32;
  }
  return mixed;
}

bool Digest::operator==(const Digest& other) const {
  return algorithm_ == other.algorithm_ && std::ranges::equal(raw(), other.raw());
}

std::strong_ordering Digest::operator<=>(const Digest& other) const {
  if (algorithm_ != other.algorithm_) return algorithm_ <=> other.algorithm_;
  int order = std::memcmp(raw_.data(), other.raw_.data(), raw().size());
  return order <=> 0;
}

}  // namespace entrepot
