// WWW-Authenticate, one header line a line. What is understood is written out anew, in each of the ways that
// a registry may write it, and must be understood as the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "tests/fuzz/fuzz_input.h"
#include "upstream/challenge.h"

namespace {

using entrepot::upstream::Challenge;
using entrepot::upstream::parse_challenges;

// Below this nothing is dropped for its size when it is written out with every byte escaped.
constexpr size_t kMaxRewritten = 4096;

std::string upper(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return text;
}

std::string quoted(std::string_view text, bool escapes_all) {
  std::string out = "\"";
  for (char c : text) {
    if (escapes_all || c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

std::string written(const Challenge& challenge, bool loudly) {
  std::string text = loudly ? upper(challenge.scheme) : challenge.scheme;
  std::string_view separator = " ";
  for (const auto& [name, value] : challenge.parameters) {
    text.append(separator).append(loudly ? upper(name) + "\t= " : name + "=").append(quoted(value, loudly));
    separator = loudly ? " ,, " : ",";
  }
  return text;
}

void check_same(const std::vector<Challenge>& a, const std::vector<Challenge>& b) {
  CHECK(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i)
    CHECK(a[i].scheme == b[i].scheme && a[i].parameters == b[i].parameters);
}

void check_promises(const std::vector<Challenge>& found) {
  CHECK(found.size() <= 16);
  for (const Challenge& challenge : found) {
    CHECK(!challenge.scheme.empty() && entrepot::fuzz::is_lower_case(challenge.scheme));
    CHECK(challenge.parameters.size() <= 16);
    for (const auto& [name, value] : challenge.parameters) {
      CHECK(!name.empty() && entrepot::fuzz::is_lower_case(name) &&
            !entrepot::fuzz::has_control_character(value));
      CHECK(challenge.parameter(name) == value);
    }
    CHECK(challenge.parameter("").empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  entrepot::fuzz::Input input(data, size);
  std::vector<entrepot::fuzz::Exact> copies;
  while (!input.is_at_end()) copies.emplace_back(input.line());
  std::vector<std::string_view> lines;
  for (const auto& copy : copies) lines.push_back(copy.view());
  std::vector<Challenge> found = parse_challenges(lines);
  check_promises(found);
  if (size > kMaxRewritten) return 0;

  for (bool loudly : {false, true}) {
    std::vector<std::string> texts;
    std::string joined;
    for (const Challenge& challenge : found) {
      texts.push_back(written(challenge, loudly));
      joined += (joined.empty() ? "" : ", ") + texts.back();
    }
    std::vector<std::string_view> one_each(texts.begin(), texts.end());
    check_same(found, parse_challenges(one_each));
    check_same(found, parse_challenges(std::vector<std::string_view>{joined}));
  }
  return 0;
}
