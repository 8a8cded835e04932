#include "proxy/registry/hot_answers.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace entrepot::registry {
namespace {

MonotonicTime at(int seconds) { return MonotonicTime(std::chrono::seconds(seconds)); }

HotAnswer canned(const std::string& content, size_t size) {
  HotAnswer answer(Digest::of(content));
  answer.canned =
      std::make_shared<http::CannedAnswer>(200, "head", std::make_shared<const std::string>(size, 'x'));
  return answer;
}

TEST(HotAnswers, GivesWhatWasPutUntilItExpires) {
  HotAnswers hot(1);
  HotAnswer answer = canned("a", 10);
  answer.expires = at(10);
  hot.put("/a", std::move(answer), at(0));
  EXPECT_NE(hot.find("/a", at(9)), nullptr);
  EXPECT_EQ(hot.find("/a", at(10)), nullptr);
  EXPECT_EQ(hot.find("/a", at(9)), nullptr);  // it is gone
}

TEST(HotAnswers, ForgetsEveryAnswerOfADigest) {
  HotAnswers hot(1);
  hot.put("/by-tag", canned("a", 10), at(0));
  hot.put("/by-digest", canned("a", 10), at(0));
  hot.put("/other", canned("b", 10), at(0));
  hot.forget(Digest::of("a"), at(0));
  EXPECT_EQ(hot.find("/by-tag", at(0)), nullptr);
  EXPECT_EQ(hot.find("/by-digest", at(0)), nullptr);
  EXPECT_NE(hot.find("/other", at(0)), nullptr);
}

TEST(HotAnswers, TakesNothingBackThatIsJustLeavingTheCache) {
  HotAnswers hot(1);
  hot.forget(Digest::of("a"), at(0));
  hot.put("/late", canned("a", 10), at(1));
  EXPECT_EQ(hot.find("/late", at(1)), nullptr);
  hot.put("/again", canned("a", 10), at(10));
  EXPECT_NE(hot.find("/again", at(10)), nullptr);
}

TEST(HotAnswers, DropsTheLeastRecentlyUsedWhenItsBytesRunOut) {
  HotAnswers hot(1);
  for (int i = 0; i < 31; ++i) hot.put("/" + std::to_string(i), canned(std::to_string(i), 1 << 20), at(0));
  EXPECT_NE(hot.find("/0", at(0)), nullptr);  // used: now the youngest
  hot.put("/31", canned("31", 1 << 20), at(0));
  EXPECT_NE(hot.find("/0", at(0)), nullptr);
  EXPECT_EQ(hot.find("/1", at(0)), nullptr);
}

TEST(HotAnswers, HoldsABoundedNumberOfDescriptors) {
  HotAnswers hot(1);
  std::vector<std::weak_ptr<const UniqueFd>> files;
  for (int i = 0; i < 300; ++i) {
    HotAnswer answer(Digest::of(std::to_string(i)));
    answer.file = std::make_shared<const OpenFile>(UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC)));
    files.push_back(answer.file);
    hot.put("/" + std::to_string(i), std::move(answer), at(0));
  }
  auto open_files = std::ranges::count_if(files, [](const auto& file) { return !file.expired(); });
  EXPECT_EQ(open_files, 256);
}

}  // namespace
}  // namespace entrepot::registry
