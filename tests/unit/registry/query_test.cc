#include "proxy/registry/query.h"

#include <gtest/gtest.h>

namespace entrepot::registry {
namespace {

TEST(Query, FindsNsAmongWhateverElseThereIs) {
  EXPECT_EQ(*read_ns("ns=quay.io"), "quay.io");
  EXPECT_EQ(*read_ns("a=b&ns=localhost%3A5000&c"), "localhost:5000");
  EXPECT_EQ(*read_ns(""), std::nullopt);
  EXPECT_EQ(*read_ns("cb=1&xns=a"), std::nullopt);
  EXPECT_EQ(*read_ns("%6es=quay.io"), "quay.io");
  EXPECT_EQ(*read_ns("%zz=1&ns=quay.io"), "quay.io");
}

TEST(Query, ABrokenNsIsABadRequest) {
  for (std::string query : {std::string("ns="), std::string("ns=a&ns=docker.io"),
                            "ns=" + std::string(300, 'a'), std::string("ns=%zz"), std::string("ns")})
    EXPECT_EQ(read_ns(query).error().code, Errc::bad_request) << query;
}

TEST(PageQuery, KeepsWhatMeansSomething) {
  Result<PageQuery> page = read_page_query("n=5&last=v1%2B2&cb=77&ns=quay.io&next_page=gAAA%3D%3D");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->n, 5);
  EXPECT_EQ(page->last, "v1+2");
  EXPECT_EQ(page->text(), "n=5&last=v1%2B2&next_page=gAAA%3D%3D");
  EXPECT_EQ(read_page_query("cb=1")->text(), "");
  Result<PageQuery> filtered = read_page_query("artifactType=application%2Fx");
  EXPECT_EQ(filtered->artifact_type, "application/x");
  EXPECT_EQ(filtered->text(), "");
}

TEST(PageQuery, ClampsWhatIsLarger) {
  for (std::string digits :
       {std::string("1000000000"), std::string("9223372036854775808"), std::string(400, '9')})
    EXPECT_EQ(read_page_query("n=" + digits)->n, 1000) << digits;
  EXPECT_EQ(read_page_query("n=0")->n, 0);
}

TEST(PageQuery, WhatIsBrokenIsABadRequest) {
  for (std::string query :
       {std::string("n=-1"), std::string("n=abc"), std::string("n="), std::string("n=1e3"),
        std::string("n=0x10"), std::string("n=1&n=2"), std::string("last=a&last=b"), std::string("last=%zz"),
        "last=" + std::string(2000, 'a')})
    EXPECT_EQ(read_page_query(query).error().code, Errc::bad_request) << query;
}

}  // namespace
}  // namespace entrepot::registry
