// Statistics as columns of tables, by the names that docs/formats.md describes.
#pragma once

#include <vector>

#include "image_statistics.h"
#include "pomona/statistics.h"

namespace pomona {

// The numbers of one image, one for each of StatisticNames(kind). kFull has a hash besides.
// REQUIRES: statistics.Has(kind).
std::vector<double> StatisticNumbers(const ImageStatistics& statistics, StatsKind kind);

}  // namespace pomona
