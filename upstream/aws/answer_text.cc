#include "upstream/aws/answer_text.h"

#include <algorithm>

namespace entrepot::upstream::aws {
namespace {

constexpr size_t kMaxReason = 300;

}  // namespace

std::string as_reason(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c >= 0 && c < ' '; }, ' ');
  if (text.size() > kMaxReason) text.resize(kMaxReason);
  return text;
}

}  // namespace entrepot::upstream::aws
