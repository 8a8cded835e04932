#include "proxy/registry/query.h"

#include <gtest/gtest.h>

namespace entrepot::registry {
namespace {

TEST(Query, FindsNsAmongWhateverElseThereIs) {
  EXPECT_EQ(*read_ns("ns=quay.io"), "quay.io");
  EXPECT_EQ(*read_ns("a=b&ns=localhost%3A5000&c"), "localhost:5000");
  EXPECT_EQ(*read_ns(""), std::nullopt);
  EXPECT_EQ(*read_ns("cb=1&xns=a"), std::nullopt);
}

TEST(Query, ABrokenNsIsABadRequest) {
  for (std::string query : {std::string("ns="), std::string("ns=a&ns=docker.io"),
                            "ns=" + std::string(300, 'a'), std::string("ns=%zz")})
    EXPECT_EQ(read_ns(query).error().code, Errc::bad_request) << query;
}

}  // namespace
}  // namespace entrepot::registry
