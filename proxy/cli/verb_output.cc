#include "proxy/cli/verb_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

namespace entrepot::cli {
namespace {

constexpr size_t kColumns = 6;
using Row = std::array<std::string, kColumns>;
constexpr size_t kShownHex = 12;

// Names come from others: nothing of them may steer a terminal.
std::string text_of(const Json& value) {
  if (!value.is_string()) return "-";
  std::string text = value.get<std::string>();
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, '?');
  return text;
}

// "sha256:0123456789ab", as docker shows it.
std::string shortened(const std::string& digest) {
  size_t colon = digest.find(':');
  return colon == std::string::npos ? digest : digest.substr(0, colon + 1 + kShownHex);
}

std::string count_of(const Json& image) {
  uint64_t blobs = image.value("blobs", uint64_t{0});
  uint64_t missing = image.value("missing", uint64_t{0});
  return missing == 0 ? std::to_string(blobs) : fmt::format("{} of {}", blobs, blobs + missing);
}

Row row_of(const Json& image) {
  return {text_of(image["image"]),
          shortened(text_of(image["digest"])),
          readable_size(image.value("bytes", uint64_t{0})),
          count_of(image),
          text_of(image["used_at"]),
          image.value("pinned", false) ? "pinned" : ""};
}

std::string plural(uint64_t count, const char* one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace

std::string kept_text(const Json& answer) {
  std::string text;
  for (const Json& kept : answer["kept"]) text += "entrepot: " + text_of(kept) + " is pinned, and is kept\n";
  return text;
}

std::string readable_size(uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string image_table(const Json& images, bool with_heading) {
  std::vector<Row> rows;
  if (with_heading) rows.push_back({"IMAGE", "DIGEST", "SIZE", "BLOBS", "LAST USED", ""});
  for (const Json& image : images) rows.push_back(row_of(image));
  std::array<size_t, kColumns> widths{};
  for (const Row& row : rows)
    for (size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < kColumns; ++i) line += fmt::format("{:<{}}  ", row[i], widths[i]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::string stats_text(const Json& stats, bool is_running) {
  auto number = [&stats](const char* name) { return stats.value(name, uint64_t{0}); };
  std::string text =
      fmt::format("{}, {}{}\n", text_of(stats["directory"]), is_running ? "in use" : "not in use",
                  stats.value("offline", false) ? ", offline" : "");
  text += fmt::format("  used          {} of {}\n", readable_size(number("used_bytes")),
                      readable_size(number("max_size")));
  text += fmt::format("  blobs         {}, {} of them manifests, {}\n", number("blobs"), number("manifests"),
                      readable_size(number("blob_bytes")));
  text += fmt::format("  pinned        {}, {}\n", plural(number("pinned_images"), "image"),
                      readable_size(number("pinned_bytes")));
  text += fmt::format("  repositories  {}, with {}\n", number("repositories"), plural(number("tags"), "tag"));
  return text;
}

std::string pin_text(const Json& answer, bool is_pin) {
  std::string text;
  bool is_dry_run = answer.value("dry_run", false);
  std::string verb = std::string(is_dry_run ? "would be " : "") + (is_pin ? "pinned" : "unpinned");
  for (const Json& image : answer["images"]) {
    uint64_t missing = image.value("missing", uint64_t{0});
    text += fmt::format("{} {}: {}", text_of(image["image"]), verb,
                        plural(image.value("blobs", uint64_t{0}), "blob"));
    if (is_pin) text += ", " + readable_size(image.value("bytes", uint64_t{0}));
    if (is_pin && missing > 0) text += fmt::format("; {} more that it names not in the cache", missing);
    text += '\n';
  }
  return text;
}

std::string purge_text(const Json& answer) {
  std::string text;
  for (const Json& name : answer["names"]) text += text_of(name) + '\n';
  uint64_t images = answer.value("images", uint64_t{0});
  if (images > answer["names"].size())
    text += fmt::format("... and {} more\n", images - answer["names"].size());
  text += fmt::format("{}{}, {}, {}\n", answer.value("dry_run", false) ? "would purge " : "purged ",
                      plural(images, "image"), plural(answer.value("blobs", uint64_t{0}), "blob"),
                      readable_size(answer.value("bytes", uint64_t{0})));
  return text;
}

std::string verify_progress(const Json& answer) {
  uint64_t checked = answer.value("checked", uint64_t{0});
  uint64_t blobs = std::max(answer.value("blobs", uint64_t{0}), checked);
  return fmt::format("{} of {} blobs, {}, {} damaged", checked, blobs,
                     readable_size(answer.value("bytes", uint64_t{0})), answer.value("damaged", uint64_t{0}));
}

std::string verify_text(const Json& answer) {
  std::string text;
  for (const Json& problem : answer["problems"])
    text += text_of(problem["digest"]) + ": " + text_of(problem["message"]) + '\n';
  for (const Json& path : answer["foreign_files"])
    text += "none of the cache's, left alone: " + text_of(path) + '\n';
  auto number = [&answer](const char* name) { return answer.value(name, uint64_t{0}); };
  bool repairs = answer.value("repair", false);
  text += fmt::format("{}, {}: {} damaged{}, {} unreadable, {} unknown{}\n",
                      plural(number("checked"), "blob"), readable_size(number("bytes")), number("damaged"),
                      repairs && number("damaged") > 0 ? " and dropped" : "", number("unreadable"),
                      number("unknown"), repairs && number("unknown") > 0 ? " and repaired" : "");
  return text;
}

}  // namespace entrepot::cli
