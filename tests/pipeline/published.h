// What two runs are compared by.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "sha256.h"

namespace pomona {

// What of a published file is the same however often its run is made: of the report all but the line
// that says how it was made.
inline std::string ToldAgain(const std::string& below, std::string bytes) {
  if (!below.ends_with("/report.html")) return bytes;
  const size_t making = bytes.rfind('\n', bytes.find("id=\"data-making\""));
  return bytes.erase(making, bytes.find('\n', making + 1) - making);
}

// The published files of all runs in an output but of their run_info: checksums by path.
inline std::map<std::string, std::string> Published(const std::string& output) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(output)) {
    const std::string below = entry.path().lexically_relative(output);
    if (!entry.is_regular_file() || below.starts_with("run_info/")) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    files[below] = Sha256().Add(ToldAgain(below, bytes)).Hex();
  }
  return files;
}

}  // namespace pomona
