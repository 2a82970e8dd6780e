// The files in which AWS' tools keep settings, ~/.aws/credentials and ~/.aws/config.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace pomona {

using ProfileSettings = std::map<std::string, std::string>;

// "" where there is none of this name.
std::string Setting(const ProfileSettings& settings, const char* name);

// Of both files; nothing where neither knows the profile.
std::optional<ProfileSettings> Profile(const std::string& name);
// Of an [sso-session name].
std::optional<ProfileSettings> SsoSession(const std::string& name);

// The profile that AWS_PROFILE, or AWS_DEFAULT_PROFILE, names, else `default`.
std::string ProfileName();
// Whether it was asked for, rather than taken where there is one.
bool ProfileIsNamed();
// Its settings, if any.
ProfileSettings ChosenProfile();

std::string CredentialsFile();
std::string ConfigFile();

// A small file without the ends of its last lines; "" where it cannot be read.
std::string ReadText(const std::string& path);

std::string FirstOf(std::string one, std::string other);  // that is not empty

}  // namespace pomona
