#include "upstream/link.h"

#include <gtest/gtest.h>

namespace entrepot::upstream {
namespace {

std::string next(std::string_view link) {
  ResponseHead head;
  head.headers.emplace_back("link", link);
  return next_query_of(head);
}

TEST(Link, GivesTheQueryOfTheNextPage) {
  EXPECT_EQ(next(R"(</v2/a/tags/list?last=b&n=2>; rel="next")"), "last=b&n=2");
  EXPECT_EQ(next(R"(<https://other.test/v2/a/tags/list?next_page=gA%3D%3D>; rel="next")"),
            "next_page=gA%3D%3D");
  EXPECT_EQ(next(R"(<?last=b>;rel=next)"), "last=b");
  EXPECT_EQ(next(R"(</x?a=1>; rel="prev", </x?a=3>; rel="next")"), "a=3");
  EXPECT_EQ(next(R"(</x?a=1#fragment>; rel="next")"), "a=1");
}

TEST(Link, WhatMakesNoSenseIsNone) {
  for (const char* link :
       {"", "nonsense", "</x?a=1>", R"(</x?a=1>; rel="prev")", R"(</x>; rel="next")", "</x?a=1",
        "</x?a=1 b>; rel=\"next\"", "</x?a=\"1\">; rel=\"next\"", "</x?a=\x01>; rel=\"next\""})
    EXPECT_EQ(next(link), "") << link;
  EXPECT_EQ(next("</x?a=" + std::string(3000, 'a') + ">; rel=\"next\""), "");
}

}  // namespace
}  // namespace entrepot::upstream
