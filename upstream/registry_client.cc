#include "upstream/registry_client.h"

#include <utility>

#include "upstream/body.h"
#include "upstream/content_range.h"
#include "upstream/error_body.h"
#include "upstream/link.h"
#include "upstream/rate_limit.h"

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxManifest = 4 * 1024 * 1024;
constexpr size_t kMaxListing = 8 * 1024 * 1024;
constexpr size_t kMaxErrorBody = 64 * 1024;
constexpr size_t kSmallAnswer = 64 * 1024;
constexpr Duration kPatience{10'000};  // of a large answer, until it is its turn

// Indexes first and no wildcard: Docker Hub gives a child manifest, or a schema 1 one, for other lists.
constexpr const char* kManifestTypes =
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.oci.artifact.manifest.v1+json";

// By the registry (a 401 to all that we have to show) or by a redirect's target; a GET may be answered all
// the same.
bool is_head_refused(const Result<Answer>& answer) {
  if (!answer)
    return answer.error().code == Errc::denied || answer.error().code == Errc::upstream_refused_credential;
  int status = answer->head.status;
  return status == 401 || status == 403 || status == 405 || status == 501;
}

// How storages say that a URL's signature has ended, or that its host's clock is wrong: 403; Google's 400.
bool is_signature_refused(const Ask& ask, const Result<Answer>& answer) {
  if (!answer || !answer->is_elsewhere || ask.method != Method::get) return false;
  int status = answer->head.status;
  return status == 401 || status == 403 || (status == 400 && ask.span.is_whole());
}

// 400 and 501: storages that do not know it, or not this form of it. 416: the blob is shorter than we think.
bool is_range_refused(int status) { return status == 400 || status == 416 || status == 501; }

// How registries say that they have no referrers API, or (Quay) that they do not know the subject.
bool has_no_referrers(const ResponseHead& head) {
  bool is_page = media_type_of(head) == "text/html";  // of a log-in: Artifact Registry redirects there
  return head.status == 400 || head.status == 404 || head.status == 405 || head.status == 501 || is_page;
}

// The body of a blob, as Registry promises it.
class TransferBody final : public BlobBody {
 public:
  struct Place {
    uint64_t begin = 0;
    std::optional<uint64_t> size;
  };
  TransferBody(Answer answer, std::string prefix, Place place)
      : answer_(std::move(answer)), prefix_(std::move(prefix)), place_(place) {}

  std::optional<uint64_t> size() const override { return place_.size; }
  uint64_t begin() const override { return place_.begin; }
  Task<Result<std::string>> read() override {
    std::string prefix = prefix_;  // the body may go while we wait
    Result<std::string> chunk = co_await answer_.transfer->read();
    if (!chunk) chunk.error().message.insert(0, prefix);
    co_return chunk;
  }

 private:
  Answer answer_;
  std::string prefix_;
  Place place_;
};

}  // namespace

RegistryClient::RegistryClient(const Origin& origin, EventLoop& loop, Transport& transport, Tokens& tokens,
                               CredentialSource& credentials, Slots& large_answers)
    : origin_(origin),
      loop_(loop),
      large_answers_(large_answers),
      requester_(origin, loop, transport),
      authorizer_(origin, tokens, credentials) {}

std::string RegistryClient::full_name(const std::string& repository) const {
  bool is_short = origin_.settings.adds_library && repository.find('/') == std::string::npos;
  return is_short ? "library/" + repository : repository;
}

Ask RegistryClient::manifest_ask(Method method, const std::string& repository,
                                 const Reference& reference) const {
  std::string name = full_name(repository);
  std::string text = to_text(reference);
  std::string path = "/v2/" + name + "/manifests/" + text;
  return Ask{.method = method,
             .kind = RequestKind::manifest,
             .repository = std::move(name),
             .reference = std::move(text),
             .path = std::move(path),
             .accept = kManifestTypes};
}

