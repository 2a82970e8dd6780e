// What the pixels of an image say about it.
#pragma once

#include <array>
#include <cstdint>
#include <type_traits>

#include "pomona/options.h"

namespace pomona {

// Of which brightnesses the percentiles are, as CleanVision has them.
inline constexpr std::array<int, 7> kBrightnessPercentiles = {1, 5, 10, 15, 90, 95, 99};

// As they are stored, byte by byte, in the machine's order; docs/formats.md says what each is. What
// was not gathered is 0.
struct ImageStatistics {
  int64_t kind = 0;  // of StatsKind: what was gathered
  double brightness = 0;
  std::array<double, kBrightnessPercentiles.size()> brightness_percentiles{};
  double entropy = 0;
  // With StatsKind::kFull:
  double blurriness = 0;
  double blurriness_grayscale_std = 0;
  std::array<uint8_t, 32> pixels_sha256{};  // height x width x 3 bytes

  // Whether there are those of this kind.
  bool Has(StatsKind wanted) const { return kind >= static_cast<int64_t>(wanted); }

  // Without what this kind does not have.
  ImageStatistics Of(StatsKind wanted) const {
    if (wanted == StatsKind::kNone) return {};
    ImageStatistics kept = *this;
    if (wanted == StatsKind::kBasic) {
      kept.blurriness = kept.blurriness_grayscale_std = 0;
      kept.pixels_sha256 = {};
    }
    kept.kind = static_cast<int64_t>(wanted);
    return kept;
  }

  bool operator==(const ImageStatistics&) const = default;
};
static_assert(std::is_trivially_copyable_v<ImageStatistics> && sizeof(ImageStatistics) == 128);

}  // namespace pomona
