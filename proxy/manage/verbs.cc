#include "proxy/manage/verbs.h"

#include <fmt/chrono.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "cache/inventory.h"
#include "proxy/manage/pinning.h"

namespace entrepot::manage {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMostImages = 1000;  // in one answer
constexpr size_t kMaxSelections = 1000;

std::string dumped(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

Json time_of(const std::optional<WallTime>& time) {
  if (!time) return nullptr;
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(*time)));
}

Json json_of(const cache::Image& image) {
  Json json;
  json["image"] = image.name.text();
  json["upstream"] = image.name.repository.upstream;
  json["repository"] = image.name.repository.name;
  json["tag"] = image.name.tag.empty() ? Json() : Json(image.name.tag);
  json["digest"] = image.manifest.text();
  json["media_type"] = image.media_type.empty() ? Json() : Json(image.media_type);
  json["blobs"] = image.blobs;
  json["missing"] = image.missing;
  json["bytes"] = image.bytes;
  json["checked_at"] = time_of(image.checked_at);
  json["used_at"] = time_of(image.used_at);
  json["pinned"] = image.is_pinned;
  return json;
}

Json json_of(const PinReport& report) {
  Json images = Json::array();
  for (const PinReport::Pinned& pinned : report.images)
    images.push_back({{"image", pinned.name},
                      {"digest", pinned.manifest.text()},
                      {"blobs", pinned.blobs},
                      {"bytes", pinned.bytes},
                      {"missing", pinned.missing}});
  return {{"images", std::move(images)}};
}

/// What a request says. Reading a field of another type is an error that is asked for at the end.
class Fields {
 public:
  static Result<Fields> parse(std::string_view text) {
    if (text.empty()) return Fields(Json::object());
    Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return fail(Errc::bad_request, "the request is no JSON object");
    return Fields(std::move(json));
  }

  bool flag(const char* name) {
    auto found = take(name);
    if (!found) return false;
    if (!found->is_boolean()) complain(name, "is no boolean");
    return found->is_boolean() && found->get<bool>();
  }
  std::string text(const char* name) {
    auto found = take(name);
    if (!found) return {};
    if (!found->is_string()) complain(name, "is no string");
    return found->is_string() ? found->get<std::string>() : std::string();
  }
  uint64_t number(const char* name, uint64_t otherwise) {
    auto found = take(name);
    if (!found) return otherwise;
    if (!found->is_number_unsigned()) complain(name, "is no whole number");
    return found->is_number_unsigned() ? found->get<uint64_t>() : otherwise;
  }
  std::vector<std::string> texts(const char* name) {
    auto found = take(name);
    std::vector<std::string> all;
    if (!found) return all;
    if (!found->is_array() || found->size() > kMaxSelections) {
      complain(name, "is no list, or too long a one");
      return all;
    }
    for (const Json& one : *found) {
      if (!one.is_string()) complain(name, "holds something that is no string");
      if (one.is_string()) all.push_back(one.get<std::string>());
    }
    return all;
  }
  /// What was wrong, or is there and was not read.
  Status check() const {
    if (!complaint_.empty()) return fail(Errc::bad_request, complaint_);
    if (!json_.empty()) return fail(Errc::bad_request, "there is no field `" + json_.begin().key() + "`");
    return {};
  }

 private:
  explicit Fields(Json json) : json_(std::move(json)) {}
  std::optional<Json> take(const char* name) {
    auto found = json_.find(name);
    if (found == json_.end()) return std::nullopt;
    Json value = std::move(*found);
    json_.erase(found);
    return value;
  }
  void complain(const char* name, const char* what) {
    complaint_ = std::string("the field `") + name + "` " + what;
  }

  Json json_;
  std::string complaint_;
};

Result<std::vector<cache::ImageSelection>> read_selections(const ImageNames& names, Fields& fields) {
  std::vector<cache::ImageSelection> selections;
  std::vector<std::string> images = fields.texts("images");
  std::vector<std::string> upstreams = fields.texts("upstreams");
  ENTREPOT_TRY(fields.check());
  for (const std::string& text : images) {
    ENTREPOT_TRY_ASSIGN(cache::ImageSelection selection, names.parse(text));
    selections.push_back(std::move(selection));
  }
  for (const std::string& text : upstreams) {
    cache::ImageSelection selection;
    selection.upstream = names.upstream(text);
    if (text.empty()) return fail(Errc::bad_request, "an upstream without a name");
    selections.push_back(std::move(selection));
  }
  if (selections.empty()) return fail(Errc::bad_request, "no image and no upstream is named");
  return selections;
}

Error nothing() { return {Errc::manifest_unknown, "nothing in the cache is named like that"}; }