Ask RegistryClient::blob_ask(Method method, const std::string& repository, const Digest& digest) const {
  std::string name = full_name(repository);
  std::string path = "/v2/" + name + "/blobs/" + digest.text();
  return Ask{.method = method,
             .kind = RequestKind::blob,
             .repository = std::move(name),
             .reference = digest.text(),
             .path = std::move(path),
             .accept = "*/*"};
}

Ask RegistryClient::listing_ask(const ListingRequest& request) const {
  std::string name = full_name(request.repository);
  std::string end = request.subject ? "/referrers/" + request.subject->text() : std::string("/tags/list");
  std::string path = "/v2/" + name + end + (request.query.empty() ? "" : "?" + request.query);
  return Ask{.method = Method::get,
             .kind = RequestKind::listing,
             .repository = std::move(name),
             .reference = request.subject ? request.subject->text() : std::string("tags"),
             .path = std::move(path),
             .accept = request.subject ? "application/vnd.oci.image.index.v1+json" : "application/json"};
}

Error RegistryClient::error(const Ask& ask, Errc code, std::string_view cause) const {
  return Error{code, origin_.name + ": " + ask.what() + ": " + std::string(cause)};
}

Task<Result<Answer>> RegistryClient::ask(const Ask& ask) {
  Result<Answer> answer = co_await ask_with_pass(ask);
  if (!is_signature_refused(ask, answer)) co_return answer;
  answer->transfer.reset();
  co_return co_await ask_with_pass(ask);  // the registry signs a new one
}

Task<Result<Answer>> RegistryClient::ask_with_pass(const Ask& ask) {
  if (!is_repository_name(ask.repository))
    co_return fail(error(ask, Errc::name_invalid, "not a repository name"));
  Result<Pass> pass = co_await authorizer_.first(ask.repository);
  for (int tries = 1; pass; ++tries) {
    Secret authorization = pass->authorization;
    Result<Answer> answer = co_await requester_.ask(ask, std::move(authorization));
    if (answer && !answer->is_elsewhere && ask.kind == RequestKind::manifest)
      origin_.rate_limit->note(answer->head, loop_.clock().monotonic());
    bool is_final = !answer || answer->is_elsewhere || !Authorizer::wants_another(answer->head, *pass);
    if (is_final) co_return answer;
    if (tries == Authorizer::kMaxTries) co_return fail(error(ask, Errc::denied, "denied again and again"));
    answer->transfer.reset();  // it would keep a connection from the token service
    const ResponseHead& head = answer->head;
    Pass shown = std::move(*pass);
    Result<Pass> next = co_await authorizer_.next(ask.repository, head, shown);
    pass = std::move(next);
  }
  co_return fail(std::move(pass).error());
}

Task<Result<Answer>> RegistryClient::ask_from(Ask& ask) {
  Result<Answer> answer = co_await this->ask(ask);
  if (ask.span.is_whole() || !answer || !is_range_refused(answer->head.status)) co_return answer;
  answer->transfer.reset();
  ask.span = {};
  co_return co_await this->ask(ask);
}

Task<Result<Answer>> RegistryClient::content_of(const Ask& ask, Answer answer) {
  bool is_content = answer.head.status == 200 || (answer.head.status == 206 && !ask.span.is_whole());
  if (!is_content) {
    Error error = co_await refusal(ask, answer);
    co_return fail(std::move(error));
  }
  ENTREPOT_CO_TRY(check_content(ask, answer.head));
  co_return std::move(answer);
}

Status RegistryClient::check_content(const Ask& ask, const ResponseHead& head) const {
  std::string type = media_type_of(head);
  if (type == "text/html" || type == "application/xhtml+xml")
    return fail(error(ask, Errc::upstream_failed, "the answer is a web page"));
  if (is_encoded(head)) return fail(error(ask, Errc::upstream_failed, "the answer has a Content-Encoding"));
  if (ask.kind != RequestKind::manifest) return {};
  if (head.all("content-type").size() > 1)
    return fail(error(ask, Errc::upstream_failed, "the answer has two Content-Types"));
  if (head.content_length.value_or(0) > kMaxManifest)
    return fail(error(ask, Errc::upstream_failed, "a manifest larger than 4 MiB"));
  return {};
}

