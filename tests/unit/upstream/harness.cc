#include "harness.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>

#include "base/check.h"

namespace entrepot::upstream::testing {
namespace {

Task<Result<std::string>> read_blob(Registry& registry, BlobRequest request) {
  Result<std::unique_ptr<BlobBody>> body = co_await registry.get_blob(std::move(request));
  if (!body) co_return fail(body.error());
  std::string whole;
  while (true) {
    Result<std::string> chunk = co_await (*body)->read();
    if (!chunk) co_return chunk;
    if (chunk->empty()) co_return whole;
    whole += *chunk;
  }
}

}  // namespace

Harness::Harness(std::vector<Settings> settings, size_t loops) : log_fd_(::memfd_create("log", MFD_CLOEXEC)) {
  logger_ = std::make_unique<Logger>(Logger::Options{LogLevel::debug, LogFormat::text, log_fd_});
  pool_ = std::make_unique<ThreadedDiskPool>(2, *logger_, metrics_);
  loops_ = std::make_unique<LoopGroup>(loops, clock_, *logger_, metrics_);
  Result<std::unique_ptr<Shared>> shared =
      Shared::make(std::move(settings), *pool_, clock_, *logger_, metrics_);
  if (!shared) ADD_FAILURE() << shared.error().message;
  CHECK(shared.has_value());
  shared_ = std::move(*shared);
  std::vector<Client*> siblings;
  for (size_t i = 0; i < loops; ++i) {
    clients_.push_back(Client::make(*shared_, *loops_, loops_->at(i)));
    siblings.push_back(clients_.back().get());
  }
  for (auto& client : clients_) client->connect(siblings);
  loops_->start();
}

Harness::~Harness() {
  stop();
  ::close(log_fd_);
}

void Harness::stop() {
  if (!loops_) return;
  for (size_t i = 0; i < clients_.size(); ++i) loops_->at(i).post([this, i] { clients_[i]->shut_down(); });
  loops_->stop();
  clients_.clear();
  shared_.reset();
  pool_.reset();
  loops_.reset();
  logger_.reset();
}

std::string Harness::stop_and_read_log() {
  stop();
  std::string text(static_cast<size_t>(::lseek(log_fd_, 0, SEEK_END)), '\0');
  CHECK(::pread(log_fd_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  return text;
}

std::future<Result<ManifestBody>> Harness::get_manifest(std::string repository, std::string reference,
                                                        size_t loop) {
  Registry& target = registry(loop);
  return begin<Result<ManifestBody>>(
      [&target, repository, reference] {
        return target.get_manifest(repository, *parse_reference(reference), 0);
      },
      loop);
}

std::future<Result<ManifestHead>> Harness::head_manifest(std::string repository, std::string reference,
                                                         size_t loop) {
  Registry& target = registry(loop);
  return begin<Result<ManifestHead>>(
      [&target, repository, reference] {
        return target.head_manifest(repository, *parse_reference(reference));
      },
      loop);
}

std::future<Result<std::string>> Harness::get_blob(std::string repository, Digest digest, size_t loop) {
  return get_blob(BlobRequest{std::move(repository), digest}, loop);
}

std::future<Result<std::string>> Harness::get_blob(BlobRequest request, size_t loop) {
  Registry& target = registry(loop);
  return begin<Result<std::string>>([&target, request] { return read_blob(target, request); }, loop);
}

Settings settings_for(const std::string& url) {
  Settings settings;
  settings.name = "up.test";
  settings.url = url;
  return settings;
}

Settings settings_with_credential(const std::string& url, const std::string& password) {
  Settings settings = settings_for(url);
  settings.access = Access::shared;
  settings.username = "user";
  settings.password_file = temporary_file("password", password + "\n");
  return settings;
}

std::string temporary_file(const std::string& name, const std::string& content) {
  static int count = 0;
  std::string path = ::testing::TempDir() + "upstream-" + std::to_string(::getpid()) + "-" +
                     std::to_string(++count) + "-" + name;
  std::ofstream(path) << content;
  return path;
}

}  // namespace entrepot::upstream::testing
