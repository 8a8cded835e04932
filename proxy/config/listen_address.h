#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>

namespace entrepot::config {

/// Where to listen: "127.0.0.1:5000", "[::1]:5000", "localhost:5000", "unix:/run/entrepot/data.sock".
struct ListenAddress {
  std::string host;   // without brackets; a name is resolved by the listener; "" for a unix socket
  uint16_t port = 0;  // 0 = any free one
  std::string path;   // absolute, at most 107 bytes (sun_path); "" for TCP

  bool is_unix() const { return !path.empty(); }
  /// The form it is written in.
  std::string text() const;
  bool operator==(const ListenAddress&) const = default;
};

/// The address, or what is wrong with the text.
tl::expected<ListenAddress, std::string> parse_listen_address(std::string_view text);

}  // namespace entrepot::config
