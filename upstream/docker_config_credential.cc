#include "upstream/docker_config_credential.h"

#include <string>
#include <utility>

#include "upstream/credentials.h"
#include "upstream/docker_config.h"
#include "upstream/run_program.h"
#include "upstream/small_file.h"

namespace entrepot::upstream {
namespace {

constexpr size_t kMaxFile = 1024 * 1024;
constexpr Duration kFresh{15'000};
constexpr Duration kBetweenLooks{60'000};
constexpr Duration kLife{600'000};  // while the file cannot be read, or its helper says nothing

class DockerConfigFetcher final : public CredentialFetcher {
 public:
  DockerConfigFetcher(const Settings& settings, Logger& logger, const std::atomic<bool>& is_stopped)
      : settings_(settings), logger_(logger), is_stopped_(is_stopped) {}

  const char* what() const override { return "docker config.json"; }

  Result<FetchedCredential> fetch() override {
    Result<FetchedCredential> fetched = try_to();
    if (fetched) return fetched;
    return fail(Errc::upstream_refused_credential,
                settings_.name + ": no usable credential in docker_config " + settings_.docker_config + ": " +
                    fetched.error().message);
  }

 private:
  Result<FetchedCredential> try_to() {
    ENTREPOT_TRY_ASSIGN(Url url, Url::parse(settings_.url));
    ENTREPOT_TRY_ASSIGN(Secret text, read_small_file(settings_.docker_config, kMaxFile));
    ENTREPOT_TRY_ASSIGN(DockerConfigEntry entry, find_in_docker_config(text.reveal(), url));
    if (!entry.program.empty()) {
      Result<DockerConfigEntry> given = ask(entry);
      if (!given)
        return fail(given.error().code, "docker-credential-" + entry.program + ": " + given.error().message);
      entry = std::move(*given);
    }
    Secret authorization;
    if (entry.identity_token.is_empty()) {
      ENTREPOT_TRY_ASSIGN(authorization, basic_authorization(entry.username, entry.password));
    }
    return FetchedCredential{std::move(authorization), std::move(entry.identity_token), kFresh, kBetweenLooks,
                             kLife};
  }

  Result<DockerConfigEntry> ask(const DockerConfigEntry& entry) {
    ProgramRun run{{"docker-credential-" + entry.program, "get"}, entry.server + "\n"};
    ENTREPOT_TRY_ASSIGN(Secret answer, run_program(run, is_stopped_));
    logger_.debug("{}: asked docker-credential-{} for {}", settings_.name, entry.program, entry.server);
    return parse_program_answer(answer.reveal());
  }

  const Settings& settings_;
  Logger& logger_;
  const std::atomic<bool>& is_stopped_;
};

}  // namespace

std::unique_ptr<CredentialFetcher> make_docker_config_fetcher(const Settings& settings, Logger& logger,
                                                              const std::atomic<bool>& is_stopped) {
  return std::make_unique<DockerConfigFetcher>(settings, logger, is_stopped);
}

}  // namespace entrepot::upstream
