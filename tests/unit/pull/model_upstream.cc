#include "model_upstream.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace entrepot::model {
namespace {

Error shutting_down() { return Error{Errc::shutting_down, "the upstream's client has ended"}; }

}  // namespace

Answer Answer::failed(Error error) {
  Answer answer;
  answer.error = std::move(error);
  return answer;
}

Answer Answer::holding(std::string bytes) {
  Answer answer;
  answer.bytes = std::move(bytes);
  return answer;
}

Task<ModelUpstream::Asked> ModelUpstream::ask(EventLoop& loop, std::string upstream,
                                              upstream::BlobRequest blob, bool is_head) {
  Completion<Asked> done;
  {
    std::lock_guard lock(mutex_);
    if (is_shut_down_) co_return fail(shutting_down());
    Request request{++last_id_, is_head, upstream, blob};
    if (!is_head) check_is_alone(request);
    pending_.emplace(request.id, Pending{request, loop, done});
  }
  co_return co_await done;
}

// P2: one transfer for each digest that is being filled, and beside it bounded Ranges, no two from the same
// place. Those past the cache are each client's own.
void ModelUpstream::check_is_alone(const Request& request) {
  auto competes = [&](const Request& other) {
    bool is_beside = other.blob.until.has_value() != request.blob.until.has_value();
    bool is_elsewhere = other.blob.until && other.blob.from != request.blob.from;
    return !other.is_head && !other.blob.is_bypass && other.blob.digest == request.blob.digest &&
           !is_beside && !is_elsewhere;
  };
  if (request.blob.is_bypass) return;
  bool is_alone = true;
  // A bounded one that was given up is not heard of before it is answered.
  if (!request.blob.until)
    for (const auto& [id, pending] : pending_) is_alone = is_alone && !competes(pending.request);
  for (const auto& [id, transfer] : open_) is_alone = is_alone && !competes(transfer->request);
  if (!is_alone)
    complaints_.add("two GETs at once for blob " + std::to_string(world_.blob_of(request.blob.digest)));
}

void ModelUpstream::closed(const Transfer& transfer) {
  std::lock_guard lock(mutex_);
  open_.erase(transfer.request.id);
}

std::vector<ModelUpstream::Request> ModelUpstream::requests() const {
  std::lock_guard lock(mutex_);
  std::vector<Request> all;
  for (const auto& [id, pending] : pending_) all.push_back(pending.request);
  return all;
}

std::vector<ModelUpstream::Body> ModelUpstream::bodies() const {
  std::lock_guard lock(mutex_);
  std::vector<Body> all;
  for (const auto& [id, transfer] : open_) {
    if (transfer->is_over) continue;
    const Request& request = transfer->request;
    uint64_t left = transfer->bytes.size() - transfer->given;
    all.push_back({id, request.upstream, request.blob, transfer->given, left});
  }
  return all;
}

ModelUpstream::Asked ModelUpstream::asked(const Pending& pending, Answer answer) {
  if (answer.error) return fail(*answer.error);
  uint64_t from = pending.request.blob.from;
  // A Range that begins at the end or behind it can't be satisfied: 416, and the whole is asked for.
  uint64_t begin = answer.refuses_range || from >= answer.bytes.size() ? 0 : from;
  bool is_bounded = pending.request.blob.until && begin == from && !answer.refuses_range;
  std::optional<uint64_t> size;
  if (!answer.hides_size || begin > 0 || is_bounded) size = answer.bytes.size();
  if (is_bounded && *pending.request.blob.until < answer.bytes.size())
    answer.bytes.resize(*pending.request.blob.until);
  auto transfer = std::make_shared<Transfer>(*this, pending.loop, pending.request, std::move(answer.bytes),
                                             size, begin, begin);
  if (!pending.request.is_head) open_.emplace(pending.request.id, transfer);
  return transfer;
}

void ModelUpstream::answer(uint64_t request, Answer answer) {
  std::lock_guard lock(mutex_);
  auto found = pending_.extract(request);
  CHECK(!found.empty());
  Pending& pending = found.mapped();
  Asked given = asked(pending, std::move(answer));
  pending.loop.post(
      [&done = pending.done, given = std::move(given)]() mutable { done.complete(std::move(given)); });
}

std::shared_ptr<ModelUpstream::Transfer> ModelUpstream::find(uint64_t body) const {
  std::lock_guard lock(mutex_);
  auto found = open_.find(body);
  return found == open_.end() ? nullptr : found->second;
}

void ModelUpstream::send(const std::shared_ptr<Transfer>& transfer, Result<std::string> piece) {
  transfer->loop.post([transfer, piece = std::move(piece)]() mutable {
    if (transfer->is_closed) return;
    if (transfer->reader != nullptr)
      std::exchange(transfer->reader, nullptr)->complete(std::move(piece));
    else
      transfer->arrived.push_back(std::move(piece));
  });
}

