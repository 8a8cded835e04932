#include "upstream/challenge.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxSize = 16 * 1024;
constexpr size_t kMaxChallenges = 16;
constexpr size_t kMaxParameters = 16;

bool is_token_char(char c) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         kOthers.find(c) != std::string_view::npos;
}

bool is_blank(char c) { return c == ' ' || c == '\t'; }

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

// Reads one header value from left to right.
class LineParser {
 public:
  explicit LineParser(std::string_view text) : text_(text) {}

  // Adds what it finds; ends at the first thing that is no challenge.
  void parse(std::vector<Challenge>& found) {
    while (found.size() < kMaxChallenges) {
      skip_blanks_and_commas();
      std::string_view scheme = token();
      if (scheme.empty()) return;
      Challenge challenge{lower(scheme), {}};
      skip_blanks();
      if (!skip_token68() && !parameters(challenge)) return;
      found.push_back(std::move(challenge));
    }
  }

 private:
  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return text_[at_]; }
  void skip_blanks() {
    while (!at_end() && is_blank(peek())) ++at_;
  }
  void skip_blanks_and_commas() {
    while (!at_end() && (is_blank(peek()) || peek() == ',')) ++at_;
  }

  std::string_view token() {
    size_t first = at_;
    while (!at_end() && is_token_char(peek())) ++at_;
    return text_.substr(first, at_ - first);
  }

  // "Negotiate YWJj==": letters, padding, and then a comma or the end. A parameter has something behind its
  // '='.
  bool skip_token68() {
    size_t begun = at_;
    while (!at_end() && (is_token_char(peek()) || peek() == '/')) ++at_;
    bool has_text = at_ > begun;
    while (!at_end() && peek() == '=') ++at_;
    skip_blanks();
    if (has_text && (at_end() || peek() == ',')) return true;
    at_ = begun;
    return false;
  }

  // The parameters up to the next scheme. False when one is malformed or given twice.
  bool parameters(Challenge& challenge) {
    while (true) {
      skip_blanks_and_commas();
      size_t begun = at_;
      std::string_view name = token();
      if (name.empty()) return at_end();
      skip_blanks();
      if (at_end() || peek() != '=') {
        at_ = begun;  // the next challenge's scheme
        return true;
      }
      ++at_;
      skip_blanks();
      std::optional<std::string> text = value();
      if (!text || challenge.parameters.size() == kMaxParameters) return false;
      if (!challenge.parameters.emplace(lower(name), std::move(*text)).second) return false;
    }
  }

  std::optional<std::string> value() {
    if (!at_end() && peek() == '"') return quoted();
    std::string_view text = token();
    if (text.empty()) return std::nullopt;
    return std::string(text);
  }

  std::optional<std::string> quoted() {
    std::string text;
    for (++at_; !at_end(); ++at_) {
      char c = peek();
      if (c == '"') {
        ++at_;
        return text;
      }
      if (c == '\\') {
        if (++at_ == text_.size()) return std::nullopt;
        c = peek();
      }
      auto byte = static_cast<unsigned char>(c);
      if ((byte < 0x20 && c != '\t') || byte == 0x7f) return std::nullopt;
      text += c;
    }
    return std::nullopt;
  }

  std::string_view text_;
  size_t at_ = 0;
};

}  // namespace

std::string_view Challenge::parameter(std::string_view name) const {
  auto found = parameters.find(std::string(name));
  return found == parameters.end() ? std::string_view() : std::string_view(found->second);
}

std::vector<Challenge> parse_challenges(std::span<const std::string_view> lines) {
  std::vector<Challenge> found;
  size_t left = kMaxSize;
  for (std::string_view line : lines) {
    if (line.size() > left) break;
    left -= line.size();
    LineParser(line).parse(found);
  }
  return found;
}

}  // namespace entrepot::upstream
