// What local trees and those on S3 have in common.
#pragma once

#include <cstdint>
#include <string>

#include "pomona/item.h"

namespace pomona {

// The subfolder that the original pipeline looks under where it exists.
inline constexpr const char* kTrainingFolder = "Training";

// A file that claims to be larger is no picture; reading it would only fill the memory.
inline constexpr int64_t kMaxFileBytes = int64_t{1} << 30;

inline Reject TooLarge(int64_t size) {
  return {Stage::kRead, Reason::kTooLarge,
          std::to_string(size) + " bytes; the limit is " + std::to_string(kMaxFileBytes)};
}

}  // namespace pomona
