#include "outliers.h"

#include <gtest/gtest.h>

#include <vector>

namespace pomona::audit {
namespace {

TEST(OutliersTest, FencesAreTukeys) {
  // Quartiles 2 and 6 of 1 to 8: the outer fence is at 6 + 3 * 4.
  const std::vector<double> inside(9, 1.0);
  std::vector<double> outside = {1, 2, 3, 4, 5, 6, 7, 8};
  EXPECT_EQ(ScoreOutliers(outside, std::vector<double>(8, 1.0)).scores,
            (std::vector<double>{1, 1, 1, 1, 1, 1, 1 / 1.25, 1 / 1.5}));
  // A ninth moves them to 3 and 7.
  outside.push_back(19);
  EXPECT_EQ(ScoreOutliers(outside, inside).scores.back(), OutlierScores::kIssue);
  outside.back() = 19.001;
  EXPECT_LT(ScoreOutliers(outside, inside).scores.back(), OutlierScores::kIssue);
}

TEST(OutliersTest, EitherDistanceCounts) {
  const std::vector<double> near = {1, 2, 3, 4}, far = {1, 2, 3, 40};
  const auto score = [](const auto& residual, const auto& mahalanobis) {
    return ScoreOutliers(residual, mahalanobis).scores.back();
  };
  EXPECT_EQ(score(near, far), score(far, near));
  EXPECT_LT(score(near, far), OutlierScores::kIssue);
  EXPECT_GT(score(near, near), OutlierScores::kIssue);
}

TEST(OutliersTest, WhereMostAreAlikeAnyOtherStandsOut) {
  const std::vector<double> alike(5, 0.0);
  EXPECT_EQ(ScoreOutliers(alike, alike).scores, (std::vector<double>(5, 1.0)));
  EXPECT_EQ(ScoreOutliers(std::vector<double>{0, 0, 0, 0, 1e-3}, alike).scores.back(), 0);
  // What rounding makes of equal distances is none.
  EXPECT_EQ(ScoreOutliers(std::vector<double>{7, 7, 7, 7 + 1e-14}, std::vector<double>(4, 1))
                .scores.back(),
            1);
  EXPECT_TRUE(ScoreOutliers({}, {}).scores.empty());
  EXPECT_EQ(ScoreOutliers(std::vector<double>{3}, std::vector<double>{5}).scores[0], 1);
}

}  // namespace
}  // namespace pomona::audit
