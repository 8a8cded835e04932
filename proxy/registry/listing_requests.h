#pragma once

#include <functional>
#include <memory>
#include <string>

#include "proxy/http/exchange.h"
#include "proxy/pull/addressing.h"
#include "proxy/pull/puller.h"
#include "proxy/registry/query.h"

namespace entrepot::registry {

/// GET of /v2/<name>/tags/list (end-8) and /v2/<name>/referrers/<digest> (end-12). The Link to the next page
/// leads to ourselves, with the upstream's parameters. One per loop.
class ListingRequests {
 public:
  explicit ListingRequests(pull::Puller& puller) : puller_(puller) {}

  /// `name`: as the client calls the repository.
  Task<void> answer_tags(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                         std::string name, PageQuery query);
  /// Filtered by artifact type here, whether the upstream can do it or not.
  Task<void> answer_referrers(std::shared_ptr<http::Exchange> exchange, pull::Addressing::Target target,
                              Digest subject, PageQuery query);

 private:
  Task<std::string> write(size_t size, std::function<std::string()> make);

  pull::Puller& puller_;
};

}  // namespace entrepot::registry
