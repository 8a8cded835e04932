#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "upstream/aws/credentials.h"
#include "upstream/aws/ecr_host.h"
#include "upstream/ca_store.h"

namespace entrepot::upstream::aws {

/// Signs a request with Signature Version 4.
struct Signature {
  Endpoint by;  // its region and service
  const AwsCredentials* credentials = nullptr;
};

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<Secret> headers;  // whole lines
  Secret body;
  std::optional<Signature> signature;
  Duration timeout{10'000};
  bool is_local = false;  // a metadata service of this machine: never through a proxy
};

struct HttpResponse {
  int status = 0;
  Secret body;
  std::optional<WallTime> date;  // what the other side's clock says
};

/// One small HTTP exchange at a time with what gives out credentials. BLOCKING, on any one thread. A seam.
class HttpCaller {
 public:
  virtual ~HttpCaller() = default;
  /// upstream_unreachable, upstream_timeout, upstream_failed (more than 1 MiB of answer). Messages name the
  /// URL without its query, of a local one the host alone. Redirects are answers like any other: nobody here
  /// gives one in earnest.
  virtual Result<HttpResponse> call(const HttpRequest& request) = 0;
};

struct CallerOptions {
  std::string proxy;  // as Settings::proxy
  std::shared_ptr<const CaStore> ca;
  const std::atomic<bool>& is_stopped;  // ends a call soon
};

std::unique_ptr<HttpCaller> make_curl_caller(CallerOptions options);

}  // namespace entrepot::upstream::aws
