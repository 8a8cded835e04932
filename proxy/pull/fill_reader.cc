#include "proxy/pull/fill_reader.h"

#include <utility>

#include "base/loop/call_on.h"

namespace entrepot::pull {

FillReader::FillReader(EventLoop& here, EventLoop& home, std::shared_ptr<Fill> fill, FillHead head,
                       bool has_started_it)
    : here_(&here),
      home_(&home),
      fill_(std::move(fill)),
      head_(std::move(head)),
      has_started_it_(has_started_it) {}

FillReader::~FillReader() { let_go(); }

void FillReader::let_go() {
  head_.file.reset();
  client_left();
  if (fill_) home_->post([fill = std::move(fill_)] {});
}

void FillReader::client_left() {
  if (fill_ && !std::exchange(has_left_, true)) home_->post([fill = fill_] { fill->leave(); });
}

void FillReader::want(std::vector<cache::Extent> extents) {
  if (fill_) home_->post([fill = fill_, extents = std::move(extents)] { fill->want(extents); });
}

Task<Result<Readable>> FillReader::wait_readable(uint64_t at, uint64_t until) {
  // The order matters: what was readable before the digest was right is all there is when it is.
  bool is_verified = head_.progress->is_verified.load(std::memory_order_acquire);
  uint64_t readable = head_.progress->readable.load(std::memory_order_acquire);
  if (is_verified || readable > at) co_return Readable{readable, is_verified};
  auto wait = [fill = fill_.get(), at, until] { return fill->wait_readable(at, until); };
  co_return co_await call_on<Result<Readable>>(*home_, *here_, std::move(wait));
}

Task<Result<Remainder>> FillReader::remainder() {
  auto ask = [fill = fill_.get()] { return fill->remainder(); };
  co_return co_await call_on<Result<Remainder>>(*home_, *here_, std::move(ask));
}

Task<Result<uint64_t>> FillReader::wait_verified() {
  uint64_t at = 0;
  while (true) {
    Result<Readable> ready = co_await wait_readable(at, at);
    if (!ready) co_return fail(ready.error());
    at = ready->end;
    if (ready->is_last) co_return at;
  }
}

}  // namespace entrepot::pull
