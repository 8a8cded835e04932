#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace entrepot {

/// Text that must not be printed: a password, a token. It has no conversion and no stream operator;
/// `reveal()` is the only way to the text and easy to search for. The memory is overwritten when it goes.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.wipe(); }
  Secret& operator=(const Secret& other) {
    if (this != &other) {
      wipe();
      text_ = other.text_;
    }
    return *this;
  }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      wipe();
      text_ = std::move(other.text_);
      other.wipe();
    }
    return *this;
  }
  ~Secret() { wipe(); }

  std::string_view reveal() const { return text_; }
  bool is_empty() const { return text_.empty(); }

 private:
  void wipe();
  std::string text_;
};

}  // namespace entrepot
