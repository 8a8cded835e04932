#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/metrics.h"
#include "upstream/ca_store.h"
#include "upstream/client_identity.h"
#include "upstream/connect_policy.h"
#include "upstream/resolver.h"
#include "upstream/transfer_budget.h"
#include "upstream/transport.h"

namespace entrepot {
class EventLoop;
}

namespace entrepot::upstream {

/// What a transport needs to know of its origin. The references outlive it.
struct CurlOptions {
  std::string upstream;  // its name, for messages
  const ConnectPolicy& policy;
  const CaStore& ca;
  const Url& base;                 // the configured url
  const ClientIdentity* identity;  // shown to the base's own origin alone; nullptr = none
  TransferBudget& budget;          // shared by the origin's transports on all loops
  Resolver& resolver;              // of the transport's loop
  bool allows_http = false;        // the configured url is http
  std::string proxy;               // "" = none, "env" = the environment's, else a URL
  Duration connect_timeout{10'000};
  Duration header_timeout{30'000};
  Duration stall_timeout{60'000};
  Counter refused_connections;  // by the policy
  Counter received_bytes;       // of bodies
  Counter overloads;            // requests that were turned away because too many wait
};

/// libcurl's global state. Before there are threads; again does no harm. False when libcurl is too old to be
/// trusted with credentials (7.83.0: CVE-2022-27774, CVE-2022-27776).
bool init_curl();
/// The CA bundle that libcurl was built to use; "" when there is none.
std::string system_ca_file();

std::unique_ptr<Transport> make_curl_transport(EventLoop& loop, CurlOptions options);

}  // namespace entrepot::upstream
