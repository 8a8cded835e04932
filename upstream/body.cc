#include "upstream/body.h"

#include <algorithm>

namespace entrepot::upstream {

Task<Result<std::string>> read_whole(Transfer& transfer, size_t limit, uint64_t expected) {
  std::string whole;
  whole.reserve(std::min<uint64_t>(expected, limit));
  while (true) {
    Result<std::string> chunk = co_await transfer.read();
    if (!chunk) co_return fail(std::move(chunk).error());
    if (chunk->empty()) co_return whole;
    if (chunk->size() > limit - whole.size())
      co_return fail(Errc::upstream_failed, "an answer larger than " + std::to_string(limit) + " bytes");
    whole += *chunk;
  }
}

}  // namespace entrepot::upstream
