#include "checksums.h"

#include <cerrno>
#include <fstream>

#include "disk.h"
#include "layout.h"

namespace pomona {
namespace {

constexpr size_t kHexChars = 64;
constexpr std::string_view kGap = "  ";

}  // namespace

std::string ChecksumsPath(const std::string& output, const std::string& run_id) {
  return output + "/" + kRunInfo.Path(run_id) + "/" + kChecksumsName;
}

std::string ChecksumsText(const Checksums& checksums) {
  std::string text;
  for (const auto& [path, sha256] : checksums)
    text.append(sha256).append(kGap).append(path) += '\n';
  return text;
}

arrow::Result<Checksums> ReadChecksums(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file.is_open()) return DiskError("open", path, errno);
  Checksums checksums;
  for (std::string line; std::getline(file, line);) {
    // A last line without an end was cut short.
    if (file.eof() || line.size() <= kHexChars + kGap.size() ||
        line.substr(kHexChars, kGap.size()) != kGap) {
      return arrow::Status::Invalid(path, ": a line that is no checksum");
    }
    checksums[line.substr(kHexChars + kGap.size())] = line.substr(0, kHexChars);
  }
  return checksums;
}

}  // namespace pomona
