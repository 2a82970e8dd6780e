#include "pomona/location.h"
#include "pomona/source.h"

namespace pomona {

arrow::Result<std::unique_ptr<Source>> OpenTree(const std::string& root, const S3Options& s3,
                                                CancelToken cancel) {
  return IsS3Uri(root) ? OpenS3Tree(root, s3, cancel) : OpenLocalTree(root);
}

}  // namespace pomona
