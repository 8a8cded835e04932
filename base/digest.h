#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace entrepot {

/// The algorithms a digest may have here (OCI image-spec descriptor.md, "Registered algorithms"). The values
/// are on disk (first byte of a digest's index key): never renumber.
enum class DigestAlgorithm : uint8_t { sha256 = 1, sha512 = 2 };

std::string_view name_of(DigestAlgorithm algorithm);
constexpr size_t size_of(DigestAlgorithm algorithm) { return algorithm == DigestAlgorithm::sha256 ? 32 : 64; }

/// A content digest, always valid: it can only be made from correct text or from a hash's raw bytes. A value,
/// 65 bytes, cheap to copy. File names and URLs are built from `text()` and `hex()` alone.
class Digest {
 public:
  /// Parses "sha256:<64 lower-case hex>" or "sha512:<128 lower-case hex>", nothing else.
  static std::optional<Digest> parse(std::string_view text);
  /// REQUIRES: raw.size() == size_of(algorithm).
  static Digest from_raw(DigestAlgorithm algorithm, std::span<const uint8_t> raw);
  /// From the index key that `key()` made.
  static std::optional<Digest> from_key(std::string_view key);
  /// SHA-256 of `bytes`.
  static Digest of(std::string_view bytes);
  static Digest of(DigestAlgorithm algorithm, std::string_view bytes);

  DigestAlgorithm algorithm() const { return algorithm_; }
  std::span<const uint8_t> raw() const { return {raw_.data(), size_of(algorithm_)}; }
  std::string hex() const;
  std::string text() const;
  /// The index key: one algorithm byte and the raw hash, 33 or 65 bytes.
  std::string key() const;
  /// Spread over the whole range, for hash tables and for choosing a home loop.
  size_t hash() const;

  bool operator==(const Digest& other) const;
  std::strong_ordering operator<=>(const Digest& other) const;

 private:
  Digest() = default;

  DigestAlgorithm algorithm_ = DigestAlgorithm::sha256;
  std::array<uint8_t, 64> raw_{};
};

struct DigestHash {
  size_t operator()(const Digest& digest) const { return digest.hash(); }
};

}  // namespace entrepot
