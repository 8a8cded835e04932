// The parts of the way to a token of Amazon ECR; tests/integration/test_ecr.py has the whole of it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <map>

#include "harness.h"
#include "upstream/aws/authorization_token.h"
#include "upstream/aws/credential_chain.h"
#include "upstream/aws/credential_document.h"
#include "upstream/run_program.h"

namespace entrepot::upstream::aws {
namespace {

using ::testing::HasSubstr;
using testing::temporary_file;

// ---- host names ----

TEST(EcrHost, AllPartitionsFipsAndDualStackHaveTheirApi) {
  const std::map<std::string, std::string> kApis = {
      {"123456789012.dkr.ecr.us-east-1.amazonaws.com", "https://api.ecr.us-east-1.amazonaws.com"},
      {"123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
       "https://ecr-fips.us-gov-west-1.amazonaws.com"},
      {"123456789012.dkr.ecr-fips.cn-north-1.amazonaws.com.cn",
       "https://api.ecr-fips.cn-north-1.amazonaws.com.cn"},
      {"123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", "https://api.ecr.cn-north-1.amazonaws.com.cn"},
      {"123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", "https://api.ecr.eusc-de-east-1.amazonaws.eu"},
      {"123456789012.dkr-ecr.us-east-1.on.aws", "https://ecr.us-east-1.api.aws"},
      {"123456789012.dkr-ecr-fips.us-east-1.on.aws", "https://ecr-fips.us-east-1.api.aws"},
      {"123456789012.dkr-ecr.cn-north-1.on.amazonwebservices.com.cn",
       "https://ecr.cn-north-1.api.amazonwebservices.com.cn"},
      {"123456789012.dkr.ecr.us-iso-east-1.c2s.ic.gov", "https://api.ecr.us-iso-east-1.c2s.ic.gov"},
  };
  for (const auto& [host, api] : kApis) {
    std::optional<EcrHost> parsed = EcrHost::parse(host);
    ASSERT_TRUE(parsed) << host;
    EXPECT_EQ(ecr_api(*parsed).url, api);
    EXPECT_EQ(parsed->account, "123456789012");
  }
}

TEST(EcrHost, WhatOnlyLooksLikeOneIsNone) {
  for (const char* host :
       {"dkr.ecr.eu-central-1.amazonaws.com", "123456789012.dkr.ecr..amazonaws.com",
        "123456789012.dkr.ecr.amazonaws.com", "123456789012.dkr.ecr.eu-central-1.amazonaws.com.evil.example",
        "12345678901.dkr.ecr.eu-central-1.amazonaws.com", "1234567890123.dkr.ecr.eu-central-1.amazonaws.com",
        "123456789012.dkr.ecr.a.b.amazonaws.com", "evil.example", "123456789012.dkr.ecr.-a.amazonaws.com",
        "123456789012.dkr.ecrx.eu-central-1.amazonaws.com", ""})
    EXPECT_FALSE(EcrHost::parse(host)) << host;
}

TEST(Sts, IsInThePartitionOfItsRegion) {
  EXPECT_EQ(sts_api("eu-central-1").url, "https://sts.eu-central-1.amazonaws.com");
  EXPECT_EQ(sts_api("cn-north-1").url, "https://sts.cn-north-1.amazonaws.com.cn");
  EXPECT_EQ(sts_api("us-isob-east-1").url, "https://sts.us-isob-east-1.sc2s.sgov.gov");
}

// ---- files and documents ----

std::string value(const Profiles& profiles, const std::string& profile, const std::string& name) {
  auto found = profiles.find(profile);
  if (found == profiles.end() || !found->second.contains(name)) return "(none)";
  return std::string(found->second.find(name)->second.reveal());
}

TEST(ProfileFiles, ConfigAndCredentialsNameProfilesDifferently) {
  const char* text =
      "# a comment\r\n[default]\r\nRegion = eu-west-1 ; where\n\n[profile ci]\n  \naws_access_key_id=AKIA#1\n"
      "s3 =\n  max_queue_size = 5\n[profile \"with space\"]\nrole_arn = arn:aws:iam::1:role/x\n[sso-session "
      "s]\n"
      "sso_region = us-east-1\n[plain]\nkey = 1\n[broken\nkey = 2\nno equals sign\n";
  Profiles config = parse_profiles(text, true);
  EXPECT_EQ(value(config, "default", "region"), "eu-west-1");
  EXPECT_EQ(value(config, "ci", "aws_access_key_id"), "AKIA#1");
  EXPECT_EQ(value(config, "ci", "max_queue_size"), "(none)");
  EXPECT_EQ(value(config, "with space", "role_arn"), "arn:aws:iam::1:role/x");
  EXPECT_EQ(config.size(), 3U);
  Profiles credentials = parse_profiles("[plain]\nkey = 1\n[profile ci]\nkey = 2\n", false);
  EXPECT_EQ(value(credentials, "plain", "key"), "1");
  EXPECT_FALSE(credentials.contains("ci"));
}

TEST(Times, AreRead) {
  EXPECT_EQ(parse_time("1970-01-02T00:00:01Z"), WallTime(std::chrono::seconds(86'401)));
  EXPECT_EQ(parse_time("1970-01-02T00:00:01.500Z"), WallTime(std::chrono::seconds(86'401)));
  EXPECT_EQ(parse_time("1970-01-02T00:00:01+00:00"), WallTime(std::chrono::seconds(86'401)));
  EXPECT_GT(parse_time("9999-12-31T23:59:59Z"), parse_time("2100-01-01T00:00:00Z"));
  for (const char* text : {"", "1970-01-02", "1970-01-02T00:00:01", "1970-01-02T00:00:01+02:00", "soon"})
    EXPECT_FALSE(parse_time(text)) << text;
}

TEST(CredentialDocument, WithoutUsableCredentialsIsAnErrorThatShowsNoneOfIt) {
  for (const char* text :
       {"", "[]", "{}", R"({"AccessKeyId":"A","SecretAccessKey":"canary\n"})", R"({"AccessKeyId":"canary"})",
        R"({"AccessKeyId":"A b","SecretAccessKey":"canary"})"}) {
    Result<AwsCredentials> found = parse_credential_json(text, "here");
    ASSERT_FALSE(found) << text;
    EXPECT_THAT(found.error().message, HasSubstr("here: "));
    EXPECT_EQ(found.error().message.find("canary"), std::string::npos);
  }
  EXPECT_EQ(parse_credential_json(R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"no\ntrust"})", "here")
                .error()
                .message,
            "here: AssumeRoleUnauthorizedAccess: no trust");
  for (const char* text :
       {"", "<a/>", "<a><Credentials/></a>", "<a><Credentials><AccessKeyId>A</AccessKeyId>"})
    EXPECT_FALSE(parse_sts_answer(text, "here")) << text;
}

// ---- programs ----

Result<Secret> run(const std::string& script, Duration timeout = std::chrono::seconds(60)) {
  std::atomic<bool> is_stopped{false};
  return run_program({{"/bin/sh", "-c", script}, "in\n", timeout}, is_stopped);
}

TEST(Program, GivesWhatItPrints) {
  EXPECT_EQ(run("cat; echo lost >&2; echo out")->reveal(), "in\nout\n");
  EXPECT_THAT(run("echo canary; exit 3").error().message, HasSubstr("exit code 3"));
  EXPECT_THAT(run("kill -9 $$").error().message, HasSubstr("killed"));
  EXPECT_THAT(run("yes").error().message, HasSubstr("more than 1 MiB"));
  EXPECT_THAT(run("sleep 600 & wait", Duration(200)).error().message, HasSubstr("takes too long"));
  std::atomic<bool> is_stopped{true};
  EXPECT_EQ(run_program({{"sleep", "600"}, ""}, is_stopped).error().code, Errc::shutting_down);
  EXPECT_THAT(run_program({{"/nonexistent/program"}, ""}, is_stopped).error().message,
              HasSubstr("does not start"));
}

// ---- the chain ----

// Answers by the beginning of "METHOD URL"; everything else is out of reach.
class ScriptedCaller final : public HttpCaller {
 public:
  Result<HttpResponse> call(const HttpRequest& request) override {
    std::string asked = request.method + " " + request.url;
    std::string text = asked + "\n";
    for (const Secret& line : request.headers) text += std::string(line.reveal()) + "\n";
    text += std::string(request.body.reveal());
    if (request.signature) text += "\nsigned by " + request.signature->credentials->access_key_id;
    calls.push_back(text);
    for (const auto& [begin, answer] : answers)
      if (asked.starts_with(begin))
        return HttpResponse{answer.first, Secret(std::string(answer.second)), std::nullopt};
    return fail(Errc::upstream_unreachable, request.url + ": out of reach");
  }
  std::map<std::string, std::pair<int, std::string>, std::greater<>> answers;  // the longest beginning first
  std::vector<std::string> calls;
};

class ChainTest : public ::testing::Test {
 protected:
  std::string found(const std::string& profile = "") {
    Environment environment = [this](const char* name) -> std::optional<std::string> {
      auto value = variables_.find(name);
      return value == variables_.end() ? std::nullopt : std::optional(value->second);
    };
    CredentialChain chain({profile, "eu-central-1"}, environment, caller_, clock_, is_stopped_);
    Result<AwsCredentials> credentials = chain.get();
    if (!credentials) return "error: " + credentials.error().message;
    std::string text =
        credentials->access_key_id + "/" + std::string(credentials->secret_access_key.reveal());
    if (!credentials->session_token.is_empty())
      text += "/" + std::string(credentials->session_token.reveal());
    return text;
  }
  void write_config(const std::string& text) {
    variables_["AWS_CONFIG_FILE"] = temporary_file("aws-config", text);
  }
  static std::string sts_answer(const std::string& id) {
    return "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>"
           "<Credentials><AccessKeyId>" +
           id +
           "</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>"
           "<Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleResult>"
           "</AssumeRoleResponse>";
  }

  std::map<std::string, std::string> variables_ = {{"HOME", "/nonexistent"}};
  ScriptedCaller caller_;
  SystemClock clock_;
  std::atomic<bool> is_stopped_{false};
};

TEST_F(ChainTest, TheFirstConfiguredSourceIsTheOne) {
  caller_.answers["GET http://169.254.169.254/latest/meta-data/iam/security-credentials/"] = {200, "web\n"};
  caller_.answers["GET http://169.254.169.254/latest/meta-data/iam/security-credentials/web"] = {
      200, R"({"Code":"Success","AccessKeyId":"I","SecretAccessKey":"s","Token":"t"})"};
  caller_.answers["PUT http://169.254.169.254/latest/api/token"] = {200, "session"};
  EXPECT_EQ(found(), "I/s/t");
  caller_.answers["GET http://169.254.170.2/role"] = {200, R"({"AccessKeyId":"C","SecretAccessKey":"s"})"};
  variables_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/role";
  EXPECT_EQ(found(), "C/s");
  write_config(
      "[default]\naws_access_key_id = P\naws_secret_access_key = s\n[profile ci]\n"
      "aws_access_key_id = CI\naws_secret_access_key = s\naws_session_token = t\n");
  EXPECT_EQ(found(), "P/s");
  variables_["AWS_PROFILE"] = "ci";
  EXPECT_EQ(found(), "CI/s/t");
  variables_["AWS_ROLE_ARN"] = "arn:aws:iam::123456789012:role/pod";
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = temporary_file("token", "a+b\n");
  caller_.answers["POST https://sts.eu-central-1.amazonaws.com/"] = {200, sts_answer("W")};
  EXPECT_EQ(found(), "W/s/t");
  EXPECT_THAT(caller_.calls.back(),
              HasSubstr("Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%"
                        "3A123456789012%3Arole%2Fpod&RoleSessionName=entrepot&WebIdentityToken=a%2Bb"));
  variables_["AWS_ACCESS_KEY_ID"] = "E";
  variables_["AWS_SECRET_ACCESS_KEY"] = "s";
  EXPECT_EQ(found(), "E/s");
  EXPECT_EQ(found("default"), "P/s");
}

TEST_F(ChainTest, AProfileOfSettingsAloneLeavesItToTheMachine) {
  caller_.answers["GET http://169.254.170.2/role"] = {200, R"({"AccessKeyId":"C","SecretAccessKey":"s"})"};
  variables_["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"] = "/role";
  write_config(
      "[default]\nregion = eu-central-1\n[profile r]\nrole_arn = arn:r\n[profile s]\nregion = x\n"
      "[profile t]\nrole_arn = arn:t\nsource_profile = s\n");
  EXPECT_EQ(found(), "C/s");
  variables_["AWS_PROFILE"] = "s";
  EXPECT_EQ(found(), "C/s");
  variables_["AWS_PROFILE"] = "r";
  caller_.answers["POST https://sts.eu-central-1.amazonaws.com/"] = {200, sts_answer("R")};
  EXPECT_EQ(found(), "R/s/t");
  EXPECT_THAT(caller_.calls.back(), HasSubstr("signed by C"));
  variables_["AWS_PROFILE"] = "t";
  EXPECT_THAT(found(), HasSubstr("AWS profile s: holds no credentials")) << "it was named as the source";
  EXPECT_THAT(found("s"), HasSubstr("AWS profile s: holds no credentials")) << "it was asked for";
  variables_["AWS_PROFILE"] = "default";
  write_config("");
  EXPECT_EQ(found(), "C/s");
}

TEST_F(ChainTest, ARoleIsAssumedByWhatItsProfileNames) {
  caller_.answers["POST https://sts.eu-central-1.amazonaws.com/"] = {200, sts_answer("R")};
  write_config(
      "[profile a]\nrole_arn = arn:a\nsource_profile = b\nexternal_id = x y\n"
      "[profile b]\naws_access_key_id = B\naws_secret_access_key = s\n"
      "[profile self]\nrole_arn = arn:s\nsource_profile = self\naws_access_key_id = S\naws_secret_access_key "
      "= "
      "s\n[profile env]\nrole_arn = arn:e\ncredential_source = Environment\n");
  EXPECT_EQ(found("a"), "R/s/t");
  EXPECT_THAT(caller_.calls.back(), HasSubstr("&ExternalId=x%20y"));
  EXPECT_THAT(caller_.calls.back(), HasSubstr("signed by B"));
  EXPECT_EQ(found("self"), "R/s/t");
  EXPECT_THAT(caller_.calls.back(), HasSubstr("signed by S"));
  EXPECT_THAT(found("env"), HasSubstr("AWS_ACCESS_KEY_ID is not set"));
}

TEST_F(ChainTest, AFailureNamesItsSource) {
  EXPECT_THAT(found(), HasSubstr("no AWS credentials: none in the environment"));
  EXPECT_THAT(found("ci"), HasSubstr("AWS profile ci: there is none"));
  write_config(
      "[profile loop]\nrole_arn = a\nsource_profile = pool\n[profile pool]\nrole_arn = b\nsource_profile = "
      "loop\n"
      "[profile empty]\nregion = x\n[profile half]\naws_access_key_id = A\n[profile sso]\nsso_session = s\n"
      "[profile mfa]\nrole_arn = a\nmfa_serial = m\n[profile process]\ncredential_process = echo canary\n");
  EXPECT_THAT(found("loop"), HasSubstr("leads back to itself"));
  EXPECT_THAT(found("empty"), HasSubstr("holds no credentials"));
  EXPECT_THAT(found("half"), HasSubstr("aws_access_key_id without aws_secret_access_key"));
  EXPECT_THAT(found("sso"), HasSubstr("use credential_process"));
  EXPECT_THAT(found("mfa"), HasSubstr("needs a person"));
  EXPECT_EQ(found("process"), "error: AWS profile process, credential_process: the answer is no JSON object");
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://metadata.example/role";
  EXPECT_THAT(found(), HasSubstr("plain http to metadata.example, which is not this machine"));
  variables_["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://127.0.0.1.example/role";
  EXPECT_THAT(found(), HasSubstr("plain http to 127.0.0.1.example, which is not this machine"));
  EXPECT_TRUE(caller_.calls.empty() || caller_.calls.back().find("example") == std::string::npos);
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = "/nonexistent/token";
  EXPECT_THAT(found(), HasSubstr("without AWS_ROLE_ARN"));
  variables_["AWS_ROLE_ARN"] = "arn:r";
  EXPECT_THAT(found(), HasSubstr("role arn:r by the web identity token in /nonexistent/token"));
  variables_["AWS_ACCESS_KEY_ID"] = "E";
  EXPECT_THAT(found(), HasSubstr("without AWS_SECRET_ACCESS_KEY"));
}

TEST_F(ChainTest, StsIsNeverAskedByPlainHttpElsewhere) {
  variables_["AWS_ROLE_ARN"] = "arn:r";
  variables_["AWS_WEB_IDENTITY_TOKEN_FILE"] = temporary_file("token", "canary");
  for (const char* url :
       {"http://sts.example", "http://169.254.170.2", "http://127.0.0.1.example", "sts.example"}) {
    variables_["AWS_ENDPOINT_URL_STS"] = url;
    EXPECT_THAT(found(), HasSubstr("AWS_ENDPOINT_URL_STS: ")) << url;
  }
  EXPECT_TRUE(caller_.calls.empty());
  caller_.answers["POST http://127.0.0.1:1/"] = {200, sts_answer("R")};
  variables_["AWS_ENDPOINT_URL_STS"] = "http://127.0.0.1:1";
  EXPECT_EQ(found(), "R/s/t");
}

TEST_F(ChainTest, AnInstanceWithoutV2IsAskedByV1UnlessThatIsForbidden) {
  caller_.answers["PUT http://169.254.169.254/latest/api/token"] = {404, ""};
  caller_.answers["GET http://169.254.169.254/latest/meta-data/iam/security-credentials/"] = {200, "web"};
  caller_.answers["GET http://169.254.169.254/latest/meta-data/iam/security-credentials/web"] = {
      200, R"({"Code":"Success","AccessKeyId":"I","SecretAccessKey":"s"})"};
  EXPECT_EQ(found(), "I/s");
  variables_["AWS_EC2_METADATA_V1_DISABLED"] = "true";
  EXPECT_THAT(found(), HasSubstr("gave no session token: status 404"));
  variables_["AWS_EC2_METADATA_DISABLED"] = "TRUE";
  EXPECT_THAT(found(), HasSubstr("switched off by AWS_EC2_METADATA_DISABLED"));
}

// ---- the token ----

TEST(AuthorizationToken, SaysWhatIsToBeDone) {
  ScriptedCaller caller;
  SystemClock clock;
  AwsCredentials credentials{"A", Secret(std::string("s")), {}, std::nullopt, "the test"};
  Endpoint api{"https://api.test", "eu-central-1", "ecr"};
  auto error_for = [&](int status, const std::string& body) {
    caller.answers["POST https://api.test/"] = {status, body};
    Result<AuthorizationToken> token = get_authorization_token(caller, api, credentials, clock);
    return token ? Error() : token.error();
  };
  Error denied = error_for(400, R"({"__type":"com.amazon#AccessDeniedException","Message":"no"})");
  EXPECT_EQ(denied.code, Errc::upstream_refused_credential);
  EXPECT_EQ(denied.message,
            "GetAuthorizationToken of ecr in eu-central-1: refused the credentials of the test: "
            "AccessDeniedException: no; the role or user needs ecr:GetAuthorizationToken");
  EXPECT_EQ(error_for(400, R"({"__type":"ThrottlingException"})").code, Errc::upstream_rate_limited);
  EXPECT_EQ(error_for(500, "").code, Errc::upstream_failed);
  for (const char* body :
       {"", "{}", R"({"authorizationData":[]})", R"({"authorizationData":[{"authorizationToken":""}]})",
        R"({"authorizationData":[{"authorizationToken":"a\nb"}]})"})
    EXPECT_THAT(error_for(200, body).message, HasSubstr("no usable token")) << body;
}

}  // namespace
}  // namespace entrepot::upstream::aws
