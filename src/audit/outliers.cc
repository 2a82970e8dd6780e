#include "outliers.h"

#include <algorithm>
#include <cstddef>
#include <limits>

namespace pomona::audit {
namespace {

// Distances that differ by no more are the same.
constexpr double kRounding = 1e-9;

struct Quartiles {
  double first, third;
};

// Values of the data: the smallest that a quarter, or three, of them do not exceed.
Quartiles QuartilesOf(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  const auto at = [&](size_t quarters) {
    const auto place =
        sorted.begin() + static_cast<ptrdiff_t>((quarters * sorted.size() + 3) / 4 - 1);
    std::ranges::nth_element(sorted, place);
    return *place;
  };
  return {at(1), at(3)};
}

// By how many distances between the quartiles it lies above the third.
double Excess(double value, const Quartiles& of) {
  const double rounding = kRounding * of.third;
  if (value <= of.third + rounding) return 0;
  const double range = of.third - of.first;
  return range > rounding ? (value - of.third) / range : std::numeric_limits<double>::infinity();
}

}  // namespace

OutlierScores ScoreOutliers(std::span<const double> residual, std::span<const double> mahalanobis) {
  OutlierScores result;
  if (residual.empty()) return result;
  const Quartiles outside = QuartilesOf(residual), inside = QuartilesOf(mahalanobis);
  for (size_t i = 0; i < residual.size(); ++i) {
    const double excess = std::max(Excess(residual[i], outside), Excess(mahalanobis[i], inside));
    result.scores.push_back(1 / (1 + excess));
  }
  return result;
}

}  // namespace pomona::audit
