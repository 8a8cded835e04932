#include "readers.h"

namespace entrepot::testing_support {
namespace {

class LargeManifest : public ReadersTest {
 protected:
  // With so many children that what is told of them takes several turns of a loop.
  static std::string make(int number) {
    std::string bytes =
        R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","layers":[)";
    for (int i = 0; i < 1000; ++i) {
      std::string layer = std::to_string(number) + "." + std::to_string(i);
      bytes += (i > 0 ? R"(,{"digest":")" : R"({"digest":")") + Digest::of(layer).text() + R"(","size":9})";
    }
    return bytes + "]}";
  }
  static Task<void> get(pull::Puller& puller, Digest digest, int times, std::promise<int>& wrong) {
    int count = 0;
    for (int i = 0; i < times; ++i) {
      cache::Repository name = repository("library/a");
      Result<pull::PulledManifest> pulled = co_await puller.manifests().get(std::move(name), digest);
      bool is_right = pulled && Digest::of(*pull::read_bytes(*pulled->manifest)) == digest;
      count += is_right ? 0 : 1;
    }
    wrong.set_value(count);
  }
  static Task<void> is_in_file(pull::Puller& puller, Digest digest, std::promise<bool>& promise) {
    cache::Repository name = repository("library/a");
    Result<pull::PulledManifest> pulled = co_await puller.manifests().get(std::move(name), digest);
    promise.set_value(pulled && pulled->manifest->file && pulled->manifest->bytes.empty());
  }
};

INSTANTIATE_TEST_SUITE_P(Loops, LargeManifest, testing::Values(1, 2, 4));

TEST_P(LargeManifest, IsFetchedOnceAndGivenAsItsFile) {
  std::string manifest = make(0);
  content_.add_manifest("library/a", "latest", manifest);
  for (const Got& got : pull_all(100, "library/a", "latest")) EXPECT_TRUE(got.bytes == manifest);
  EXPECT_EQ(content_.manifest_gets, 1);
  std::promise<bool> in_file;
  spawn(0,
        [this, digest = Digest::of(manifest), &in_file] { return is_in_file(puller(0), digest, in_file); });
  EXPECT_TRUE(in_file.get_future().get());
}

TEST_P(LargeManifest, WhoAsksAtAnyMomentOfTheFetchIsAnswered) {
  for (int number = 0; number < 10; ++number) {
    std::string manifest = make(number);
    content_.add_manifest("library/a", "latest", manifest);
    std::vector<std::promise<int>> wrong(32);
    for (size_t i = 0; i < wrong.size(); ++i)
      spawn(i, [this, i, digest = Digest::of(manifest), &wrong] {
        return get(puller(i), digest, 20, wrong[i]);
      });
    for (std::promise<int>& one : wrong) EXPECT_EQ(one.get_future().get(), 0);
  }
  EXPECT_EQ(content_.manifest_gets, 10);
}

}  // namespace
}  // namespace entrepot::testing_support
