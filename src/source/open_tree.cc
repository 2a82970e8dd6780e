#include <algorithm>

#include "pomona/location.h"
#include "pomona/source.h"

namespace pomona {

arrow::Result<std::unique_ptr<Source>> OpenTree(const std::string& root, const S3Options& s3,
                                                CancelToken cancel) {
  return IsS3Uri(root) ? OpenS3Tree(root, s3, cancel) : OpenLocalTree(root);
}

std::string TellPassedOver(const Source& source, const std::string& output) {
  constexpr size_t kNamed = 3;
  const std::string input = source.root().substr(0, source.root().rfind('/') + 1);
  std::vector<std::string> folders = source.PassedOver();
  std::erase_if(folders, [&](const std::string& name) {
    return (output + '/').starts_with(input + name + '/');
  });
  if (folders.empty()) return {};
  std::ranges::sort(folders);
  std::string line = "only " + source.root() + " is read; to read a folder beside it (";
  for (size_t i = 0; i < std::min(folders.size(), kNamed); ++i) {
    line += (i > 0 ? ", " : "") + folders[i];
  }
  if (folders.size() > kNamed) {
    line += " and " + std::to_string(folders.size() - kNamed) + " more";
  }
  return line + "), name that folder as INPUT";
}

}  // namespace pomona
