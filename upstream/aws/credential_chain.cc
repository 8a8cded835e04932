#include "upstream/aws/credential_chain.h"

#include <algorithm>
#include <utility>

#include "upstream/aws/credential_document.h"
#include "upstream/aws/metadata.h"
#include "upstream/run_program.h"

namespace entrepot::upstream::aws {
namespace {

constexpr Duration kEarly = std::chrono::minutes(5);
constexpr size_t kMostProfiles = 5;  // that are each other's source

tl::unexpected<Error> refused(std::string message) {
  return fail(Errc::upstream_refused_credential, std::move(message));
}

std::string_view value_of(const Profile& profile, std::string_view name) {
  auto found = profile.find(name);
  return found == profile.end() ? std::string_view() : found->second.reveal();
}

std::string text_of(const Profile& profile, std::string_view name) {
  return std::string(value_of(profile, name));
}

Sts::Role role_of(const Profile& profile) {
  return {text_of(profile, "role_arn"), text_of(profile, "role_session_name"),
          text_of(profile, "external_id"), text_of(profile, "duration_seconds")};
}

AwsCredentials keys_of(const Profile& profile, std::string source) {
  return {text_of(profile, "aws_access_key_id"), Secret(text_of(profile, "aws_secret_access_key")),
          Secret(text_of(profile, "aws_session_token")), std::nullopt, std::move(source)};
}

std::optional<std::string> either(const Environment& environment, const char* name, const char* alias) {
  std::optional<std::string> value = environment(name);
  return value ? value : environment(alias);
}

}  // namespace

CredentialChain::CredentialChain(Options options, Environment environment, HttpCaller& caller,
                                 const Clock& clock, const std::atomic<bool>& is_stopped)
    : options_(std::move(options)),
      environment_(std::move(environment)),
      caller_(caller),
      clock_(clock),
      is_stopped_(is_stopped),
      sts_(environment_, caller, options_.region) {}

Result<AwsCredentials> CredentialChain::get() {
  if (kept_ && clock_.wall() + kEarly < kept_->expiration) return *kept_;
  Result<AwsCredentials> found = find();
  if (found)
    kept_ = found->expiration ? std::optional(*found) : std::nullopt;
  else if (kept_ && clock_.wall() < kept_->expiration)
    return *kept_;  // still good, and the next try may find their source well again
  return found;
}

Result<AwsCredentials> CredentialChain::find() {
  if (options_.profile.empty())
    if (std::optional<Result<AwsCredentials>> found = from_environment()) return std::move(*found);
  Result<Profiles> profiles = read_profiles(environment_);
  if (!profiles) return refused("AWS profiles: " + profiles.error().message);
  std::optional<std::string> named = options_.profile.empty()
                                         ? either(environment_, "AWS_PROFILE", "AWS_DEFAULT_PROFILE")
                                         : std::optional(options_.profile);
  std::string profile = named.value_or("default");
  if (profile != "default" || profiles->contains(profile)) return from_profile(*profiles, profile, {});
  return from_machine();
}

Result<AwsCredentials> CredentialChain::from_machine() {
  if (has_container_endpoint(environment_)) return from_container(environment_, caller_);
  Result<AwsCredentials> found = from_instance(environment_, caller_);
  if (found) return found;
  return fail(found.error().code,
              "no AWS credentials: none in the environment (AWS_ACCESS_KEY_ID, AWS_WEB_IDENTITY_TOKEN_FILE, "
              "AWS_CONTAINER_CREDENTIALS_FULL_URI), none in a profile, and " +
                  found.error().message);
}

std::optional<Result<AwsCredentials>> CredentialChain::from_environment() {
  std::optional<std::string> id = either(environment_, "AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY");
  std::optional<std::string> key = either(environment_, "AWS_SECRET_ACCESS_KEY", "AWS_SECRET_KEY");
  if (id && key)
    return AwsCredentials{*id, Secret(std::move(*key)),
                          Secret(environment_("AWS_SESSION_TOKEN").value_or("")), std::nullopt,
                          "the environment's AWS_ACCESS_KEY_ID"};
  if (id) return refused("AWS_ACCESS_KEY_ID is set without AWS_SECRET_ACCESS_KEY");
  std::optional<std::string> token_file = environment_("AWS_WEB_IDENTITY_TOKEN_FILE");
  if (!token_file) return std::nullopt;
  std::optional<std::string> arn = environment_("AWS_ROLE_ARN");
  if (!arn) return refused("AWS_WEB_IDENTITY_TOKEN_FILE is set without AWS_ROLE_ARN");
  Sts::Role role{*arn, environment_("AWS_ROLE_SESSION_NAME").value_or(""), "", ""};
  return sts_.assume_with_token(role, *token_file);
}

Result<AwsCredentials> CredentialChain::from_profile(const Profiles& profiles, const std::string& name,
                                                     std::vector<std::string> path) {
  auto found = profiles.find(name);
  if (found == profiles.end())
    return refused("AWS profile " + name + ": there is none in the AWS configuration files");
  const Profile& profile = found->second;
  if (path.size() >= kMostProfiles || std::ranges::find(path, name) != path.end())
    return refused("AWS profile " + name + ": its source_profile leads back to itself, or too far");
  path.push_back(name);
  if (!profile.contains("role_arn")) return base_of(profiles, name, path);
  if (profile.contains("mfa_serial"))
    return refused("AWS profile " + name + ": mfa_serial needs a person; use a role without it");
  if (profile.contains("web_identity_token_file"))
    return sts_.assume_with_token(role_of(profile), text_of(profile, "web_identity_token_file"));
  Result<AwsCredentials> by = base_of(profiles, name, std::move(path));
  if (!by) return by;
  return sts_.assume(role_of(profile), *by);
}

// What signs for the role, or is all there is.
Result<AwsCredentials> CredentialChain::base_of(const Profiles& profiles, const std::string& name,
                                                std::vector<std::string> path) {
  const Profile& profile = profiles.find(name)->second;
  std::string source = "AWS profile " + name;
  bool has_role = profile.contains("role_arn");
  std::string source_profile = text_of(profile, "source_profile");
  if (has_role && !source_profile.empty() && source_profile != name)
    return from_profile(profiles, source_profile, std::move(path));
  if (has_role && profile.contains("credential_source"))
    return from_credential_source(source, value_of(profile, "credential_source"));
  if (profile.contains("aws_access_key_id")) {
    if (!profile.contains("aws_secret_access_key"))
      return refused(source + ": aws_access_key_id without aws_secret_access_key");
    return keys_of(profile, std::move(source));
  }
  if (profile.contains("credential_process"))
    return from_process(source, text_of(profile, "credential_process"));
  if (profile.contains("sso_session") || profile.contains("sso_start_url"))
    return refused(source +
                   ": single sign-on is not supported; use credential_process = aws configure "
                   "export-credentials --profile " +
                   name);
  // Only settings, such as a region: what the machine has is meant. Not when this very profile was asked for.
  if (options_.profile.empty() && path.size() == 1) return from_machine();
  return refused(source +
                 ": holds no credentials (aws_access_key_id, credential_process, or role_arn with "
                 "source_profile, credential_source or web_identity_token_file)");
}

Result<AwsCredentials> CredentialChain::from_credential_source(const std::string& profile,
                                                               std::string_view source) {
  if (source == "EcsContainer") return from_container(environment_, caller_);
  if (source == "Ec2InstanceMetadata") return from_instance(environment_, caller_);
  if (source != "Environment")
    return refused(profile + ": credential_source is none of Environment, EcsContainer, Ec2InstanceMetadata");
  std::optional<Result<AwsCredentials>> found = from_environment();
  if (!found) return refused(profile + ": credential_source = Environment, but AWS_ACCESS_KEY_ID is not set");
  return std::move(*found);
}

// By the shell, as the AWS tools do.
Result<AwsCredentials> CredentialChain::from_process(const std::string& profile, const std::string& command) {
  std::string source = profile + ", credential_process";
  Result<Secret> output = run_program({{"/bin/sh", "-c", command}, ""}, is_stopped_);
  if (!output) return fail(output.error().code, source + ": " + output.error().message);
  return parse_credential_json(output->reveal(), std::move(source));
}

}  // namespace entrepot::upstream::aws
