#include "statistics/columns.h"

namespace pomona {

std::vector<std::string> StatisticNames(StatsKind kind) {
  std::vector<std::string> names;
  if (kind == StatsKind::kNone) return names;
  names.push_back("brightness");
  for (const int percentile : kBrightnessPercentiles) {
    names.push_back("brightness_perc_" + std::to_string(percentile));
  }
  names.push_back("entropy");
  if (kind == StatsKind::kBasic) return names;
  names.insert(names.end(), {"blurriness", "blurriness_grayscale_std"});
  return names;
}

std::vector<double> StatisticNumbers(const ImageStatistics& statistics, StatsKind kind) {
  std::vector<double> numbers;
  if (kind == StatsKind::kNone) return numbers;
  numbers.push_back(statistics.brightness);
  const auto& percentiles = statistics.brightness_percentiles;
  numbers.insert(numbers.end(), percentiles.begin(), percentiles.end());
  numbers.push_back(statistics.entropy);
  if (kind == StatsKind::kBasic) return numbers;
  numbers.insert(numbers.end(), {statistics.blurriness, statistics.blurriness_grayscale_std});
  return numbers;
}

}  // namespace pomona
