#include <algorithm>
#include <iterator>
#include <utility>

#include "pomona/location.h"
#include "pomona/source.h"

namespace pomona {

arrow::Result<std::vector<Item>> ListAll(Source& source, PathFilter filter) {
  std::vector<Item> all;
  ARROW_RETURN_NOT_OK(source.List(&filter, [&](std::vector<Item> items) {
    std::ranges::move(items, std::back_inserter(all));
    return true;
  }));
  return all;
}

arrow::Result<std::unique_ptr<Source>> OpenTree(const std::string& root, const S3Options& s3,
                                                CancelToken cancel) {
  return IsS3Uri(root) ? OpenS3Tree(root, s3, cancel) : OpenLocalTree(root);
}

}  // namespace pomona
