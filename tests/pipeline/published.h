// What two runs are compared by.
#pragma once

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <string>

#include "sha256.h"

namespace pomona {

// The published files of all runs in an output but of their run_info: checksums by path.
inline std::map<std::string, std::string> Published(const std::string& output) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(output)) {
    const std::string below = entry.path().lexically_relative(output);
    if (!entry.is_regular_file() || below.starts_with("run_info/")) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    files[below] = Sha256().Add(bytes).Hex();
  }
  return files;
}

}  // namespace pomona
