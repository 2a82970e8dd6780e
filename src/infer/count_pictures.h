// What a caller of EngineWorker::Infer() gave.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <span>

#include "pomona/preprocessing.h"

namespace pomona {

// How many pictures there are, with a place of `width` features for each. Errors: Invalid.
inline arrow::Result<size_t> CountPictures(std::span<const uint8_t> pictures,
                                           std::span<const float> features, size_t width) {
  const size_t n = pictures.size() / kPictureBytes;
  if (pictures.size() % kPictureBytes != 0 || features.size() != n * width) {
    return arrow::Status::Invalid("pictures of ", pictures.size(), " bytes for ", features.size(),
                                  " features");
  }
  return n;
}

}  // namespace pomona
