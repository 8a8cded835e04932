#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "harness.h"
#include "upstream/curl_transport.h"
#include "upstream/resolver.h"

namespace entrepot::upstream::testing {

/// A transport of its own, on a harness' loop. Its upstream is at `url`; what it waits for, and who it asks
/// for addresses, is for the test to say.
class TransportRig {
 public:
  struct Setup {
    Duration connect_timeout{10'000};
    Duration stall_timeout{60'000};
    std::string proxy;
    LookUp look_up = look_up_by_system;
  };
  explicit TransportRig(const std::string& url) : TransportRig(url, Setup()) {}
  TransportRig(const std::string& url, Setup setup)
      : harness_(settings_for(url)), url_(*Url::parse(url)), policy_(url_, {}, {}, setup.proxy) {
    look_ups_.emplace(std::move(setup.look_up));
    names_.emplace(harness_.loop(), *look_ups_);
    resolver_.emplace(harness_.loop());
    resolver_->connect({{&harness_.loop(), &*names_}});
    transport_ = make_curl_transport(harness_.loop(), CurlOptions{.upstream = "up.test",
                                                                  .policy = policy_,
                                                                  .ca = *ca_,
                                                                  .base = url_,
                                                                  .identity = nullptr,
                                                                  .budget = budget_,
                                                                  .resolver = *resolver_,
                                                                  .allows_http = true,
                                                                  .proxy = setup.proxy,
                                                                  .connect_timeout = setup.connect_timeout,
                                                                  .stall_timeout = setup.stall_timeout,
                                                                  .refused_connections = refused_,
                                                                  .received_bytes = received_,
                                                                  .overloads = overloads_});
  }
  ~TransportRig() {
    std::promise<void> done;
    harness_.loop().post([&] {
      transport_.reset();
      done.set_value();
    });
    done.get_future().wait();
    look_ups_.reset();
    harness_.stop_and_read_log();  // while what the loop's mail refers to is still there
  }

  std::unique_ptr<Transfer> start() { return start(url_); }
  std::unique_ptr<Transfer> start(const Url& url) {
    return transport_->start(TransportRequest{Method::get, url, "", Secret()});
  }
  Harness& harness() { return harness_; }
  Transport& transport() { return *transport_; }
  double overloads() const { return overloads_.value(); }

 private:
  Harness harness_;
  Counter refused_ = harness_.metrics().counter("test_refused_total", "For tests");
  Counter received_ = harness_.metrics().counter("test_received_total", "For tests");
  Counter overloads_ = harness_.metrics().counter("test_overloads_total", "For tests");
  Url url_;
  ConnectPolicy policy_;
  std::shared_ptr<const CaStore> ca_ = CaStore::empty();
  TransferBudget budget_{2};
  std::optional<LookUpPool> look_ups_;
  std::optional<NameKeeper> names_;
  std::optional<Resolver> resolver_;
  std::unique_ptr<Transport> transport_;
};

}  // namespace entrepot::upstream::testing
