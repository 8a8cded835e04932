#pragma once

#include "proxy/http/exchange.h"

namespace entrepot::registry {

/// While a flow waits for bytes, whoever gives them hears of a client who leaves. A value on the flow's
/// frame; `left` is not called after it has gone.
class ClientWatch {
 public:
  template <class Left>
  ClientWatch(http::Exchange& exchange, Left left) : exchange_(exchange) {
    exchange_.on_client_left(std::move(left));
  }
  ~ClientWatch() { exchange_.on_client_left(nullptr); }
  ClientWatch(const ClientWatch&) = delete;
  ClientWatch& operator=(const ClientWatch&) = delete;

 private:
  http::Exchange& exchange_;
};

}  // namespace entrepot::registry