Task<Error> RegistryClient::refusal(const Ask& ask, Answer& answer) {
  int status = answer.head.status;
  std::string cause = "status " + std::to_string(status) + (answer.is_elsewhere ? " after a redirect" : "");
  if (status == 401 || status == 403) co_return error(ask, Errc::denied, cause);
  if (status != 404 && status != 429) co_return error(ask, Errc::upstream_failed, cause);
  ErrorBody said;
  int retry_after = retry_after_seconds(answer.head, loop_.clock().wall());
  if (ask.method != Method::head && retry_after == 0) {
    Transfer& body = *answer.transfer;
    Result<std::string> text = co_await read_whole(body, kMaxErrorBody);
    if (text) said = ErrorBody::parse(*text);
  }
  if (status == 429) {
    Error limited = error(ask, Errc::upstream_rate_limited, cause);
    limited.retry_after_seconds = retry_after > 0 ? retry_after : said.retry_after_seconds();
    co_return limited;
  }
  Errc unknown = Errc::manifest_unknown;
  if (ask.kind == RequestKind::blob) unknown = Errc::blob_unknown;
  if (ask.kind == RequestKind::listing) unknown = Errc::name_unknown;
  co_return error(ask, said.code == "NAME_UNKNOWN" ? Errc::name_unknown : unknown, cause);
}

Task<Result<ManifestHead>> RegistryClient::head_manifest(std::string repository, Reference reference) {
  const Ask ask = manifest_ask(Method::head, repository, reference);
  Result<Answer> answer = co_await this->ask(ask);
  if (!answer) co_return fail(std::move(answer).error());
  int status = answer->head.status;
  // A target that was signed for GET, or a registry that does not know HEAD.
  if (status == 405 || status == 501 || (answer->is_elsewhere && (status == 401 || status == 403)))
    co_return co_await head_by_get(std::move(repository), std::move(reference));
  if (status != 200) {
    Answer& refused = *answer;
    Error error = co_await refusal(ask, refused);
    co_return fail(std::move(error));
  }
  ENTREPOT_CO_TRY(check_content(ask, answer->head));
  ManifestHead head;
  head.media_type = media_type_of(answer->head);
  head.size = answer->head.content_length;
  std::optional<RateLimit> limit = RateLimit::of(answer->head);
  head.is_limit_nearly_used_up = limit && limit->is_nearly_used_up();
  std::optional<std::string_view> digest = answer->head.only("docker-content-digest");
  if (digest) head.digest = Digest::parse(*digest);
  if (!head.digest && std::holds_alternative<Digest>(reference)) head.digest = std::get<Digest>(reference);
  if (!head.digest) co_return co_await head_by_get(std::move(repository), std::move(reference));
  co_return head;
}

Task<Result<ManifestHead>> RegistryClient::head_by_get(std::string repository, Reference reference) {
  const Digest* asked = std::get_if<Digest>(&reference);
  DigestAlgorithm algorithm = asked != nullptr ? asked->algorithm() : DigestAlgorithm::sha256;
  Result<ManifestBody> body = co_await get_manifest(std::move(repository), std::move(reference));
  if (!body) co_return fail(std::move(body).error());
  ManifestHead head;
  head.digest = Digest::of(algorithm, body->bytes);
  head.media_type = std::move(body->media_type);
  head.size = body->bytes.size();
  co_return head;
}

Task<Result<ManifestBody>> RegistryClient::get_manifest(std::string repository, Reference reference) {
  const Ask ask = manifest_ask(Method::get, repository, reference);
  Result<Answer> answer = co_await this->ask(ask);
  if (!answer) co_return fail(std::move(answer).error());
  Result<Answer> content = co_await content_of(ask, std::move(*answer));
  if (!content) co_return fail(std::move(content).error());
  ManifestBody body;
  Result<std::string> bytes = co_await read_body(ask, *content, kMaxManifest, body.room);
  if (!bytes) co_return fail(std::move(bytes).error());
  body.bytes = std::move(*bytes);
  body.media_type = media_type_of(content->head);
  co_return body;
}

