// What this build is made of.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace pomona {

inline constexpr const char* kVersion = "0.1.0";

// Libraries in use with the versions found at run time, by name.
std::vector<std::pair<std::string, std::string>> LibraryVersions();

}  // namespace pomona
