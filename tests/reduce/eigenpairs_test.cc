#include "reduce/eigenpairs.h"

#include <gtest/gtest.h>

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "instruction_sets.h"
#include "reduce/random_rows.h"

namespace pomona::reduce {
namespace {

struct Symmetric {
  int size;
  std::vector<double> upper;

  Symmetric(int size, const std::function<double(int, int)>& entry) : size(size) {
    for (int i = 0; i < size; ++i) {
      for (int j = i; j < size; ++j) upper.push_back(entry(i, j));
    }
  }

  double at(int i, int j) const {
    if (i > j) std::swap(i, j);
    return upper[i * size - i * (i + 1) / 2 + j];
  }

  double Largest() const {
    double largest = 0;
    for (double value : upper) largest = std::max(largest, std::abs(value));
    return largest;
  }
};

// A v = lambda v, V V^T = I and descending values, each to rounding.
void ExpectEigenpairs(const Symmetric& matrix, int count, const Eigenpairs& pairs) {
  const int size = matrix.size;
  ASSERT_EQ(pairs.values.size(), count);
  ASSERT_EQ(pairs.vectors.size(), size_t(count) * size);
  EXPECT_TRUE(std::is_sorted(pairs.values.rbegin(), pairs.values.rend()));
  const double residual_bound = 1e-14 * size * matrix.Largest();
  for (int c = 0; c < count; ++c) {
    const double* v = &pairs.vectors[size_t(c) * size];
    for (int i = 0; i < size; ++i) {
      double residual = -pairs.values[c] * v[i];
      for (int j = 0; j < size; ++j) residual += matrix.at(i, j) * v[j];
      ASSERT_LE(std::abs(residual), residual_bound) << "component " << c << ", row " << i;
    }
    for (int d = 0; d <= c; ++d) {
      double product = 0;
      for (int i = 0; i < size; ++i) product += v[i] * pairs.vectors[size_t(d) * size + i];
      ASSERT_NEAR(product, c == d ? 1 : 0, 1e-13) << "components " << d << " and " << c;
    }
  }
}

// What Eigen's solver makes of it, descending.
Eigen::VectorXd EigenvaluesByEigen(const Symmetric& matrix) {
  const double scale = matrix.Largest() > 0 ? matrix.Largest() : 1;
  Eigen::MatrixXd full(matrix.size, matrix.size);
  for (int i = 0; i < matrix.size; ++i) {
    for (int j = 0; j < matrix.size; ++j) full(i, j) = matrix.at(i, j) / scale;
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(full, Eigen::EigenvaluesOnly);
  return scale * solver.eigenvalues().reverse();
}

// All ways of solving: few vectors by inverse iteration, all of them at once.
void ExpectSolved(const Symmetric& matrix, int rank = kAnyRank) {
  const Eigen::VectorXd expected = EigenvaluesByEigen(matrix);
  for (const int count : {matrix.size, std::max(matrix.size / 4, 1), 1}) {
    SCOPED_TRACE(testing::Message() << count << " of " << matrix.size);
    const arrow::Result<Eigenpairs> pairs =
        LargestEigenpairs(matrix.upper, matrix.size, count, 2, rank);
    ASSERT_TRUE(pairs.ok()) << pairs.status();
    ExpectEigenpairs(matrix, count, *pairs);
    for (int c = 0; c < count; ++c) {
      EXPECT_NEAR(pairs->values[c], expected[c], 1e-14 * matrix.size * matrix.Largest());
    }
  }
}

// Of `rank` directions, each with half the weight of the one before.
Symmetric OfRank(int rank, int size) {
  const std::vector<float> x = RandomRows(rank, size, 4);
  return Symmetric(size, [&](int i, int j) {
    double sum = 0;
    for (int r = 0; r < rank; ++r) {
      sum += std::ldexp((double{x[r * size + i]} - 0.3) * (double{x[r * size + j]} - 0.3), -r);
    }
    return sum;
  });
}

TEST(EigenpairsTest, TwoByTwo) {
  const Symmetric matrix(2, [](int i, int j) { return i == j ? 2.0 : 1.0; });
  const arrow::Result<Eigenpairs> pairs = LargestEigenpairs(matrix.upper, 2, 2);
  ASSERT_TRUE(pairs.ok());
  EXPECT_DOUBLE_EQ(pairs->values[0], 3);
  EXPECT_DOUBLE_EQ(pairs->values[1], 1);
  EXPECT_DOUBLE_EQ(std::abs(pairs->vectors[0]), std::sqrt(0.5));
  EXPECT_DOUBLE_EQ(pairs->vectors[0], pairs->vectors[1]);
}

TEST(EigenpairsTest, OneByOne) {
  const arrow::Result<Eigenpairs> pairs = LargestEigenpairs(std::vector<double>{7}, 1, 1);
  ASSERT_TRUE(pairs.ok());
  EXPECT_EQ(pairs->values[0], 7);
  EXPECT_EQ(std::abs(pairs->vectors[0]), 1);
}

// Eigenvalues 4 sin^2(k pi / 2 (n + 1)) of the second difference.
TEST(EigenpairsTest, SecondDifference) {
  const int size = 100;
  const Symmetric matrix(size, [](int i, int j) { return i == j ? 2.0 : j == i + 1 ? -1.0 : 0.0; });
  ExpectSolved(matrix);
  const arrow::Result<Eigenpairs> pairs = LargestEigenpairs(matrix.upper, size, 25);
  ASSERT_TRUE(pairs.ok());
  for (int c = 0; c < 25; ++c) {
    const double sine = std::sin((size - c) * std::acos(-1.0) / (2 * (size + 1)));
    EXPECT_NEAR(pairs->values[c], 4 * sine * sine, 1e-14);
  }
}

TEST(EigenpairsTest, Random) {
  const std::vector<float> noise = RandomRows(200, 200, 3);
  ExpectSolved(Symmetric(200, [&](int i, int j) { return noise[i * 200 + j] - 0.3; }));
}

// At the ends of blocks and bands, and below them.
TEST(EigenpairsTest, AllSmallSizes) {
  const std::vector<float> noise = RandomRows(60, 60, 3);
  for (int size = 1; size <= 60; ++size) {
    ExpectSolved(Symmetric(size, [&](int i, int j) { return noise[i * 60 + j] - 0.3; }));
  }
}

TEST(EigenpairsTest, LowRankHasManyZeros) {
  for (const int rank : {1, 5, 30}) ExpectSolved(OfRank(rank, 120));
}

TEST(EigenpairsTest, AKnownRankSavesTimeOnly) {
  for (const int rank : {1, 2, 7, 8, 9, 23, 30}) {
    SCOPED_TRACE(rank);
    ExpectSolved(OfRank(rank, 120), rank);
    ExpectSolved(OfRank(rank, 120), 40);
  }
}

TEST(EigenpairsTest, ALargeMatrixOfAKnownRank) {
  const std::vector<float> x = RandomRows(60, 400, 4);
  ExpectSolved(Symmetric(400,
                         [&](int i, int j) {
                           double sum = 0;
                           for (int r = 0; r < 60; ++r) {
                             sum += (double{x[r * 400 + i]} - 0.3) * (double{x[r * 400 + j]} - 0.3);
                           }
                           return sum;
                         }),
               60);
}

TEST(EigenpairsTest, AWrongRankIsNoticed) {
  ExpectSolved(OfRank(30, 120), 8);
  ExpectSolved(OfRank(30, 120), 29);
  ExpectSolved(Symmetric(90, [](int i, int j) { return i == j ? 1.0 : 0.0; }), 30);
  ExpectSolved(Symmetric(90, [](int i, int j) { return i == j ? -1.0 : 0.0; }), 30);
  ExpectSolved(Symmetric(90, [](int, int) { return 0.0; }), 30);
  const std::vector<float> noise = RandomRows(90, 90, 3);
  ExpectSolved(Symmetric(90, [&](int i, int j) { return noise[i * 90 + j] - 0.3; }), 30);
}

TEST(EigenpairsTest, IdentityRepeatsOneEigenvalue) {
  ExpectSolved(Symmetric(80, [](int i, int j) { return i == j ? 1.0 : 0.0; }));
}

TEST(EigenpairsTest, DiagonalWithRepeats) {
  ExpectSolved(Symmetric(80, [](int i, int j) { return i == j ? i % 7 : 0.0; }));
}

TEST(EigenpairsTest, EqualBlocksSplitTheMatrix) {
  ExpectSolved(Symmetric(90, [](int i, int j) {
    return i / 9 != j / 9 ? 0.0 : i == j ? i % 9 : j == i + 1 ? 1.0 : 0.0;
  }));
}

// Wilkinson's matrix: pairs of eigenvalues that agree to the last digit in a matrix that does not
// split.
TEST(EigenpairsTest, Wilkinson) {
  ExpectSolved(Symmetric(101, [](int i, int j) {
    return i == j ? std::abs(i - 50) : j == i + 1 ? 1.0 : 0.0;
  }));
}

TEST(EigenpairsTest, Zero) {
  ExpectSolved(Symmetric(40, [](int, int) { return 0.0; }));
}

TEST(EigenpairsTest, NegativeEigenvalues) {
  ExpectSolved(Symmetric(40, [](int i, int j) { return -1.0 / (1 + i + j); }));
}

TEST(EigenpairsTest, EigenvaluesOfManyMagnitudes) {
  ExpectSolved(Symmetric(60, [](int i, int j) { return std::pow(0.5, i + j) * (1 + (i == j)); }));
}

TEST(EigenpairsTest, TinyAndHugeEntries) {
  const std::vector<float> noise = RandomRows(60, 60, 5);
  for (const double scale : {1e-300, 1e-200, 1e200, 1e300}) {
    ExpectSolved(Symmetric(60, [&](int i, int j) { return scale * noise[i * 60 + j]; }));
  }
}

// 40 eigenvalues within 1e-12 of each other, in a basis of reflections.
TEST(EigenpairsTest, Cluster) {
  const int size = 90;
  const std::vector<float> noise = RandomRows(1, size, 7);
  double squares = 0;
  for (const float x : noise) squares += double{x} * x;
  const auto value = [](int k) { return k < 40 ? 1 + 1e-13 * k : 1.0 / k; };
  // H D H with H = I - 2 x x^T / x^T x
  double enclosed = 0;
  for (int k = 0; k < size; ++k) enclosed += value(k) * noise[k] * noise[k];
  ExpectSolved(Symmetric(size, [&](int i, int j) {
    const double product = double{noise[i]} * noise[j] * 2 / squares;
    return (i == j ? value(i) : 0) - product * (value(i) + value(j)) +
           product * 2 / squares * enclosed;
  }));
}

TEST(EigenpairsTest, GradedEntries) {
  const std::vector<float> noise = RandomRows(70, 70, 6);
  for (const double step : {-4.0, 4.0}) {
    ExpectSolved(Symmetric(70, [&](int i, int j) {
      return std::pow(10.0, step * (i + j) - 140 * step / 2) * noise[i * 70 + j];
    }));
  }
}

class EigenpairsOnTest : public InstructionSetsTest {};

TEST_F(EigenpairsOnTest, AllInstructionSetsAndTeamsGiveTheSameBits) {
  const int size = 150;
  const std::vector<float> noise = RandomRows(size, size, 3);
  const Symmetric random(size, [&](int i, int j) { return noise[i * size + j] - 0.3; });
  struct Case {
    Symmetric matrix;
    int count, rank;
  };
  for (const Case& one :
       {Case{random, 40, kAnyRank}, Case{random, size, kAnyRank}, Case{OfRank(30, size), 40, 30}}) {
    std::optional<Eigenpairs> first;
    for (const int64_t target : targets_) {
      Use(target);
      for (int threads = 1; threads <= 5; ++threads) {
        SCOPED_TRACE(testing::Message() << hwy::TargetName(target) << ", threads: " << threads);
        Eigenpairs pairs =
            LargestEigenpairs(one.matrix.upper, size, one.count, threads, one.rank).ValueOrDie();
        if (!first) first = pairs;
        EXPECT_TRUE(pairs.values == first->values);
        EXPECT_TRUE(pairs.vectors == first->vectors);
      }
    }
  }
}

}  // namespace
}  // namespace pomona::reduce