Result<Json> list(cache::Cache& cache, const ImageNames& names, Fields& fields) {
  std::string wanted = fields.text("image");
  std::string upstream = fields.text("upstream");
  std::string behind = fields.text("after");
  uint64_t most = std::min<uint64_t>(fields.number("most", kMostImages), kMostImages);
  ENTREPOT_TRY(fields.check());
  cache::ImageSelection selection;
  if (!wanted.empty()) {
    ENTREPOT_TRY_ASSIGN(selection, names.parse(wanted));
  }
  if (!upstream.empty()) selection.upstream = names.upstream(upstream);
  std::optional<cache::ImageName> after;
  if (!behind.empty()) {
    ENTREPOT_TRY_ASSIGN(after, parse_image_name(behind));
  }
  ENTREPOT_TRY_ASSIGN(std::vector<cache::Image> images,
                      cache.inventory().list(selection, after, static_cast<size_t>(most)));
  Json json;
  json["images"] = Json::array();
  for (const cache::Image& image : images) json["images"].push_back(json_of(image));
  json["next"] = images.empty() ? Json() : Json(images.back().name.text());
  return json;
}

Result<Json> stats(cache::Cache& cache, const Verbs::Limits& limits, Fields& fields) {
  ENTREPOT_TRY(fields.check());
  ENTREPOT_TRY_ASSIGN(cache::CacheTotals totals, cache.inventory().totals());
  return Json{{"directory", cache.options().directory},
              {"offline", limits.is_offline},
              {"max_size", limits.max_size},
              {"min_free", limits.min_free},
              {"used_bytes", cache.used()},
              {"blob_bytes", totals.blob_bytes},
              {"pinned_bytes", totals.pinned_bytes},
              {"blobs", totals.blobs},
              {"manifests", totals.manifests},
              {"tags", totals.tags},
              {"links", totals.links},
              {"repositories", totals.repositories},
              {"pinned_images", totals.pinned_images}};
}

Result<Json> purge_selected(cache::Cache& cache, const ImageNames& names, Fields& fields,
                            const std::atomic<bool>& is_ending, const OnPurged& on_purged) {
  PurgeRequest request;
  request.is_ending = &is_ending;
  request.is_dry_run = fields.flag("dry_run");
  ENTREPOT_TRY_ASSIGN(request.selections, read_selections(names, fields));
  ENTREPOT_TRY_ASSIGN(PurgeReport report, purge(cache, request, on_purged));
  if (report.images == 0 && report.pinned == 0 && report.removals == 0) return fail(nothing());
  return Json{{"dry_run", request.is_dry_run}, {"images", report.images}, {"names", report.names},
              {"pinned", report.pinned},       {"kept", report.kept},     {"blobs", report.blobs},
              {"bytes", report.disk_bytes}};
}

// Begins one, or is told of the one that runs; with `ask`, of the last one.
Result<Json> verify(VerifyJob& job, Fields& fields) {
  bool repairs = fields.flag("repair");
  bool only_asks = fields.flag("ask");
  ENTREPOT_TRY(fields.check());
  if (!only_asks) job.start(repairs);
  std::optional<VerifyJob::Status> status = job.status();
  if (!status) return fail(Errc::not_found, "nothing was verified since the start");
  const cache::VerifyReport& report = status->report;
  Json json{{"state", status->is_running ? "running"
                      : status->failure  ? "failed"
                                         : "done"},
            {"repair", status->repairs},
            {"blobs", report.blobs},
            {"checked", report.checked},
            {"bytes", report.bytes},
            {"damaged", report.damaged},
            {"unreadable", report.unreadable},
            {"unknown", report.unknown},
            {"foreign", report.foreign}};
  if (status->failure) json["message"] = status->failure->message;
  if (status->is_running) return json;
  json["problems"] = Json::array();
  for (const cache::VerifyReport::Problem& problem : report.problems)
    json["problems"].push_back({{"digest", problem.digest.text()}, {"message", problem.complaint}});
  json["foreign_files"] = report.foreign_paths;
  return json;
}

}  // namespace

Result<std::string> Verbs::perform(std::string_view verb, std::string_view request) {
  if (is_ending_) return fail(Errc::shutting_down, "the daemon ends");
  ENTREPOT_TRY_ASSIGN(Fields fields, Fields::parse(request));
  Json answer;
  if (verb == "ls") {
    ENTREPOT_TRY_ASSIGN(answer, list(cache_, names_, fields));
  } else if (verb == "stats") {
    ENTREPOT_TRY_ASSIGN(answer, stats(cache_, limits_(), fields));
  } else if (verb == "verify") {
    ENTREPOT_TRY_ASSIGN(answer, verify(verify_, fields));
  } else if (verb == "purge") {
    ENTREPOT_TRY_ASSIGN(answer, purge_selected(cache_, names_, fields, is_ending_, on_purged_));
  } else if (verb == "pin" || verb == "unpin") {
    PinRequest wanted{.selections = {}, .is_dry_run = fields.flag("dry_run"), .is_ending = &is_ending_};
    ENTREPOT_TRY_ASSIGN(wanted.selections, read_selections(names_, fields));
    ENTREPOT_TRY_ASSIGN(PinReport report,
                        verb == "pin" ? pin(cache_, wanted, clock_.wall()) : unpin(cache_, wanted));
    if (report.images.empty()) return fail(nothing());
    answer = json_of(report);
    answer["dry_run"] = wanted.is_dry_run;
  } else {
    return fail(Errc::bad_request, "there is no such verb");
  }
  return dumped(answer);
}

}  // namespace entrepot::manage
