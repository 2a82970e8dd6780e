// Names of image statistics.
#pragma once

#include <string>
#include <vector>

#include "pomona/options.h"

namespace pomona {

// Of the numbers that `--stats` gathers of each image, as the columns of tables are called
// (docs/formats.md). With kFull there is a hash besides: pixels_sha256.
std::vector<std::string> StatisticNames(StatsKind kind);

}  // namespace pomona
