// How many components a PCA can have.
#pragma once

#include <arrow/status.h>

namespace pomona {

// Errors: Invalid where no PCA of features of so many dimensions has so many components.
inline arrow::Status CheckComponents(int components, int dimensions) {
  if (components >= 1 && components <= dimensions) return arrow::Status::OK();
  return arrow::Status::Invalid("PCA of ", dimensions, " features has 1 to ", dimensions,
                                " components, not ", components, "; use --pca-components");
}

}  // namespace pomona
