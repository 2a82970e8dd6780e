#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "pomona/pca.h"
#include "reduce/random_rows.h"

namespace pomona {
namespace {

std::vector<double> ToVector(std::span<const double> values) {
  return {values.begin(), values.end()};
}

void ExpectSame(const Moments& a, const Moments& b) {
  EXPECT_EQ(a.count(), b.count());
  EXPECT_TRUE(ToVector(a.mean()) == ToVector(b.mean()));
  EXPECT_TRUE(ToVector(a.comoment()) == ToVector(b.comoment()));
}

// Relative to the largest co-moment, as rounding is.
void ExpectClose(const Moments& a, const Moments& b) {
  EXPECT_EQ(a.count(), b.count());
  for (int i = 0; i < a.dimensions(); ++i) EXPECT_NEAR(a.mean()[i], b.mean()[i], 1e-14);
  const double largest = *std::max_element(a.comoment().begin(), a.comoment().end());
  double difference = 0;
  for (size_t i = 0; i < a.comoment().size(); ++i) {
    difference = std::max(difference, std::abs(a.comoment()[i] - b.comoment()[i]));
  }
  EXPECT_LE(difference, 1e-12 * largest);
}

// Sums in extended precision, products about the exact mean.
Moments PlainMoments(std::span<const float> rows, int dimensions) {
  const size_t n = rows.size() / dimensions;
  std::vector<long double> mean(dimensions);
  for (size_t i = 0; i < rows.size(); ++i) mean[i % dimensions] += rows[i];
  for (long double& value : mean) value /= static_cast<long double>(n);
  std::vector<double> comoment;
  for (int i = 0; i < dimensions; ++i) {
    for (int j = i; j < dimensions; ++j) {
      long double sum = 0;
      for (size_t r = 0; r < n; ++r) {
        sum += (rows[r * dimensions + i] - mean[i]) * (rows[r * dimensions + j] - mean[j]);
      }
      comoment.push_back(static_cast<double>(sum));
    }
  }
  return Moments::FromParts(static_cast<int64_t>(n), {mean.begin(), mean.end()}, comoment)
      .ValueOrDie();
}

// Merges fragments of equal size (the last may be shorter) in order.
Moments InFragments(std::span<const float> rows, int dimensions, size_t fragments) {
  const size_t n = rows.size() / dimensions;
  const size_t fragment_rows = (n + fragments - 1) / fragments;
  Moments all(dimensions);
  for (size_t first = 0; first < n; first += fragment_rows) {
    Moments fragment(dimensions);
    fragment.Add(rows.subspan(first * dimensions, std::min(fragment_rows, n - first) * dimensions));
    all.Merge(fragment);
  }
  return all;
}

TEST(MomentsTest, SmallExample) {
  Moments moments(2);
  moments.Add(std::vector<float>{1, 2, 3, 6, 5, 13});
  EXPECT_EQ(moments.count(), 3);
  EXPECT_EQ(ToVector(moments.mean()), (std::vector<double>{3, 7}));
  EXPECT_EQ(ToVector(moments.comoment()), (std::vector<double>{8, 22, 62}));
}

TEST(MomentsTest, StartsEmpty) {
  Moments moments(2);
  EXPECT_EQ(moments.dimensions(), 2);
  moments.Add({});
  EXPECT_EQ(moments.count(), 0);
  EXPECT_EQ(ToVector(moments.mean()), (std::vector<double>{0, 0}));
  EXPECT_EQ(ToVector(moments.comoment()), (std::vector<double>{0, 0, 0}));
}

TEST(MomentsTest, RowsOneByOne) {
  Moments moments(2);
  for (const auto& row : {std::vector<float>{1, 2}, {3, 6}, {5, 13}}) moments.Add(row);
  EXPECT_EQ(moments.count(), 3);
  EXPECT_DOUBLE_EQ(moments.mean()[0], 3);
  EXPECT_DOUBLE_EQ(moments.mean()[1], 7);
  EXPECT_DOUBLE_EQ(moments.comoment()[0], 8);
  EXPECT_DOUBLE_EQ(moments.comoment()[1], 22);
  EXPECT_DOUBLE_EQ(moments.comoment()[2], 62);
}

// The sum of squares minus the square of the sum would have no digit left.
TEST(MomentsTest, LargeMeanSmallSpread) {
  Moments moments(1);
  std::vector<float> rows;
  for (int i = 0; i < 9000; ++i) rows.push_back(16'000'000.0f + static_cast<float>(i % 3));
  moments.Add(rows);
  EXPECT_DOUBLE_EQ(moments.mean()[0], 16'000'001);
  EXPECT_NEAR(moments.comoment()[0], 6000, 1e-8);
}

TEST(MomentsTest, ConstantFeatureHasNoVarianceAtAll) {
  Moments moments(2);
  std::vector<float> rows;
  for (int i = 0; i < 5000; ++i) rows.insert(rows.end(), {0.1f, static_cast<float>(i)});
  moments.Add(rows);
  moments.Add(rows);
  EXPECT_EQ(moments.mean()[0], 0.1f);
  EXPECT_EQ(moments.comoment()[0], 0);
  EXPECT_EQ(moments.comoment()[1], 0);
}

TEST(MomentsTest, AgreesWithPlainSums) {
  const int dimensions = 31;
  const std::vector<float> rows = RandomRows(9001, dimensions, 1);
  Moments moments(dimensions);
  moments.Add(rows);
  ExpectClose(moments, PlainMoments(rows, dimensions));
}

TEST(MomentsTest, MergedFragmentsAgreeWithTheWhole) {
  const int dimensions = 31;
  const std::vector<float> rows = RandomRows(9001, dimensions, 1);
  Moments whole(dimensions);
  whole.Add(rows);
  ExpectSame(InFragments(rows, dimensions, 1), whole);
  ExpectClose(InFragments(rows, dimensions, 2), whole);
  ExpectClose(InFragments(rows, dimensions, 7), whole);
  ExpectClose(InFragments(rows, dimensions, 9001), whole);
}

TEST(MomentsTest, SameCallsSameBits) {
  const std::vector<float> rows = RandomRows(9001, 31, 1);
  ExpectSame(InFragments(rows, 31, 7), InFragments(rows, 31, 7));
}

TEST(MomentsTest, MergingNothingChangesNothing) {
  Moments some(2);
  some.Add(std::vector<float>{0.1f, 0.2f, 0.3f, 0.7f, 0.6f, 0.5f});
  Moments merged = some;
  merged.Merge(Moments(2));
  ExpectSame(merged, some);
  Moments into_empty(2);
  into_empty.Merge(some);
  ExpectSame(into_empty, some);
}

TEST(MomentsTest, FromPartsGivesTheSameMoments) {
  Moments moments(2);
  moments.Add(std::vector<float>{0.1f, 0.2f, 0.3f, 0.7f, 0.6f, 0.5f});
  const arrow::Result<Moments> copy =
      Moments::FromParts(moments.count(), ToVector(moments.mean()), ToVector(moments.comoment()));
  ASSERT_TRUE(copy.ok());
  ExpectSame(*copy, moments);
}

TEST(MomentsTest, FromPartsRefusesWhatIsNoMoments) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_TRUE(Moments::FromParts(2, {1, 2}, {1, 2, 3}).ok());
  EXPECT_TRUE(Moments::FromParts(2, {1, 2}, {1, 2}).status().IsInvalid());
  EXPECT_TRUE(Moments::FromParts(-1, {1, 2}, {1, 2, 3}).status().IsInvalid());
  EXPECT_TRUE(Moments::FromParts(INT64_MAX, {1, 2}, {1, 2, 3}).status().IsInvalid());
  EXPECT_TRUE(Moments::FromParts(2, {}, {}).status().IsInvalid());
  EXPECT_TRUE(Moments::FromParts(2, {1, nan}, {1, 2, 3}).status().IsInvalid());
  EXPECT_TRUE(Moments::FromParts(2, {1, 2}, {1, nan, 3}).status().IsInvalid());
}

}  // namespace
}  // namespace pomona
