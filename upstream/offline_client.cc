#include "upstream/offline_client.h"

#include <map>
#include <string>
#include <utility>

namespace entrepot::upstream {
namespace {

constexpr Duration kForever = std::chrono::hours(24 * 365 * 100);

class OfflineRegistry final : public Registry {
 public:
  explicit OfflineRegistry(Settings settings) : settings_(std::move(settings)) {
    settings_.tag_ttl = kForever;
    settings_.stale_ttl.reset();
    settings_.negative_ttl = Duration::zero();
  }

  const Settings& settings() const override { return settings_; }
  bool is_offline() const override { return true; }
  size_t origins() const override { return 1; }

  Task<Result<ManifestHead>> head_manifest(std::string repository, Reference reference) override {
    co_return refusal(repository + ":" + to_text(reference));
  }
  Task<Result<ManifestBody>> get_manifest(std::string repository, Reference reference, size_t) override {
    co_return refusal(repository + ":" + to_text(reference));
  }
  Task<Result<BlobHead>> head_blob(std::string repository, Digest digest) override {
    co_return refusal(repository + "@" + digest.text());
  }
  Task<Result<std::unique_ptr<BlobBody>>> get_blob(BlobRequest request) override {
    co_return refusal(request.repository + "@" + request.digest.text());
  }
  Task<Result<ListingPage>> list(ListingRequest request) override { co_return refusal(request.repository); }

 private:
  tl::unexpected<Error> refusal(const std::string& what) const {
    return fail(Errc::offline, "offline, and " + settings_.name + "/" + what + " is not here");
  }

  Settings settings_;
};

class OfflineClient final : public Client {
 public:
  explicit OfflineClient(std::span<const Settings> upstreams) {
    for (const Settings& one : upstreams) registries_.emplace(one.name, OfflineRegistry(one));
  }
  void connect(std::span<Client* const>) override {}
  Registry* find(std::string_view name) override {
    auto found = registries_.find(name);
    return found == registries_.end() ? nullptr : &found->second;
  }
  void shut_down() override {}

 private:
  std::map<std::string, OfflineRegistry, std::less<>> registries_;
};

}  // namespace

std::unique_ptr<Client> make_offline_client(std::span<const Settings> upstreams) {
  return std::make_unique<OfflineClient>(upstreams);
}

}  // namespace entrepot::upstream
