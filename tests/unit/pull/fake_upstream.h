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

  /// `key`: "repository", or "repository@subject" for referrers.
  void add_listing(const std::string& key, const std::string& bytes) { listings_[key] = bytes; }

  void remove_tag(const std::string& repository, const std::string& tag) {
    tags_.erase(repository + ":" + tag);
  }

  std::atomic<int> blob_gets{0};
  std::atomic<int> blob_heads{0};
  std::atomic<int> manifest_gets{0};
  std::atomic<int> manifest_heads{0};
  std::atomic<int> listings{0};
  std::string next_query;  // of every listing; set before the loops run
  std::atomic<bool> is_down{false};
  std::atomic<bool> hides_sizes{false};
  std::atomic<uint64_t> cut_after{UINT64_MAX};  // where in the blob
  std::atomic<int> cuts{0};                     // so many cuts, then no more; 0 = for ever
  std::atomic<bool> refuses_ranges{false};
  std::atomic<uint64_t> bytes_given{0};
  std::atomic<bool> is_held{false};                     // bodies wait after their first piece
  std::atomic<bool> is_main_held{false};                // those that begin at 0 do
  std::atomic<bool> lacks_ranges{false};                // bounded Ranges get a 404
  std::atomic<uint64_t> busy_at{UINT64_MAX};            // a bounded Range from there gets a 429
  std::atomic<uint64_t> flipped_in_ranges{UINT64_MAX};  // the place of a byte that is wrong in bounded Ranges
  std::atomic<bool> are_heads_held{false};

  void note_range(uint64_t from, uint64_t until) {
    std::lock_guard lock(mutex_);
    ranges_.emplace_back(from, until);
  }
  /// The bounded Ranges that were asked for.
  std::vector<std::pair<uint64_t, uint64_t>> ranges() const {
    std::lock_guard lock(mutex_);
    return ranges_;
  }

  std::optional<std::string> blob(const std::string& key) const { return at(blobs_, key); }
  std::optional<std::string> manifest(const std::string& key) const { return at(manifests_, key); }
  std::optional<std::string> listing(const std::string& key) const { return at(listings_, key); }
  std::optional<Digest> tag(const std::string& key) const { return at(tags_, key); }

 private:
  template <class V>
  static std::optional<V> at(const std::map<std::string, V>& map, const std::string& key) {
    auto found = map.find(key);
    if (found == map.end()) return std::nullopt;
    return found->second;
  }
  mutable std::mutex mutex_;
  std::vector<std::pair<uint64_t, uint64_t>> ranges_;
  std::map<std::string, std::string> blobs_;
  std::map<std::string, std::string> manifests_;
  std::map<std::string, std::string> listings_;
  std::map<std::string, Digest> tags_;
};

/// Comes back to look, a turn of the loop at a time.
inline Task<void> while_held(const std::atomic<bool>& is_held, EventLoop& loop) {
  while (is_held) {
    Completion<bool> turn;
    loop.post([&turn] { turn.complete(true); });
    co_await turn;
  }
}

class FakeBody final : public upstream::BlobBody {
 public:
  FakeBody(FakeContent& content, EventLoop& loop, std::string bytes, uint64_t begin,
           std::optional<uint64_t> until)
      : content_(content),
        loop_(loop),
        bytes_(std::move(bytes)),
        begin_(begin),
        end_(until.value_or(bytes_.size())),
        at_(begin) {}

  std::optional<uint64_t> size() const override {
    if (content_.hides_sizes) return std::nullopt;
    return bytes_.size();
  }
  uint64_t begin() const override { return begin_; }

  ~FakeBody() override { *is_there_ = false; }

  // The body may be dropped while this waits.
  Task<Result<std::string>> read() override {
    std::shared_ptr<bool> is_there = is_there_;
    while (*is_there && at_ > 0 && (content_.is_held || (begin_ == 0 && content_.is_main_held))) {
      EventLoop& loop = loop_;
      Completion<bool> turn;
      loop.post([&turn] { turn.complete(true); });
      co_await turn;
    }
    if (!*is_there) co_return fail(Errc::cancelled, "the body was dropped");
    if (at_ >= content_.cut_after) {
      if (content_.cuts > 0 && --content_.cuts == 0) content_.cut_after = UINT64_MAX;
      co_return fail(Errc::upstream_cut, "the connection was cut");
    }
    uint64_t limit = std::min<uint64_t>(end_, content_.cut_after);
    uint64_t count = std::min<uint64_t>(limit - at_, 100'000);
    std::string piece = bytes_.substr(at_, count);
    at_ += count;
    content_.bytes_given += count;
    co_return std::move(piece);
  }

 private:
  FakeContent& content_;
  EventLoop& loop_;
  std::string bytes_;
  std::shared_ptr<bool> is_there_ = std::make_shared<bool>(true);
  const uint64_t begin_;
  const uint64_t end_;
  uint64_t at_;
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

  size_t origins() const override { return 1; }
  Task<Result<upstream::ManifestBody>> get_manifest(std::string repository, Reference reference,
                                                    size_t) override {
    ++content_.manifest_gets;
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::optional<std::string> bytes = content_.manifest(repository + "@" + to_text(reference));
    if (!bytes) co_return fail(Errc::manifest_unknown, "no such manifest");
    co_return upstream::ManifestBody{*bytes, "application/vnd.oci.image.manifest.v1+json"};
  }

  Task<Result<upstream::BlobHead>> head_blob(std::string repository, Digest digest) override {
    ++content_.blob_heads;
    co_await while_held(content_.are_heads_held, loop_);
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::optional<std::string> bytes = content_.blob(repository + "@" + digest.text());
    if (!bytes) co_return fail(Errc::blob_unknown, "no such blob in " + repository);
    upstream::BlobHead head;
    if (!content_.hides_sizes) head.size = bytes->size();
    co_return head;
  }

  Task<Result<upstream::ListingPage>> list(upstream::ListingRequest request) override {
    ++content_.listings;
    co_await while_held(content_.are_heads_held, loop_);
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::string key = request.repository + (request.subject ? "@" + request.subject->text() : "");
    std::optional<std::string> bytes = content_.listing(key);
    if (!bytes) co_return fail(request.subject ? Errc::manifest_unknown : Errc::name_unknown, "no listing");
    co_return upstream::ListingPage{*bytes, content_.next_query};
  }

  Task<Result<std::unique_ptr<upstream::BlobBody>>> get_blob(upstream::BlobRequest request) override {
    ++content_.blob_gets;
    if (content_.is_down) co_return fail(Errc::upstream_unreachable, "down");
    std::optional<std::string> bytes = content_.blob(request.repository + "@" + request.digest.text());
    if (!bytes) co_return fail(Errc::blob_unknown, "no such blob in " + request.repository);
    if (request.until) {
      content_.note_range(request.from, *request.until);
      if (content_.lacks_ranges) co_return fail(Errc::blob_unknown, "not by Range");
      if (content_.busy_at == request.from) co_return fail(Error{Errc::upstream_rate_limited, "429", 1});
      uint64_t flipped = content_.flipped_in_ranges;
      if (flipped < bytes->size()) (*bytes)[flipped] = static_cast<char>((*bytes)[flipped] ^ 1);
    }
    bool is_refused = content_.refuses_ranges || request.from >= bytes->size();
    uint64_t begin = is_refused ? 0 : request.from;
    std::optional<uint64_t> until = is_refused ? std::nullopt : request.until;
    co_return std::unique_ptr<upstream::BlobBody>(
        std::make_unique<FakeBody>(content_, loop_, *bytes, begin, until));
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
