// Repository names, tags, references and digests, against the specification's own grammar; and that what is
// accepted is written back as it came and can stand in a path.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <regex>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/digest.h"
#include "base/reference.h"
#include "tests/fuzz/fuzz_input.h"

namespace {

using entrepot::Digest;
using entrepot::DigestAlgorithm;

// distribution-spec, "Pulling manifests".
constexpr const char* kComponent = "[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*";
constexpr size_t kMaxName = 255;

bool matches(std::string_view text, const std::regex& grammar) {
  return std::regex_match(text.begin(), text.end(), grammar);
}

void check_name(std::string_view text) {
  static const std::regex grammar(std::string(kComponent) + "(/" + kComponent + ")*");
  bool is_name = entrepot::is_repository_name(text);
  CHECK(is_name == (text.size() <= kMaxName && matches(text, grammar)));
}

void check_tag(std::string_view text) {
  static const std::regex grammar("[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}");
  bool is_tag = entrepot::is_tag(text);
  CHECK(is_tag == (text.size() <= kMaxName && matches(text, grammar)));
  CHECK(!is_tag || !text.starts_with('.'));
}

void check_same(const Digest& digest, const Digest& same) {
  CHECK(digest == same && (digest <=> same) == std::strong_ordering::equal && digest.hash() == same.hash());
}

void check_digest(const Digest& digest) {
  std::string hex = digest.hex();
  CHECK(hex.size() == (digest.algorithm() == DigestAlgorithm::sha256 ? 64 : 128));
  CHECK(std::ranges::all_of(hex, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }));
  CHECK(digest.text() == std::string(name_of(digest.algorithm())) + ':' + hex);
  check_same(digest, Digest::parse(digest.text()).value());
  check_same(digest, Digest::from_key(digest.key()).value());
  check_same(digest, Digest::from_raw(digest.algorithm(), digest.raw()));
}

void check_reference(std::string_view text) {
  std::optional<entrepot::Reference> reference = entrepot::parse_reference(text);
  bool is_digest = Digest::parse(text).has_value();
  CHECK(!(is_digest && entrepot::is_tag(text)));
  CHECK(reference.has_value() == (is_digest || entrepot::is_tag(text)));
  if (!reference) return;
  CHECK(std::holds_alternative<Digest>(*reference) == is_digest);
  CHECK(entrepot::to_text(*reference) == text);
  CHECK(entrepot::parse_reference(entrepot::to_text(*reference)) == reference);
  CHECK(text.find_first_of(std::string_view("/\\%\0 ", 5)) == std::string_view::npos);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text = entrepot::fuzz::Input(data, size).rest();
  check_name(text);
  check_tag(text);
  check_reference(text);
  if (std::optional<Digest> digest = Digest::parse(text)) {
    check_digest(*digest);
    CHECK(digest->text() == text);
  }
  if (std::optional<Digest> digest = Digest::from_key(text)) {
    check_digest(*digest);
    CHECK(digest->key() == text);
  }
  check_digest(Digest::of(DigestAlgorithm::sha256, text));
  check_digest(Digest::of(DigestAlgorithm::sha512, text));
  return 0;
}
