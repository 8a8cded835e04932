#include "base/secret.h"

#include <cstring>

namespace entrepot {

void Secret::wipe() {
  explicit_bzero(text_.data(), text_.capacity());
  text_.clear();
}

}  // namespace entrepot
