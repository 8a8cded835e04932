#include "proxy/http/address.h"

#include <gtest/gtest.h>

namespace entrepot::http {
namespace {

std::string round_trip(std::string_view text) {
  auto address = parse_address(text);
  return address ? format_address(address->storage, address->length) : "error";
}

TEST(Address, IsParsedInEveryForm) {
  EXPECT_EQ(round_trip("127.0.0.1:5000"), "127.0.0.1:5000");
  EXPECT_EQ(round_trip("localhost:0"), "127.0.0.1:0");
  EXPECT_EQ(round_trip("[::1]:65535"), "[::1]:65535");
  EXPECT_EQ(round_trip("[::]:80"), "[::]:80");
  EXPECT_EQ(round_trip(":80"), "0.0.0.0:80");
  EXPECT_EQ(round_trip("*:80"), "0.0.0.0:80");
  EXPECT_EQ(round_trip("unix:/run/entrepot.sock"), "unix:/run/entrepot.sock");
}

TEST(Address, IsRefusedWhenItIsNoAddress) {
  for (std::string text :
       {"", "localhost", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1",
        "::1:80", "[::1:80", "[::1]", "[127.0.0.1]:80", "unix:", "unix:relative"})
    EXPECT_EQ(round_trip(text), "error") << text;
  EXPECT_EQ(round_trip("unix:/" + std::string(107, 'a')), "error");
}

TEST(Address, AClientIsAnAddressWithoutItsPort) {
  EXPECT_EQ(client_of("127.0.0.1:40312"), "127.0.0.1");
  EXPECT_EQ(client_of("[2001:db8:1:2:3:4:5:6]:443"), "2001:db8:1:2::/64");
  EXPECT_EQ(client_of("[fe80::1%eth0]:443"), "fe80::/64");
  EXPECT_EQ(client_of("[::ffff:10.0.0.1]:443"), "::ffff:10.0.0.1");
  EXPECT_EQ(client_of("unix"), "unix");
  EXPECT_EQ(client_of("unix:/run/client"), "unix");
}

}  // namespace
}  // namespace entrepot::http
