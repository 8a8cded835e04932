#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/loop/event_loop.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task/task.h"
#include "upstream/byte_span.h"
#include "upstream/origin.h"
#include "upstream/transport.h"

namespace entrepot::upstream {

/// One thing that is asked of the registry.
struct Ask {
  Method method = Method::get;
  RequestKind kind = RequestKind::manifest;
  std::string repository;
  std::string reference;  // tag or digest
  std::string path;       // "/v2/…", below the configured url
  std::string accept;
  ByteSpan span{};         // not the whole: asked for by Range
  bool is_bypass = false;  // of a blob: streamed to one client, at his pace

  /// "library/alpine:3" or "library/alpine@sha256:…", for messages.
  std::string what() const;
};

/// The final response to an Ask.
struct Answer {
  std::unique_ptr<Transfer> transfer;
  ResponseHead head;
  bool is_elsewhere = false;  // given by another host than the registry, which never sees our credentials
};

/// Sends a request and follows its redirects by hand: at most five, 301, 302, 303, 307 and 308, never from
/// https to http. Authorization goes to the registry's own origin (scheme, host and port), and is dropped for
/// good with the first redirect to another. A request whose connection breaks before the first byte of a
/// response is sent once more, on a fresh connection. While the registry's host does not answer it is left
/// alone (Breaker). One per origin and loop.
class Requester {
 public:
  Requester(const Origin& origin, EventLoop& loop, Transport& transport)
      : origin_(origin), loop_(loop), transport_(transport) {}

  /// Errors: those of the transport; policy_refused for a redirect that is not followed. All name upstream
  /// and object.
  Task<Result<Answer>> ask(const Ask& ask, Secret authorization);

 private:
  Task<Result<Answer>> send(const Ask& ask, Url url, Secret authorization, bool is_redirected);
  static Result<Url> next_hop(const Url& from, const ResponseHead& head);
  Error named(const Ask& ask, const Error& error) const;

  const Origin& origin_;
  EventLoop& loop_;
  Transport& transport_;
};

}  // namespace entrepot::upstream
