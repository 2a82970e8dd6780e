#include "short_vectors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "reduce/random_rows.h"

namespace pomona::audit {
namespace {

constexpr size_t kWidth = 40, kRows = 60;

Pca FitTo(const std::vector<float>& rows, PcaOptions options) {
  Moments moments(kWidth);
  moments.Add(rows);
  return Pca::Fit(moments, options).ValueOrDie();
}

std::vector<float> Shorten(const ShortVectors& shorten, const std::vector<float>& rows) {
  std::vector<double> norms(rows.size() / kWidth);
  std::vector<float> vectors(norms.size() * shorten.dimensions());
  shorten.Make(rows, norms, vectors);
  return vectors;
}

double Cosine(const std::vector<float>& rows, size_t a, size_t b) {
  const float *const first = &rows[a * kWidth], *const second = &rows[b * kWidth];
  return std::inner_product(first, first + kWidth, second, 0.0) /
         std::sqrt(std::inner_product(first, first + kWidth, first, 0.0) *
                   std::inner_product(second, second + kWidth, second, 0.0));
}

// Whatever the PCA: the products are never below the cosines, and the more it holds the nearer.
TEST(ShortVectorsTest, ProductsAreNeverBelowTheCosines) {
  std::vector<float> rows = RandomRows(kRows, kWidth, 1);
  std::vector<double> excess;
  for (const int components : {1, 5, 20, 40}) {
    for (const bool standardize : {false, true}) {
      const ShortVectors shorten(FitTo(rows, {components, false, standardize}));
      const size_t dimensions = shorten.dimensions();
      const std::vector<float> vectors = Shorten(shorten, rows);
      double all = 0;
      for (size_t a = 0; a < kRows; ++a) {
        for (size_t b = 0; b < kRows; ++b) {
          const double product =
              std::inner_product(&vectors[a * dimensions], &vectors[(a + 1) * dimensions],
                                 &vectors[b * dimensions], 0.0);
          EXPECT_GE(product, Cosine(rows, a, b) - kMargin / 10) << components;
          all += product - Cosine(rows, a, b);
        }
      }
      if (!standardize) excess.push_back(all);
    }
  }
  EXPECT_GT(excess[0], excess[1]);
  EXPECT_GT(excess[1], excess[2]);
  EXPECT_NEAR(excess[3] / (kRows * kRows), 0, 1e-6);  // the basis holds all of the rows
}

TEST(ShortVectorsTest, HaveTheLengthOfOneOrOfZero) {
  std::vector<float> rows = RandomRows(kRows, kWidth, 2);
  const ShortVectors shorten(FitTo(rows, {.components = 7}));
  EXPECT_EQ(shorten.dimensions(), 9u);  // the mean and the rest
  for (float& value : rows) value *= 1000;
  std::fill_n(rows.begin(), kWidth, 0.0F);
  const std::vector<float> vectors = Shorten(shorten, rows);
  for (size_t row = 0; row < kRows; ++row) {
    const float* const vector = &vectors[row * 9];
    EXPECT_NEAR(std::inner_product(vector, vector + 9, vector, 0.0), row == 0 ? 0 : 1, 1e-6);
  }
}

// One that anybody may have written: its components need not be orthogonal, nor as long as they should.
TEST(ShortVectorsTest, TakeAnyComponents) {
  const std::vector<float> rows = RandomRows(kRows, kWidth, 3);
  PcaParts parts;
  parts.mean.assign(kWidth, 0);
  parts.variance = {1, 1, 1};
  for (int copy = 0; copy < 3; ++copy) {
    for (size_t i = 0; i < kWidth; ++i) {
      parts.basis.push_back(copy == 2 && i == 0 ? 7 : static_cast<double>(i));
    }
  }
  const ShortVectors shorten(Pca::FromParts(parts).ValueOrDie());
  EXPECT_EQ(shorten.dimensions(), 3u);  // no mean, and the second is the first
  const std::vector<float> vectors = Shorten(shorten, rows);
  for (size_t b = 0; b < kRows; ++b) {
    const double product = std::inner_product(&vectors[0], &vectors[3], &vectors[b * 3], 0.0);
    EXPECT_GE(product, Cosine(rows, 0, b) - kMargin / 10);
    EXPECT_LE(product, 1 + kMargin);
  }
}

}  // namespace
}  // namespace pomona::audit
