#include "upstream/aws/sts.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/read_file.h"
#include "upstream/aws/credential_document.h"
#include "upstream/aws/service_url.h"

namespace entrepot::upstream::aws {
namespace {

constexpr size_t kMaxTokenFile = 64 * 1024;

// application/x-www-form-urlencoded, field by field.
class Form {
 public:
  Form& add(std::string_view name, std::string_view value) {
    if (value.empty()) return *this;
    if (!text_.empty()) text_ += '&';
    text_ += name;
    text_ += '=';
    for (char c : value) add_encoded(c);
    return *this;
  }
  Secret take() { return Secret(std::move(text_)); }

 private:
  void add_encoded(char c) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
                    c == '_' || c == '.' || c == '~';
    auto byte = static_cast<unsigned char>(c);
    if (is_plain)
      text_ += c;
    else
      text_ += {'%', kHex[byte >> 4], kHex[byte & 15]};
  }
  std::string text_;
};

// Whether it may be well in a moment: a token that has just been rotated is not known everywhere at once.
Errc code_of(int status, std::string_view reason) {
  if (status == 429 || reason.starts_with("Throttling")) return Errc::upstream_rate_limited;
  bool passes = status >= 500 || reason.starts_with("InvalidIdentityToken");
  return passes ? Errc::upstream_failed : Errc::upstream_refused_credential;
}

Form form_for(const char* action, const Sts::Role& role) {
  Form form;
  form.add("Action", action).add("Version", "2011-06-15").add("RoleArn", role.arn);
  form.add("RoleSessionName", role.session_name.empty() ? "entrepot" : role.session_name);
  form.add("DurationSeconds", role.duration_seconds);
  return form;
}

}  // namespace

Sts::Sts(const Environment& environment, HttpCaller& caller, const std::string& region)
    : environment_(environment), caller_(caller), endpoint_(sts_api(region)) {}

Result<AwsCredentials> Sts::post(Secret form, std::optional<Signature> signature, const std::string& source) {
  HttpRequest request;
  request.method = "POST";
  request.url = endpoint_.url + "/";
  if (std::optional<std::string> text = environment_("AWS_ENDPOINT_URL_STS")) {
    ENTREPOT_TRY_ASSIGN(Url url, parse_service_url("AWS_ENDPOINT_URL_STS", *text, false));
    request.url = url.text();
  }
  request.headers.emplace_back(std::string("Content-Type: application/x-www-form-urlencoded"));
  request.body = std::move(form);
  request.signature = std::move(signature);
  Result<HttpResponse> response = caller_.call(request);
  if (!response) return fail(response.error().code, source + ": " + response.error().message);
  if (response->status == 200) return parse_sts_answer(response->body.reveal(), source);
  std::string reason = sts_refusal(response->body.reveal());
  if (reason.empty()) reason = "STS answered with status " + std::to_string(response->status);
  return fail(code_of(response->status, reason), source + ": " + reason);
}

Result<AwsCredentials> Sts::assume(const Role& role, const AwsCredentials& by) {
  Form form = form_for("AssumeRole", role);
  form.add("ExternalId", role.external_id);
  return post(form.take(), Signature{endpoint_, &by}, "role " + role.arn + " by " + by.source);
}

Result<AwsCredentials> Sts::assume_with_token(const Role& role, const std::string& token_file) {
  std::string source = "role " + role.arn + " by the web identity token in " + token_file;
  Result<std::string> text = read_file(token_file, kMaxTokenFile);
  if (!text) return fail(Errc::upstream_refused_credential, source + ": " + text.error().message);
  Secret token(std::move(*text));
  std::string_view value = token.reveal();
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.remove_suffix(1);
  if (value.empty()) return fail(Errc::upstream_refused_credential, source + ": the file is empty");
  Form form = form_for("AssumeRoleWithWebIdentity", role);
  form.add("WebIdentityToken", value);
  return post(form.take(), std::nullopt, source);
}

}  // namespace entrepot::upstream::aws
