#include "checksums.h"

#include <cstdint>
#include <span>
#include <sstream>

#include "layout.h"
#include "sha256.h"

namespace pomona {
namespace {

constexpr size_t kHexChars = 64;
constexpr std::string_view kGap = "  ";

}  // namespace

std::string ChecksumsPath(const std::string& run_id) {
  return kRunInfo.Path(run_id) + "/" + kChecksumsName;
}

std::string ChecksumsText(const Checksums& checksums) {
  std::string text;
  for (const auto& [path, sha256] : checksums)
    text.append(sha256).append(kGap).append(path) += '\n';
  return text;
}

arrow::Result<std::string> ReadChecked(const PublishedFiles& files, const Checksums& checksums,
                                       const std::string& below) {
  ARROW_ASSIGN_OR_RAISE(std::string bytes, files.Read(below));
  const auto expected = checksums.find(below);
  const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  if (expected == checksums.end() || Sha256().Add(data).Hex() != expected->second) {
    return arrow::Status::Invalid(files.Path(below), ": its checksum is wrong");
  }
  return bytes;
}

arrow::Result<Checksums> ReadChecksums(const PublishedFiles& files, const std::string& run_id) {
  const std::string path = ChecksumsPath(run_id);
  ARROW_ASSIGN_OR_RAISE(std::string text, files.Read(path));
  std::istringstream lines(std::move(text));
  Checksums checksums;
  for (std::string line; std::getline(lines, line);) {
    // A last line without an end was cut short.
    if (lines.eof() || line.size() <= kHexChars + kGap.size() ||
        line.substr(kHexChars, kGap.size()) != kGap) {
      return arrow::Status::Invalid(files.Path(path), ": a line that is no checksum");
    }
    const std::string named = line.substr(kHexChars + kGap.size());
    if (!IsFileOfRun(named, run_id, files.folders())) {
      return arrow::Status::Invalid(files.Path(path),
                                    ": names what is no file of the run: ", named);
    }
    checksums[named] = line.substr(0, kHexChars);
  }
  return checksums;
}

}  // namespace pomona