void ModelUpstream::give(uint64_t body, uint64_t count, std::optional<uint64_t> flip) {
  std::shared_ptr<Transfer> transfer = find(body);
  if (transfer == nullptr) return;
  uint64_t at = transfer->given;
  std::string piece = transfer->bytes.substr(at, count);
  if (piece.empty()) return;
  transfer->given += piece.size();
  if (flip) {
    uint64_t index = *flip % piece.size();
    piece[index] = static_cast<char>(piece[index] ^ 0x40);
    world_.add_wrong(world_.blob_of(transfer->request.blob.digest), at + index, piece.substr(index, 1));
  }
  send(transfer, std::move(piece));
}

void ModelUpstream::end(uint64_t body, std::optional<Error> error) {
  std::shared_ptr<Transfer> transfer = find(body);
  if (transfer == nullptr) return;
  transfer->is_over = true;
  if (error)
    send(transfer, fail(*error));
  else
    send(transfer, std::string());
}

void ModelUpstream::shut_down() {
  {
    std::lock_guard lock(mutex_);
    is_shut_down_ = true;
  }
  for (const Request& request : requests()) answer(request.id, Answer::failed(shutting_down()));
  for (const Body& body : bodies()) end(body.id, shutting_down());
}

namespace {

class ModelBody final : public upstream::BlobBody {
 public:
  explicit ModelBody(std::shared_ptr<ModelUpstream::Transfer> transfer) : transfer_(std::move(transfer)) {}
  ~ModelBody() override {
    transfer_->is_closed = true;
    transfer_->upstream.closed(*transfer_);
    if (transfer_->reader != nullptr)
      std::exchange(transfer_->reader, nullptr)->complete(fail(Errc::cancelled, "the body was dropped"));
  }

  std::optional<uint64_t> size() const override { return transfer_->size; }
  uint64_t begin() const override { return transfer_->begin; }

  // The body may be dropped while this waits.
  Task<Result<std::string>> read() override {
    std::shared_ptr<ModelUpstream::Transfer> transfer = transfer_;
    if (!transfer->arrived.empty()) {
      Result<std::string> piece = std::move(transfer->arrived.front());
      transfer->arrived.pop_front();
      co_return std::move(piece);
    }
    Completion<Result<std::string>> next;
    transfer->reader = &next;
    co_return co_await next;
  }

 private:
  std::shared_ptr<ModelUpstream::Transfer> transfer_;
};

}  // namespace

class ModelClient::ModelRegistry final : public upstream::Registry {
 public:
  ModelRegistry(ModelUpstream& upstream, EventLoop& loop, std::string name, size_t origins)
      : upstream_(upstream), loop_(loop), origins_(origins) {
    settings_.name = std::move(name);
  }

  const upstream::Settings& settings() const override { return settings_; }
  size_t origins() const override { return origins_; }

  Task<Result<upstream::ManifestHead>> head_manifest(std::string, Reference) override {
    co_return fail(Errc::manifest_unknown, "the model has blobs only");
  }
  Task<Result<upstream::ManifestBody>> get_manifest(std::string, Reference, size_t) override {
    co_return fail(Errc::manifest_unknown, "the model has blobs only");
  }

  Task<Result<upstream::BlobHead>> head_blob(std::string repository, Digest digest) override {
    upstream::BlobRequest blob{.repository = std::move(repository), .digest = digest};
    ModelUpstream::Asked asked = co_await upstream_.ask(loop_, settings_.name, blob, true);
    if (!asked) co_return fail(asked.error());
    co_return upstream::BlobHead{(*asked)->size};
  }

  Task<Result<upstream::ListingPage>> list(upstream::ListingRequest) override {
    co_return fail(Errc::name_unknown, "the model has no listings");
  }

  Task<Result<std::unique_ptr<upstream::BlobBody>>> get_blob(upstream::BlobRequest request) override {
    ModelUpstream::Asked asked = co_await upstream_.ask(loop_, settings_.name, request, false);
    if (!asked) co_return fail(asked.error());
    co_return std::unique_ptr<upstream::BlobBody>(std::make_unique<ModelBody>(*asked));
  }

 private:
  ModelUpstream& upstream_;
  EventLoop& loop_;
  upstream::Settings settings_;
  const size_t origins_;
};

ModelClient::ModelClient(ModelUpstream& upstream, EventLoop& loop,
                         const std::map<std::string, size_t>& origins) {
  for (const auto& [name, count] : origins)
    registries_.push_back(std::make_unique<ModelRegistry>(upstream, loop, name, count));
}

ModelClient::~ModelClient() = default;

upstream::Registry* ModelClient::find(std::string_view name) {
  for (auto& registry : registries_)
    if (registry->settings().name == name) return registry.get();
  return nullptr;
}

}  // namespace entrepot::model
