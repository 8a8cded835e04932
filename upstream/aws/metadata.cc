#include "upstream/aws/metadata.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/read_file.h"
#include "upstream/aws/credential_document.h"
#include "upstream/aws/service_url.h"

namespace entrepot::upstream::aws {
namespace {

constexpr size_t kMaxTokenFile = 64 * 1024;
constexpr Duration kContainerTimeout{5'000};
constexpr Duration kInstanceTimeout{1'000};

tl::unexpected<Error> refused(const std::string& message) {
  return fail(Errc::upstream_refused_credential, message);
}

bool is_set(const Environment& environment, const char* name) {
  std::optional<std::string> value = environment(name);
  if (!value) return false;
  std::ranges::transform(*value, value->begin(), [](char c) { return c == 'T' ? 't' : c; });
  return value->starts_with("t");
}

// The value of Authorization; empty when there is none.
Result<Secret> container_token(const Environment& environment) {
  std::string name = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
  Secret token(environment(name.c_str()).value_or(""));
  if (std::optional<std::string> file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    name = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    Result<std::string> text = read_file(*file, kMaxTokenFile);
    if (!text) return refused(name + ": " + text.error().message);
    token = Secret(std::move(*text));
  }
  if (token.reveal().find_first_of("\r\n") != std::string_view::npos)
    return refused(name + ": a line break in the token");
  return token;
}

// Asks, and takes nothing but a 200.
Result<Secret> ask(HttpCaller& caller, const HttpRequest& request, const std::string& source) {
  Result<HttpResponse> response = caller.call(request);
  if (!response) return fail(response.error().code, source + ": " + response.error().message);
  if (response->status >= 500)
    return fail(Errc::upstream_failed, source + ": status " + std::to_string(response->status));
  if (response->status != 200)
    return refused(source + ": answered with status " + std::to_string(response->status));
  return std::move(response->body);
}

HttpRequest local(std::string method, std::string url, Duration timeout) {
  HttpRequest request;
  request.method = std::move(method);
  request.url = std::move(url);
  request.timeout = timeout;
  request.is_local = true;
  return request;
}

std::string instance_endpoint(const Environment& environment) {
  std::optional<std::string> endpoint = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  bool is_v6 = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE").value_or("") == "IPv6";
  std::string url = endpoint.value_or(is_v6 ? "http://[fd00:ec2::254]" : "http://169.254.169.254");
  while (url.ends_with('/')) url.pop_back();
  return url;
}

const std::string kInstance = "EC2 instance metadata";

// The session token of IMDSv2; an empty one where there is only v1, and that is allowed.
Result<Secret> instance_token(const Environment& environment, HttpCaller& caller, const std::string& url) {
  HttpRequest request = local("PUT", url + "/latest/api/token", kInstanceTimeout);
  request.headers.emplace_back(std::string("X-aws-ec2-metadata-token-ttl-seconds: 300"));
  request.headers.emplace_back(std::string("Content-Length: 0"));
  Result<HttpResponse> response = caller.call(request);
  if (!response)
    return fail(response.error().code, kInstance + ": " + response.error().message +
                                           " (in a container the instance's hop limit must be 2 or more)");
  if (response->status == 200) return std::move(response->body);
  bool has_v1 = response->status == 403 || response->status == 404 || response->status == 405;
  if (has_v1 && !is_set(environment, "AWS_EC2_METADATA_V1_DISABLED")) return Secret();
  return refused(kInstance + ": gave no session token: status " + std::to_string(response->status));
}

}  // namespace

bool has_container_endpoint(const Environment& environment) {
  return environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
         environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

Result<AwsCredentials> from_container(const Environment& environment, HttpCaller& caller) {
  std::optional<std::string> relative = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
  std::string name =
      relative ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI";
  std::string text = relative ? "http://169.254.170.2" + *relative : environment(name.c_str()).value_or("");
  Result<Url> url = parse_service_url(name, text, true);
  if (!url) return fail(url.error());
  Result<Secret> token = container_token(environment);
  if (!token) return fail(token.error());
  HttpRequest request = local("GET", url->text(), kContainerTimeout);
  request.headers.emplace_back(std::string("Accept: application/json"));
  if (!token->is_empty()) request.headers.emplace_back("Authorization: " + std::string(token->reveal()));
  std::string source = "the container's credential endpoint (" + name + ")";
  Result<Secret> body = ask(caller, request, source);
  if (!body) return fail(body.error());
  return parse_credential_json(body->reveal(), std::move(source));
}

Result<AwsCredentials> from_instance(const Environment& environment, HttpCaller& caller) {
  if (is_set(environment, "AWS_EC2_METADATA_DISABLED"))
    return refused(kInstance + ": switched off by AWS_EC2_METADATA_DISABLED");
  std::string url = instance_endpoint(environment);
  Result<Secret> token = instance_token(environment, caller, url);
  if (!token) return fail(token.error());
  auto get = [&](const std::string& path) {
    HttpRequest request =
        local("GET", url + "/latest/meta-data/iam/security-credentials/" + path, kInstanceTimeout);
    if (!token->is_empty())
      request.headers.emplace_back("X-aws-ec2-metadata-token: " + std::string(token->reveal()));
    return ask(caller, request, kInstance);
  };
  Result<Secret> roles = get("");
  if (!roles) return fail(roles.error());
  std::string role(roles->reveal().substr(0, roles->reveal().find_first_of("\r\n")));
  if (role.empty()) return refused(kInstance + ": the instance has no role");
  Result<Secret> body = get(role);
  if (!body) return fail(body.error());
  return parse_credential_json(body->reveal(), kInstance + ", role " + role);
}

}  // namespace entrepot::upstream::aws
