#include "proxy/pull/fill_reader.h"

#include "base/loop/call_on.h"

namespace entrepot::pull {

FillReader::FillReader(EventLoop& here, EventLoop& home, std::shared_ptr<Fill> fill, FillHead head,
                       bool has_started_it)
    : here_(&here),
      home_(&home),
      fill_(std::move(fill)),
      head_(std::move(head)),
      has_started_it_(has_started_it) {}

FillReader::~FillReader() {
  if (fill_) home_->post([fill = std::move(fill_)] {});
}

Task<Result<Readable>> FillReader::wait_readable(uint64_t at) {
  // The order matters: what was readable before the digest was right is all there is when it is.
  bool is_verified = head_.progress->is_verified.load(std::memory_order_acquire);
  uint64_t readable = head_.progress->readable.load(std::memory_order_acquire);
  if (is_verified || readable > at) co_return Readable{readable, is_verified};
  auto wait = [fill = fill_.get(), at] { return fill->wait_readable(at); };
  co_return co_await call_on<Result<Readable>>(*home_, *here_, std::move(wait));
}

Task<Result<uint64_t>> FillReader::wait_verified() {
  uint64_t at = 0;
  while (true) {
    Result<Readable> ready = co_await wait_readable(at);
    if (!ready) co_return fail(ready.error());
    at = ready->end;
    if (ready->is_last) co_return at;
  }
}

}  // namespace entrepot::pull
