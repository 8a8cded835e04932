#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/secret.h"
#include "base/task/task.h"
#include "upstream/byte_span.h"
#include "upstream/response_head.h"
#include "upstream/transfer_budget.h"
#include "upstream/url.h"

namespace entrepot::upstream {

enum class Method { get, head, post };

struct TransportRequest {
  Method method = Method::get;
  Url url;
  std::string accept = {};           // value of Accept; "" = none
  Secret authorization = {};         // value of Authorization; empty = none
  bool on_fresh_connection = false;  // never on a kept one
  TransferClass transfer_class = TransferClass::brief;
  ByteSpan span{};   // not the whole: asked for by Range
  Secret form = {};  // of a post: application/x-www-form-urlencoded
};

/// One HTTP exchange that runs. Owned by the flow that waits for it; destroying it ends it at once, and a
/// flow that still waits gets `cancelled`. Lives on one loop, and not longer than its transport.
class Transfer {
 public:
  virtual ~Transfer() = default;
  /// The head of the final response, redirects being final. Once.
  virtual Task<Result<ResponseHead>> head() = 0;
  /// The next bytes of the body, at most 256 KiB; empty at its proper end. While more than 256 KiB wait (128
  /// KiB of a bypass) nothing is taken from the connection.
  virtual Task<Result<std::string>> read() = 0;
  /// After an error: the connection broke before the first byte of a response, so an idempotent request may
  /// go again.
  virtual bool may_be_sent_again() const = 0;
  /// Bytes that have come and wait to be read.
  virtual size_t waiting() const = 0;
};

/// How requests get to one origin and what it refers to. A seam: tests use one that is scripted. It follows
/// no redirect, answers no challenge, remembers nothing but connections; the connect policy is part of it.
/// One per origin and loop.
///
/// Errors: upstream_unreachable, upstream_timeout, upstream_cut, upstream_failed, policy_refused, overloaded
/// (too many wait), shutting_down. Their messages name the host and the cause.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual std::unique_ptr<Transfer> start(TransportRequest request) = 0;
  /// Ends all transfers with shutting_down; later ones end at once.
  virtual void shut_down() = 0;
};

}  // namespace entrepot::upstream
