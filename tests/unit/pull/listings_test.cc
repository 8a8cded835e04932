#include "proxy/pull/listings.h"

#include "readers.h"

namespace entrepot::testing_support {
namespace {

class ListingsTest : public PullTest {
 protected:
  using Answer = Result<pull::FoundListing>;

  static Task<void> read(pull::Puller& puller, pull::ListingKey key, std::promise<Answer>& promise) {
    std::string client = "a client";
    Answer found = co_await puller.listings().get(std::move(key), std::move(client));
    promise.set_value(std::move(found));
  }
  std::vector<Answer> get(size_t count, const pull::ListingKey& key) {
    std::vector<std::promise<Answer>> promises(count);
    for (size_t i = 0; i < count; ++i) spawn(i, [&, i] { return read(puller(i), key, promises[i]); });
    std::vector<Answer> answers;
    for (std::promise<Answer>& promise : promises) answers.push_back(promise.get_future().get());
    return answers;
  }
  static pull::ListingKey tags_of(const std::string& name) { return {{"docker.io", name}, std::nullopt, {}}; }
};

INSTANTIATE_TEST_SUITE_P(Loops, ListingsTest, testing::Values(1, 2, 4));

TEST_P(ListingsTest, OneRequestHoweverManyAsk) {
  content_.add_listing("library/a", R"({"tags":["one","two"]})");
  content_.are_heads_held = true;
  std::thread opener([this] {
    while (content_.listings == 0) std::this_thread::yield();
    content_.are_heads_held = false;
  });
  for (const Answer& answer : get(50, tags_of("library/a"))) {
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->listing->items().size(), 2u);
  }
  opener.join();
  EXPECT_EQ(content_.listings, 1);
}

TEST_P(ListingsTest, FreshForItsTimeThenAskedAgainAndStaleWhenNobodyAnswers) {
  content_.add_listing("library/a", R"({"tags":["one"]})");
  EXPECT_EQ(get(1, tags_of("library/a"))[0]->outcome, pull::Outcome::miss);
  EXPECT_EQ(get(1, tags_of("library/a"))[0]->outcome, pull::Outcome::hit);
  clock_.advance(std::chrono::seconds(61));
  EXPECT_EQ(get(1, tags_of("library/a"))[0]->outcome, pull::Outcome::miss);
  EXPECT_EQ(content_.listings, 2);
  content_.is_down = true;
  clock_.advance(std::chrono::seconds(61));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get(1, tags_of("library/a"))[0]->outcome, pull::Outcome::stale);
  EXPECT_EQ(content_.listings, 3);  // an upstream that has failed is left alone for a while
}

TEST_P(ListingsTest, ATrueNoIsPassedOn) {
  EXPECT_EQ(get(1, tags_of("library/none"))[0].error().code, Errc::name_unknown);
}

TEST_P(ListingsTest, WithoutTheApiReferrersComeFromTheFallbackTag) {
  Digest subject = Digest::of("subject");
  pull::ListingKey key{{"docker.io", "library/a"}, subject, {}};
  Answer none = get(1, key)[0];
  ASSERT_TRUE(none) << none.error().message;
  EXPECT_TRUE(none->listing->items().empty());

  std::string index = R"({"manifests":[{"digest":")" + Digest::of("signature").text() + R"(","size":9}]})";
  content_.add_manifest("library/b", "sha256-" + subject.hex(), index);
  Answer found = get(1, {{"docker.io", "library/b"}, subject, {}})[0];
  ASSERT_TRUE(found) << found.error().message;
  EXPECT_EQ(found->listing->items().size(), 1u);
}

}  // namespace
}  // namespace entrepot::testing_support
