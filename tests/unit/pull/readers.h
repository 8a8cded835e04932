#pragma once

#include <unistd.h>

#include "pull_fixture.h"

namespace entrepot::testing_support {

struct Got {
  std::string bytes;
  std::optional<Error> error;
  pull::Outcome outcome = pull::Outcome::hit;
};

// Reads a blob as an answer does: from where it is readable, and nothing else.
inline Task<void> read_blob(pull::Puller& puller, cache::Repository repository, Digest digest,
                            std::promise<Got>& promise) {
  Got got;
  Result<pull::OpenBlob> blob = co_await puller.blobs().open(repository, digest);
  if (!blob) {
    got.error = blob.error();
    promise.set_value(std::move(got));
    co_return;
  }
  got.outcome = blob->outcome;
  std::unique_ptr<pull::Bypass> rest = std::move(blob->bypass);
  bool is_hit = !blob->fill && !rest;
  uint64_t at = 0;
  while (blob->fill) {
    Result<pull::Readable> ready = co_await blob->fill->wait_readable(at, at);
    if (!ready && pull::Fill::is_store_failure(ready.error())) {
      Result<pull::Remainder> remainder = co_await blob->fill->remainder();
      pull::Bypass::Given given{at, blob->size};
      Result<std::unique_ptr<pull::Bypass>> gone_on =
          co_await puller.blobs().go_on(repository, digest, std::move(*remainder), std::move(given));
      if (gone_on)
        rest = std::move(*gone_on);
      else
        got.error = gone_on.error();
      break;
    }
    if (!ready) {
      got.error = ready.error();
      break;
    }
    std::string piece(ready->end - at, '\0');
    EXPECT_EQ(pread(blob->file->get(), piece.data(), piece.size(), static_cast<off_t>(at)),
              static_cast<ssize_t>(piece.size()));
    got.bytes += piece;
    at = ready->end;
    if (ready->is_last) break;
  }
  while (rest) {
    Result<std::string> piece = co_await rest->read();
    if (!piece) got.error = piece.error();
    if (!piece || piece->empty()) break;
    got.bytes += *piece;
  }
  if (is_hit) {
    got.bytes.resize(*blob->size);
    EXPECT_EQ(pread(blob->file->get(), got.bytes.data(), got.bytes.size(), 0),
              static_cast<ssize_t>(got.bytes.size()));
  }
  promise.set_value(std::move(got));
}

inline Task<void> pull_tag(pull::Puller& puller, cache::Repository repository, std::string tag,
                           std::promise<Got>& promise) {
  Got got;
  pull::TagRequest request{repository, std::move(tag), "a client"};
  Result<pull::ResolvedTag> resolved = co_await puller.tags().resolve(std::move(request));
  if (!resolved) {
    got.error = resolved.error();
    promise.set_value(std::move(got));
    co_return;
  }
  got.outcome = resolved->outcome;
  Result<pull::PulledManifest> pulled = co_await puller.manifests().get(repository, resolved->digest);
  Result<std::string> bytes = pulled ? pull::read_bytes(*pulled->manifest) : fail(pulled.error());
  if (bytes)
    got.bytes = std::move(*bytes);
  else
    got.error = bytes.error();
  promise.set_value(std::move(got));
}

inline std::string pattern(size_t size) {
  std::string bytes(size, '\0');
  uint32_t state = 12345;
  for (char& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
  return bytes;
}

inline std::string manifest_of(const std::string& layer) {
  return R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":")" +
         Digest::of("{}").text() + R"(","size":2},"layers":[{"digest":")" + Digest::of(layer).text() +
         R"(","size":)" + std::to_string(layer.size()) + "}]}";
}

/// Clients of the pull path, and what they got.
class ReadersTest : public PullTest {
 protected:
  using PullTest::PullTest;

  std::vector<Got> read_all(size_t clients, const std::string& name, const Digest& digest) {
    std::vector<std::promise<Got>> promises(clients);
    for (size_t i = 0; i < clients; ++i)
      spawn(i, [this, i, name, digest, &promises] {
        return read_blob(puller(i), repository(name), digest, promises[i]);
      });
    std::vector<Got> all;
    for (auto& promise : promises) all.push_back(promise.get_future().get());
    return all;
  }
  std::vector<Got> pull_all(size_t clients, const std::string& name, const std::string& tag) {
    std::vector<std::promise<Got>> promises(clients);
    for (size_t i = 0; i < clients; ++i)
      spawn(i, [this, i, name, tag, &promises] {
        return pull_tag(puller(i), repository(name), tag, promises[i]);
      });
    std::vector<Got> all;
    for (auto& promise : promises) all.push_back(promise.get_future().get());
    return all;
  }
  static Task<void> ask_size(pull::Puller& puller, Digest digest, std::promise<uint64_t>& promise) {
    cache::Repository name = repository("library/a");
    Result<pull::BlobHead> head = co_await puller.blobs().head(name, digest);
    promise.set_value(head ? head->size : 0);
  }
  pull::ObjectState state_of(const Digest& digest) {
    std::promise<pull::ObjectState> state;
    spawn(0, [this, digest, &state] { return ask_state(puller(0), digest, state); });
    return state.get_future().get();
  }
  static Task<void> ask_state(pull::Puller& puller, Digest digest, std::promise<pull::ObjectState>& promise) {
    Result<pull::ObjectState> state = co_await puller.state_of(digest);
    promise.set_value(*state);
  }
  void wait_committed(const Digest& digest) {
    while (state_of(digest) != pull::ObjectState::committed) std::this_thread::yield();
  }
};

}  // namespace entrepot::testing_support
