#include "s3/profile.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

#include "environment.h"

namespace pomona {
namespace {

std::string_view Trimmed(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// The settings below the heading [name] in a file of AWS' tools; nothing where there is no such
// heading.
std::optional<ProfileSettings> Section(const std::string& path, std::string_view name) {
  std::ifstream file(path);
  std::optional<ProfileSettings> section;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    const bool nested = line.starts_with(' ') || line.starts_with('\t');
    const std::string_view text = Trimmed(line);
    if (text.empty() || text.front() == '#' || text.front() == ';') continue;
    if (text.front() == '[') {
      std::string heading(Trimmed(text.substr(1, text.find(']') - 1)));
      // Words may stand apart by more than a space.
      heading.erase(std::unique(heading.begin(), heading.end(),
                                [](char a, char b) { return a == ' ' && b == ' '; }),
                    heading.end());
      inside = heading == name;
      if (inside && !section) section.emplace();
    } else if (const size_t equals = text.find('='); inside && !nested && equals != text.npos) {
      (*section)[std::string(Trimmed(text.substr(0, equals)))] = Trimmed(text.substr(equals + 1));
    }
  }
  return section;
}

}  // namespace

std::string Setting(const ProfileSettings& settings, const char* name) {
  const auto found = settings.find(name);
  return found == settings.end() ? "" : found->second;
}

std::optional<ProfileSettings> Profile(const std::string& name) {
  auto keys = Section(CredentialsFile(), name);
  auto settings = Section(ConfigFile(), name == "default" ? name : "profile " + name);
  if (!keys) return settings;
  if (settings) keys->merge(*settings);
  return keys;
}

std::optional<ProfileSettings> SsoSession(const std::string& name) {
  return Section(ConfigFile(), "sso-session " + name);
}

std::string ProfileName() {
  return FirstOf(FirstOf(Environment("AWS_PROFILE"), Environment("AWS_DEFAULT_PROFILE")),
                 "default");
}

bool ProfileIsNamed() {
  return !Environment("AWS_PROFILE").empty() || !Environment("AWS_DEFAULT_PROFILE").empty();
}

ProfileSettings ChosenProfile() { return Profile(ProfileName()).value_or(ProfileSettings()); }

std::string CredentialsFile() {
  return FirstOf(Environment("AWS_SHARED_CREDENTIALS_FILE"),
                 Environment("HOME") + "/.aws/credentials");
}

std::string ConfigFile() {
  return FirstOf(Environment("AWS_CONFIG_FILE"), Environment("HOME") + "/.aws/config");
}

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream read;
  read << file.rdbuf();  // of a folder it is nothing
  std::string text = std::move(read).str();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

std::string FirstOf(std::string one, std::string other) { return one.empty() ? other : one; }

}  // namespace pomona
