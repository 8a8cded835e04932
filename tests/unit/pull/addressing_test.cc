#include "proxy/pull/addressing.h"

#include <gtest/gtest.h>

namespace entrepot::pull {
namespace {

class AddressingTest : public testing::Test {
 protected:
  AddressingTest() {
    upstreams_.resize(2);
    upstreams_[0].name = "docker.io";
    upstreams_[0].aliases = {"index.docker.io", "registry-1.docker.io"};
    upstreams_[0].is_default = true;
    upstreams_[0].adds_library = true;
    upstreams_[1].name = "quay.io";
  }
  std::string resolve(std::string_view name, std::optional<std::string> ns = std::nullopt) {
    Result<Addressing::Target> target = Addressing(upstreams_).resolve({.name = name, .ns = std::move(ns)});
    if (!target) return std::string(describe(target.error().code).label);
    return target->repository.upstream + " " + target->repository.name +
           (target->ns.empty() ? "" : " ns=" + target->ns);
  }
  std::vector<upstream::Settings> upstreams_;
};

TEST_F(AddressingTest, TheDefaultUpstreamGetsWhatNamesNone) {
  EXPECT_EQ(resolve("library/alpine"), "docker.io library/alpine");
  EXPECT_EQ(resolve("alpine"), "docker.io library/alpine");
  EXPECT_EQ(resolve("keboola/x"), "docker.io keboola/x");
}

TEST_F(AddressingTest, AConfiguredNameInThePathComesFirst) {
  EXPECT_EQ(resolve("quay.io/keboola/x"), "quay.io keboola/x");
  EXPECT_EQ(resolve("quay.io/x", "docker.io"), "quay.io x");
  EXPECT_EQ(resolve("index.docker.io/alpine"), "docker.io library/alpine");
}

TEST_F(AddressingTest, ThenTheNsParameter) {
  EXPECT_EQ(resolve("keboola/x", "quay.io"), "quay.io keboola/x ns=quay.io");
  EXPECT_EQ(resolve("quay.io/keboola/x", "quay.io"), "quay.io keboola/x ns=quay.io")
      << "as BuildKit says it twice";
  EXPECT_EQ(resolve("quay.io/keboola/x", "docker.io"), "quay.io keboola/x") << "the path decides";
  EXPECT_EQ(resolve("alpine", "registry-1.docker.io"), "docker.io library/alpine ns=registry-1.docker.io");
}

TEST_F(AddressingTest, ThenTheHostHeader) {
  upstreams_[1].hosts = {"quay.test", "mirror.test:5000"};
  Addressing addressing(upstreams_);
  auto resolve_at = [&addressing](std::string_view host, std::string_view name,
                                  std::optional<std::string> ns) {
    auto target = addressing.resolve({.name = name, .ns = std::move(ns), .host = host});
    return target ? target->repository.upstream : std::string(describe(target.error().code).label);
  };
  EXPECT_EQ(resolve_at("quay.test", "a/b", {}), "quay.io");
  EXPECT_EQ(resolve_at("QUAY.test:443", "a/b", {}), "quay.io");
  EXPECT_EQ(resolve_at("mirror.test:5000", "a/b", {}), "quay.io");
  EXPECT_EQ(resolve_at("mirror.test:5001", "a/b", {}), "docker.io");
  EXPECT_EQ(resolve_at("other.test", "a/b", {}), "docker.io");
  EXPECT_EQ(resolve_at("", "a/b", {}), "docker.io");
  // The rules before it come first, and what they refuse stays refused.
  EXPECT_EQ(resolve_at("quay.test", "docker.io/a/b", {}), "docker.io");
  EXPECT_EQ(resolve_at("quay.test", "a/b", "docker.io"), "docker.io");
  EXPECT_EQ(resolve_at("quay.test", "a/b", "evil.test"), "name_unknown");
  EXPECT_EQ(resolve_at("quay.test", "ghcr.io/a/b", {}), "name_unknown");
}

TEST_F(AddressingTest, ARegistryThatIsNotConfiguredIsUnknownAndFallsThroughToNothing) {
  for (const char* name : {"ghcr.io/a/b", "169.254.169.254/latest", "localhost/a",
                           "metadata.google.internal/a", "evildocker.io/a", "docker.io.evil.test/a"})
    EXPECT_EQ(resolve(name), "name_unknown") << name;
  for (const char* ns : {"evil.test", "169.254.169.254", "DOCKER.IO", "docker.io.", "docker.io:444"})
    EXPECT_EQ(resolve("alpine", ns), "name_unknown") << ns;
}

TEST_F(AddressingTest, AUrlThatBeginsWithARegistrysNameMustNameAConfiguredOne) {
  Addressing addressing(upstreams_);
  EXPECT_EQ(addressing.resolve({.name = "quay.io/a/b", .names_upstream = true})->repository.name, "a/b");
  EXPECT_EQ(addressing.resolve({.name = "hub/a/b", .names_upstream = true}).error().code, Errc::name_unknown);
  EXPECT_EQ(addressing.resolve({.name = "hub/a/b"})->repository.name, "hub/a/b");
}

TEST_F(AddressingTest, WithoutADefaultARequestMustNameItsUpstream) {
  upstreams_[0].is_default = false;
  EXPECT_EQ(resolve("alpine"), "name_unknown");
  EXPECT_EQ(resolve("quay.io/a"), "quay.io a");
}

}  // namespace
}  // namespace entrepot::pull
