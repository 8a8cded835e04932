#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/loop/call_on.h"
#include "upstream/client.h"

// A registry in memory, behind the seam that the pull path sees. It does less than a real one: no HTTP, no
// auth, no redirects (tests/unit/upstream and tests/integration have those); what it can do is hold an answer
// back until a test lets it go, cut a body, give wrong bytes, and count.

namespace entrepot::testing_support {

/// What all loops' clients answer from. Thread-safe.
class FakeContent {
 public:
  void add_blob(const std::string& repository, const std::string& bytes) {
    blobs_[repository + "@" + Digest::of(bytes).text()] = bytes;
  }
  void add_wrong_blob(const std::string& repository, const Digest& digest, const std::string& bytes) {
    blobs_[repository + "@" + digest.text()] = bytes;
  }
  void add_manifest(const std::string& repository, const std::string& tag, const std::string& bytes) {
    manifests_[repository + "@" + Digest::of(bytes).text()] = bytes;
    tags_.insert_or_assign(repository + ":" + tag, Digest::of(bytes));
  }

  void remove_tag(const std::string& repository, const std::string& tag) {
    tags_.erase(repository + ":" + tag);
  }

  std::atomic<int> blob_gets{0};
  std::atomic<int> blob_heads{0};
  std::atomic<int> manifest_gets{0};
  std::atomic<int> manifest_heads{0};
  std::atomic<bool> is_down{false};
  std::atomic<bool> hides_sizes{false};
  std::atomic<uint64_t> cut_after{UINT64_MAX};  // bytes of a body
  std::atomic<bool> is_held{false};             // bodies wait after their first piece

  std::optional<std::string> blob(const std::string& key) const { return at(blobs_, key); }
  std::optional<std::string> manifest(const std::string& key) const { return at(manifests_, key); }
  std::optional<Digest> tag(const std::string& key) const { return at(tags_, key); }

 private:
  template <class V>
  static std::optional<V> at(const std::map<std::string, V>& map, const std::string& key) {
    auto found = map.find(key);
    if (found == map.end()) return std::nullopt;
    return found->second;
  }
  std::map<std::string, std::string> blobs_;
  std::map<std::string, std::string> manifests_;
  std::map<std::string, Digest> tags_;
};

class FakeBody final : public upstream::BlobBody {
 public:
  FakeBody(FakeContent& content, EventLoop& loop, std::string bytes)
      : content_(content), loop_(loop), bytes_(std::move(bytes)) {}

  std::optional<uint64_t> size() const override {
    if (content_.hides_sizes) return std::nullopt;
    return bytes_.size();
  }

  Task<Result<std::string>> read() override {
    // Held: comes back to look, a turn of the loop at a time.
    while (at_ > 0 && content_.is_held) {
      Completion<bool> turn;
      loop_.post([&turn] { turn.complete(true); });
      co_await turn;
    }
    if (at_ >= content_.cut_after) co_return fail(Errc::upstream_failed, "the connection was cut");
    uint64_t limit = std::min<uint64_t>(bytes_.size(), content_.cut_after);
    uint64_t count = std::min<uint64_t>(limit - at_, 100'000);
    std::string piece = bytes_.substr(at_, count);
    at_ += count;
    co_return std::move(piece);
  }

 private:
  FakeContent& content_;
  EventLoop& loop_;
  std::string bytes_;
  uint64_t at_ = 0;
};

class FakeRegistry final : public upstream::Registry {
 public:
  FakeRegistry(FakeContent& content, EventLoop& loop, upstream::Settings settings)
      : content_(content), loop_(loop), settings_(std::move(settings)) {}
  const upstream::Settings& settings() const override { return settings_; }

  Task<Result<upstream::ManifestHead>> head_manifest(std::string repository, Reference reference) override {
    ++content_.manifest_heads;
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::optional<Digest> digest = content_.tag(repository + ":" + to_text(reference));
    if (!digest) co_return fail(Errc::manifest_unknown, "no such tag");
    co_return upstream::ManifestHead{*digest, "application/vnd.oci.image.manifest.v1+json", std::nullopt};
  }

  Task<Result<upstream::ManifestBody>> get_manifest(std::string repository, Reference reference) override {
    ++content_.manifest_gets;
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::optional<std::string> bytes = content_.manifest(repository + "@" + to_text(reference));
    if (!bytes) co_return fail(Errc::manifest_unknown, "no such manifest");
    co_return upstream::ManifestBody{*bytes, "application/vnd.oci.image.manifest.v1+json"};
  }

  Task<Result<upstream::BlobHead>> head_blob(std::string repository, Digest digest) override {
    ++content_.blob_heads;
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::optional<std::string> bytes = content_.blob(repository + "@" + digest.text());
    if (!bytes) co_return fail(Errc::blob_unknown, "no such blob in " + repository);
    upstream::BlobHead head;
    if (!content_.hides_sizes) head.size = bytes->size();
    co_return head;
  }

  Task<Result<std::unique_ptr<upstream::BlobBody>>> get_blob(std::string repository, Digest digest) override {
    ++content_.blob_gets;
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::optional<std::string> bytes = content_.blob(repository + "@" + digest.text());
    if (!bytes) co_return fail(Errc::blob_unknown, "no such blob in " + repository);
    co_return std::unique_ptr<upstream::BlobBody>(std::make_unique<FakeBody>(content_, loop_, *bytes));
  }

 private:
  FakeContent& content_;
  EventLoop& loop_;
  upstream::Settings settings_;
};

class FakeClient final : public upstream::Client {
 public:
  FakeClient(FakeContent& content, EventLoop& loop, const upstream::Settings& settings)
      : registry_(content, loop, settings) {}
  void connect(std::span<upstream::Client* const>) override {}
  upstream::Registry* find(std::string_view name) override {
    return name == registry_.settings().name ? &registry_ : nullptr;
  }
  void shut_down() override {}

 private:
  FakeRegistry registry_;
};

}  // namespace entrepot::testing_support
