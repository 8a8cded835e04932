#include "upstream/push_event.h"

#include <gtest/gtest.h>

namespace entrepot::upstream::testing {
namespace {

// "registry/repository:tag,tag", "nothing" or "malformed".
std::string read(std::string_view json) {
  Result<std::optional<PushEvent>> event = parse_push_event(json);
  if (!event) return "malformed";
  if (!*event) return "nothing";
  std::string text = (*event)->registry + "/" + (*event)->repository + ":";
  for (const std::string& tag : (*event)->tags) text += tag + ",";
  return text;
}

Settings named(const std::string& name, const std::string& url) {
  Settings settings;
  settings.name = name;
  settings.url = url;
  return settings;
}

TEST(PushEvent, QuayTellsOfTags) {
  const std::string begin = R"({"repository":"a/b","namespace":"a","name":"b","docker_url":"quay.io/a/b")";
  EXPECT_EQ(read(begin + R"(,"updated_tags":["x","y"]})"), "quay.io/a/b:x,y,");
  EXPECT_EQ(read(begin + R"(,"updated_tags":{"x":"0123"}})"), "quay.io/a/b:x,") << "as old ones did";
  EXPECT_EQ(read(begin + R"(,"updated_tags":[]})"), "quay.io/a/b:");
  EXPECT_EQ(read(begin + R"(,"build_id":"1"})"), "nothing");
  EXPECT_EQ(read(R"({"namespace":"a","docker_url":"quay.io\n x/a/b","updated_tags":[]})"), "malformed");
  for (const char* tags : {"7", "null", "\"x\"", "[7]", "[null]", "[\"../x\"]", "[\"\"]", "{\"../x\":1}"})
    EXPECT_EQ(read(begin + ",\"updated_tags\":" + tags + "}"), "malformed") << tags;
}

TEST(PushEvent, DockerHubTellsOfOneTag) {
  EXPECT_EQ(read(R"({"push_data":{"tag":"x","pushed_at":1.5},"repository":{"repo_name":"a/b"}})"),
            "docker.io/a/b:x,");
  EXPECT_EQ(read(R"({"push_data":{"tag":"x"},"repository":{"repo_name":"b"}})"), "docker.io/library/b:x,");
  for (const char* json : {R"({"push_data":{},"repository":{"repo_name":"a/b"}})",
                           R"({"push_data":{"tag":7},"repository":{"repo_name":"a/b"}})",
                           R"({"push_data":{"tag":"x"},"repository":{}})",
                           R"({"push_data":{"tag":"x"},"repository":{"repo_name":"/a"}})",
                           R"({"push_data":[],"repository":{"repo_name":"a/b"}})",
                           R"({"push_data":{"tag":"x"},"repository":"a/b"})"})
    EXPECT_EQ(read(json), "malformed") << json;
}

TEST(PushEvent, AmazonEcrTellsOfActions) {
  auto event = [](const std::string& detail) {
    return R"({"source":"aws.ecr","detail-type":"ECR Image Action","account":"123456789012","region":"eu-central-1","detail":{)" +
           detail + "}}";
  };
  const std::string of = R"("repository-name":"a/b","result":"SUCCESS")";
  EXPECT_EQ(read(event(of + R"(,"action-type":"PUSH","image-tag":"x")")),
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/b:x,");
  EXPECT_EQ(read(event(of + R"(,"action-type":"DELETE","image-tag":"x")")),
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/b:x,");
  EXPECT_EQ(read(event(of + R"(,"action-type":"PUSH")")),
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com/a/b:");
  EXPECT_EQ(read(event(of + R"(,"action-type":"SCAN")")), "nothing");
  EXPECT_EQ(read(event(R"("repository-name":"a/b","result":"FAILURE","action-type":"PUSH")")), "nothing");
  EXPECT_EQ(read(event(R"("result":"SUCCESS","action-type":"PUSH")")), "malformed");
  EXPECT_EQ(
      read(R"({"source":"aws.ecr","detail-type":"ECR Image Action","account":"1","region":"x","detail":{)" +
           of + R"(,"action-type":"PUSH"}})"),
      "malformed");
}

TEST(PushEvent, AnythingElseIsMalformed) {
  for (
      const char* json :
      {"", "{", "[]", "7", "null", "\"x\"", "{}", R"({"detail":{}})", R"({"source":"aws.ecr"})",
       R"({"source":7,"detail":7,"push_data":7,"repository":7,"docker_url":7,"namespace":7,"updated_tags":[]})"})
    EXPECT_EQ(read(json), "malformed") << json;
  EXPECT_EQ(read(std::string(100'000, '[')), "malformed");
}

TEST(PushEvent, TheUpstreamIsFoundByItsNameAnAliasOrItsUrl) {
  std::vector<Settings> all = {named("docker.io", "https://registry-1.docker.io"),
                               named("mine", "https://quay.io"), named("port", "https://quay.test:8443"),
                               named("ecr", "https://123456789012.dkr-ecr.eu-central-1.on.aws")};
  all[0].aliases = {"index.docker.io"};
  auto found = [&](const std::string& registry) {
    std::string names;
    for (const Settings* settings : find_pushed(all, PushEvent{registry, "a/b", {}})) names += settings->name;
    return names;
  };
  EXPECT_EQ(found("docker.io"), "docker.io");
  EXPECT_EQ(found("index.docker.io"), "docker.io");
  EXPECT_EQ(found("quay.io"), "mine");
  EXPECT_EQ(found("quay.test:8443"), "port");
  all.push_back(named("again", "https://quay.io"));
  EXPECT_EQ(found("quay.io"), "mineagain") << "there may be two, with and without a credential";
  all[0] = named("hub", "https://registry-1.docker.io");
  EXPECT_EQ(found("docker.io"), "hub") << "under another name";
  EXPECT_EQ(found("123456789012.dkr.ecr.eu-central-1.amazonaws.com"), "ecr");
  for (const char* other :
       {"evilquay.io", "quay.io.test", "quay.test", "123456789013.dkr.ecr.eu-central-1.amazonaws.com", ""})
    EXPECT_EQ(found(other), "") << other;
}

}  // namespace
}  // namespace entrepot::upstream::testing
