#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels.h"
#include "pomona/audit.h"
#include "reduce/random_rows.h"

namespace pomona {
namespace {

constexpr int kWidth = 70;

// Groups of rows around random ones; every so many equal, scaled or zero.
std::vector<float> Rows(size_t count, size_t width = kWidth) {
  std::vector<float> rows = RandomRows(count, width, 11);
  for (float& value : rows) value -= 0.5F;  // in all directions
  const std::vector<float> noise = RandomRows(count, width, 12);
  for (size_t row = 1; row < count; ++row) {
    float* const values = &rows[row * width];
    if (row % 5 != 0) {
      for (size_t i = 0; i < width; ++i) {
        values[i] = rows[(row - row % 5) * width + i] +
                    0.02F * static_cast<float>(row % 5) * noise[row * width + i];
      }
    }
    if (row % 31 == 6) std::copy_n(values - width, width, values);
    if (row % 37 == 7)
      std::transform(values, values + width, values, [](float x) { return 8 * x; });
    if (row % 41 == 8) std::fill_n(values, width, 0.0F);
  }
  return rows;
}

std::vector<NearPair> EachWithEach(const std::vector<float>& rows, double least,
                                   size_t width = kWidth) {
  const auto count = static_cast<uint32_t>(rows.size() / width);
  const auto dot = [&](size_t a, size_t b) {
    return audit::Dot(&rows[a * width], &rows[b * width], width);
  };
  std::vector<NearPair> pairs;
  for (uint32_t a = 0; a < count; ++a) {
    for (uint32_t b = a + 1; b < count; ++b) {
      const double squares = dot(a, a) * dot(b, b);
      const double cosine = squares > 0 ? dot(a, b) / std::sqrt(squares) : 0;
      if (cosine >= least) pairs.push_back({a, b, cosine});
    }
  }
  return pairs;
}

std::vector<double> Norms(const std::vector<float>& rows) {
  std::vector<double> norms;
  for (size_t at = 0; at < rows.size(); at += kWidth) {
    norms.push_back(audit::Dot(&rows[at], &rows[at], kWidth));
  }
  return norms;
}

TEST(NearPairsTest, AreThoseOfComparingEachWithEach) {
  const std::vector<float> rows = Rows(400);
  size_t before = 0;
  for (const double least : {1.0, 0.995, 0.98, 0.9, 0.5}) {
    const std::vector<NearPair> expected = EachWithEach(rows, least);
    EXPECT_GT(expected.size(), before) << least;
    before = expected.size();
    for (const int threads : {1, 2}) {
      EXPECT_EQ(*NearPairs(rows, kWidth, least, threads), expected) << least;
    }
  }
}

// Also where one is much longer, and of rows with themselves: each pair in both orders, and each row.
TEST(NearPairsTest, OfTwoSetsAreThoseOfComparingEachWithEach) {
  const std::vector<float> all = Rows(400);
  for (const size_t first : {1, 130, 399}) {
    const std::span rows = std::span(all).first(first * kWidth);
    const std::span others = std::span(all).subspan(first * kWidth);
    for (const double least : {1.0, 0.98, 0.5}) {
      std::vector<NearPair> expected;
      for (const NearPair& pair : EachWithEach(all, least)) {
        if (pair.a >= first || pair.b < first) continue;
        expected.push_back({pair.a, pair.b - static_cast<uint32_t>(first), pair.cosine});
      }
      EXPECT_TRUE(first != 130 || !expected.empty()) << least;
      for (const int threads : {1, 2}) {
        EXPECT_EQ(*NearPairs(rows, others, kWidth, least, threads), expected) << first << least;
      }
    }
  }
  const auto once = *NearPairs(all, kWidth, 0.98), both = *NearPairs(all, all, kWidth, 0.98);
  std::vector<NearPair> expected;
  for (const NearPair& pair : both) {
    if (pair.a < pair.b) expected.push_back(pair);
  }
  EXPECT_EQ(expected, once);
  const auto zeros = static_cast<size_t>(std::ranges::count(Norms(all), 0.0));
  EXPECT_EQ(both.size(), 2 * once.size() + 400 - zeros);
}

// At the very cosine of a pair, and just above it.
TEST(NearPairsTest, AThresholdIsReachedExactly) {
  const std::vector<float> rows = Rows(25);
  for (const NearPair& pair : EachWithEach(rows, 0.9)) {
    const auto at = *NearPairs(rows, kWidth, pair.cosine);
    EXPECT_NE(std::ranges::find(at, pair), at.end());
    if (pair.cosine >= 1) continue;
    const auto above = *NearPairs(rows, kWidth, std::nextafter(pair.cosine, 2));
    EXPECT_EQ(std::ranges::find(above, pair), above.end());
  }
}

// Whose covariance would take 160 GB.
TEST(NearPairsTest, RowsOfVeryManyNumbers) {
  constexpr int kMany = 200'000;
  const std::vector<float> rows = Rows(12, kMany);
  for (const double least : {0.999, 0.5}) {
    const std::vector<NearPair> expected = EachWithEach(rows, least, kMany);
    EXPECT_FALSE(expected.empty()) << least;
    const auto found = NearPairs(rows, kMany, least);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(*found, expected) << least;
  }
}

// By its rows where the sample is longer than they are wide, else by its columns.
TEST(NearPairsTest, TheSampleIsLongerOrWider) {
  for (const size_t count : {69, 70, 71, 2049}) {
    const std::vector<float> rows = Rows(count);
    EXPECT_EQ(*NearPairs(rows, kWidth, 0.98), EachWithEach(rows, 0.98)) << count;
  }
}

TEST(NearPairsTest, RowsOfZerosAreNearNone) {
  for (const size_t count : {2, 60, 90}) {
    EXPECT_TRUE(NearPairs(std::vector<float>(count * kWidth), kWidth, 0.5)->empty()) << count;
  }
}

TEST(NearPairsTest, FewRowsAndRowsOfOneNumber) {
  EXPECT_TRUE(NearPairs({}, kWidth, 0.5)->empty());
  EXPECT_TRUE(NearPairs(Rows(1), kWidth, 0.5)->empty());
  EXPECT_TRUE(NearPairs({}, Rows(9), kWidth, 0.5)->empty());
  EXPECT_TRUE(NearPairs(Rows(9), std::span<const float>(), kWidth, 0.5)->empty());
  const std::vector<float> numbers = {1, -1, 2, 0};
  EXPECT_EQ(*NearPairs(numbers, 1, 0.5), (std::vector<NearPair>{{0, 2, 1.0}}));
}

TEST(NearPairsTest, RefusesWhatCannotWork) {
  std::vector<float> rows = Rows(9);
  for (const double least : {0.0, -1.0, 1.5, std::nan("")}) {
    EXPECT_TRUE(NearPairs(rows, kWidth, least).status().IsInvalid());
  }
  EXPECT_TRUE(NearPairs(rows, kWidth + 1, 0.9).status().IsInvalid());
  EXPECT_TRUE(NearPairs(rows, 0, 0.9).status().IsInvalid());
  rows[3 * kWidth + 5] = std::numeric_limits<float>::infinity();
  const std::string message = NearPairs(rows, kWidth, 0.9).status().message();
  EXPECT_EQ(message.find("row 3"), 0) << message;
  const std::vector<float> good = Rows(2);
  EXPECT_TRUE(NearPairs(good, std::span(good).first(kWidth + 1), kWidth, 0.9).status().IsInvalid());
  const std::string of_others = NearPairs(good, rows, kWidth, 0.9).status().message();
  EXPECT_EQ(of_others.find("others: row 3"), 0) << of_others;
}

}  // namespace
}  // namespace pomona
