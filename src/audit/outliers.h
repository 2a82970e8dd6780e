// Images that are unlike all others.
#pragma once

#include <span>
#include <vector>

namespace pomona::audit {

// An image stands out by either distance where it lies beyond Tukey's outer fence of all images': the
// third quartile and three times the distance between the quartiles.
struct OutlierScores {
  std::vector<double>
      scores;  // in [0, 1]: 1 up to the third quartile, below kIssue beyond the fence
  static constexpr double kIssue = 0.25;
};

// 1 / (1 + e), where e is by how many distances between the quartiles the image lies above the third
// one, by that of both of its distances by which it lies further.
OutlierScores ScoreOutliers(std::span<const double> residual, std::span<const double> mahalanobis);

}  // namespace pomona::audit