Task<Result<BlobHead>> RegistryClient::head_blob(std::string repository, Digest digest) {
  const Ask ask = blob_ask(Method::head, repository, digest);
  Result<Answer> answer = co_await this->ask(ask);
  if (is_head_refused(answer)) {
    if (answer) answer->transfer.reset();
    co_return co_await blob_head_by_get(std::move(repository), std::move(digest));
  }
  if (!answer) co_return fail(std::move(answer).error());
  Result<Answer> content = co_await content_of(ask, std::move(*answer));
  if (!content) co_return fail(std::move(content).error());
  BlobHead head{content->head.content_length};
  co_return head;
}

Task<Result<BlobHead>> RegistryClient::blob_head_by_get(std::string repository, Digest digest) {
  BlobRequest request{std::move(repository), std::move(digest)};
  Result<std::unique_ptr<BlobBody>> body = co_await get_blob(std::move(request));
  if (!body) co_return fail(std::move(body).error());
  BlobHead head{(*body)->size()};
  co_return head;
}

Task<Result<std::unique_ptr<BlobBody>>> RegistryClient::get_blob(BlobRequest request) {
  Ask ask = blob_ask(Method::get, request.repository, request.digest);
  ask.span = {request.from, request.until};
  ask.is_bypass = request.is_bypass;
  Result<Answer> answer = co_await ask_from(ask);
  if (!answer) co_return fail(std::move(answer).error());
  Result<Answer> content = co_await content_of(ask, std::move(*answer));
  if (!content) co_return fail(std::move(content).error());
  co_return body_of(ask, std::move(*content));
}

Task<Result<ListingPage>> RegistryClient::list(ListingRequest request) {
  const Ask ask = listing_ask(request);
  Result<Answer> answer = co_await this->ask(ask);
  if (!answer) co_return fail(std::move(answer).error());
  if (request.subject && has_no_referrers(answer->head))
    co_return fail(error(ask, Errc::manifest_unknown, "the registry does not list referrers"));
  Result<Answer> content = co_await content_of(ask, std::move(*answer));
  if (!content) co_return fail(std::move(content).error());
  ListingPage page;
  Result<std::string> bytes = co_await read_body(ask, *content, kMaxListing, page.room);
  if (!bytes) co_return fail(std::move(bytes).error());
  page.bytes = std::move(*bytes);
  page.next_query = next_query_of(content->head);
  co_return page;
}

Task<Result<std::string>> RegistryClient::read_body(const Ask& ask, Answer& content, size_t limit,
                                                    Slots::Slot& room) {
  std::optional<uint64_t> length = content.head.content_length;
  if (!length || *length > kSmallAnswer) {
    Slots::Slot taken = co_await large_answers_.take(kPatience);
    room = std::move(taken);
    if (!room) co_return fail(error(ask, Errc::overloaded, "too many large answers at once"));
  }
  Transfer& transfer = *content.transfer;
  uint64_t expected = length.value_or(0);
  Result<std::string> bytes = co_await read_whole(transfer, limit, expected);
  if (!bytes) co_return fail(error(ask, bytes.error().code, bytes.error().message));
  co_return std::move(bytes);
}

Result<std::unique_ptr<BlobBody>> RegistryClient::body_of(const Ask& ask, Answer answer) const {
  TransferBody::Place place{0, answer.head.content_length};
  if (answer.head.status == 206) {
    place = {ask.span.from, total_of(answer.head, ask.span)};
    if (!place.size)
      return fail(error(ask, Errc::upstream_failed, "a 206 with another range than asked for"));
  }
  std::string prefix = origin_.name + ": " + ask.what() + ": ";
  return std::make_unique<TransferBody>(std::move(answer), std::move(prefix), place);
}

}  // namespace entrepot::upstream
