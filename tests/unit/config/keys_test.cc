#include "proxy/config/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "config_testing.h"
#include "proxy/config/binding.h"

// The table of keys, and what must agree with it: the fields, conf/entrepot.toml and docs/configuration.md.

namespace entrepot::config::testing {
namespace {

using ::testing::HasSubstr;

std::string read_all(const std::string& path) {
  std::ifstream file(std::string(ENTREPOT_ROOT) + "/" + path);
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_FALSE(text.str().empty()) << path;
  return text.str();
}

// `#key = …` and `#[[upstream]]` become real; `# prose` stays a comment.
std::string uncommented(const std::string& text) {
  std::istringstream lines(text);
  std::string out;
  for (std::string line; std::getline(lines, line); out += line + "\n")
    if (line.size() > 1 && line[0] == '#' && line[1] != ' ') line.erase(0, 1);
  return out;
}

TEST(Keys, HaveSoundDefaults) {
  for (const Key& key : all_keys()) {
    Value value = default_of(key);
    if (key.kind == Kind::name) continue;
    Checked again = check_value(key, value);
    ASSERT_TRUE(again.has_value()) << full_name(key);
    EXPECT_EQ(*again, value) << full_name(key);
  }
}

TEST(Keys, AreThereOnceAndSoAreTheirVariables) {
  std::set<std::string> names;
  std::set<std::string> variables;
  for (const Key& key : all_keys()) {
    EXPECT_TRUE(names.insert(full_name(key)).second) << full_name(key);
    EXPECT_TRUE(variables.insert(variable_of(key, key.is_of_upstream() ? "a" : "")).second) << full_name(key);
    EXPECT_EQ(find_key(key.section, key.name), &key);
  }
}

TEST(Keys, FillAFieldWhenTheyAreBuilt) {
  Config config;
  upstream::Settings settings;
  for (const Key& key : all_keys()) {
    if (!key.is_built || key.kind == Kind::name) continue;
    bool has_field =
        key.is_of_upstream() ? put(key, default_of(key), settings) : put(key, default_of(key), config);
    EXPECT_TRUE(has_field) << full_name(key);
  }
}

TEST(Keys, HaveTheDefaultsOfTheSettingsTheyFill) {
  upstream::Settings untouched;
  for (const Key& key : all_keys()) {
    if (!key.is_of_upstream() || key.kind == Kind::name) continue;
    EXPECT_EQ(take(key, untouched), default_of(key)) << full_name(key);
  }
}

TEST(SampleFile, HoldsEveryKeyOnceWithItsDefault) {
  std::string sample = read_all("conf/entrepot.toml");
  std::string section;
  std::set<const Key*> seen;
  std::istringstream lines(uncommented(sample));
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("#") || line.empty()) continue;
    if (line.starts_with("[")) {
      section = line.substr(line.find_last_of('[') + 1);
      section.resize(section.find(']'));
      continue;
    }
    const Key* key = find_key(section, line.substr(0, line.find(" = ")));
    ASSERT_NE(key, nullptr) << line;
    EXPECT_TRUE(seen.insert(key).second) << line;
  }
  for (const Key& key : all_keys()) EXPECT_TRUE(seen.contains(&key)) << full_name(key);
}

TEST(SampleFile, MeansTheDefaultsAsItIsAndUncommented) {
  std::string sample = read_all("conf/entrepot.toml");
  Loaded defaults = load_inputs(plain_inputs());
  for (const std::string& text : {sample, uncommented(sample)}) {
    Loaded loaded = load_text(text);
    ASSERT_TRUE(loaded.is_good()) << loaded.error();
    EXPECT_EQ(to_toml(loaded.config), to_toml(defaults.config));
  }
}

TEST(SampleFile, CommentsEveryValueOut) {
  std::istringstream lines(read_all("conf/entrepot.toml"));
  for (std::string line; std::getline(lines, line);)
    EXPECT_TRUE(line.empty() || line[0] == '#' || line[0] == '[') << line;
}

TEST(Documentation, HasARowForEveryKeyWithItsDefaultAndVariable) {
  std::string text = read_all("docs/configuration.md");
  std::string_view section = "?";
  size_t at = text.find("## All keys");
  for (const Key& key : all_keys()) {
    if (key.section != section) {
      section = key.section;
      std::string title = section.empty()        ? "Top of the file"
                          : key.is_of_upstream() ? "`[[upstream]]`"
                                                 : "`[" + std::string(section) + "]`";
      at = text.find("### " + title + "\n", at);
      ASSERT_NE(at, std::string::npos) << title;
    }
    std::string variable =
        key.is_of_upstream() ? "ENTREPOT_UPSTREAM__<NAME>__" + as_variable_part(key.name) : variable_of(key);
    std::string shown =
        key.kind == Kind::name ? "(needed)" : "`" + to_toml(*value_from_text(key, key.default_text)) + "`";
    std::string row = "| `" + std::string(key.name) + "` | " + shown + " | `" + variable + "` | ";
    size_t found = text.find(row, at);
    ASSERT_NE(found, std::string::npos) << row;
    std::string line = text.substr(found, text.find('\n', found) - found);
    EXPECT_EQ(line.find("(later)") == std::string::npos, key.is_built) << line;
  }
}

TEST(Suggestion, IsTheNearestOrNone) {
  std::vector<std::string> known = {"max_size", "min_free"};
  EXPECT_EQ(suggestion("maxsize", known), " (did you mean max_size?)");
  EXPECT_EQ(suggestion("cahce", std::vector<std::string>{"cache"}), " (did you mean cache?)");
  EXPECT_EQ(suggestion("colour", known), "");
  EXPECT_EQ(suggestion(std::string(100'000, 'a'), known), "");
  EXPECT_EQ(suggestion("x", {}), "");
}

}  // namespace
}  // namespace entrepot::config::testing
