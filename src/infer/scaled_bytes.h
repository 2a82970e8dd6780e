// What a byte of each color becomes before the first layer.
#pragma once

#include <array>

#include "pomona/preprocessing.h"

namespace pomona {

using ScaledBytes = std::array<std::array<float, 256>, 3>;

inline ScaledBytes ScaleBytes(const Preprocessing& preprocessing) {
  ScaledBytes scaled;
  for (size_t c = 0; c < 3; ++c) {
    for (size_t byte = 0; byte < 256; ++byte) {
      scaled[c][byte] = (static_cast<float>(byte) / preprocessing.divisor - preprocessing.mean[c]) /
                        preprocessing.deviation[c];
    }
  }
  return scaled;
}

}  // namespace pomona
