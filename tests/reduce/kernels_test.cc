#include "reduce/kernels.h"

#include <gtest/gtest.h>

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "instruction_sets.h"
#include "reduce/random_rows.h"

namespace pomona::reduce {
namespace {

// What kernels.h promises, written down plainly.
void PlainAddBlock(std::span<const float> rows, size_t dimensions, std::span<double> mean,
                   std::span<double> triangle) {
  const size_t n = rows.size() / dimensions;
  for (size_t j = 0; j < dimensions; ++j) {
    mean[j] = 0;
    for (size_t r = 0; r < n; ++r) mean[j] += rows[r * dimensions + j];
    mean[j] /= static_cast<double>(n);
  }
  size_t next = 0;
  for (size_t i = 0; i < dimensions; ++i) {
    for (size_t j = i; j < dimensions; ++j, ++next) {
      for (size_t first = 0; first < n; first += kChunkRows) {
        double sum = 0;
        for (size_t r = first; r < std::min(n, first + kChunkRows); ++r) {
          sum =
              std::fma(rows[r * dimensions + i] - mean[i], rows[r * dimensions + j] - mean[j], sum);
        }
        triangle[next] += sum;
      }
    }
  }
}

double PlainProjection(std::span<const float> row, std::span<const double> mean,
                       std::span<const double> scale, std::span<const double> component) {
  double sum = 0;
  for (size_t j = 0; j < row.size(); ++j) {
    double x = row[j];
    if (!mean.empty()) x -= mean[j];
    if (!scale.empty()) x /= scale[j];
    sum = std::fma(x, component[j], sum);
  }
  return sum;
}

// Runs each case on every instruction set that this CPU and this build have.
class KernelsTest : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { UseInstructionSet(GetParam()); }
  void TearDown() override { UseInstructionSet(0); }
};

INSTANTIATE_TEST_SUITE_P(, KernelsTest, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()),
                         [](const auto& target) { return hwy::TargetName(target.param); });

TEST_P(KernelsTest, AddBlockGivesThePlainLoopsBits) {
  struct Shape {
    size_t n, dimensions;
  };
  for (const auto& [n, dimensions] : {Shape{1, 1},
                                      {1, 30},
                                      {2, 2},
                                      {7, 23},
                                      {9, 24},
                                      {255, 25},
                                      {256, 12},
                                      {257, 49},
                                      {600, 50},
                                      {300, 530}}) {
    SCOPED_TRACE(testing::Message() << n << " x " << dimensions);
    const std::vector<float> rows = RandomRows(n, dimensions, 1);
    std::vector<double> mean(dimensions), plain_mean(dimensions);
    // Not zero at first: a block is added to what is there.
    std::vector<double> triangle(dimensions * (dimensions + 1) / 2, 0.125);
    std::vector<double> plain_triangle = triangle;
    AddBlock(rows.data(), n, dimensions, mean.data(), triangle.data());
    PlainAddBlock(rows, dimensions, plain_mean, plain_triangle);
    EXPECT_EQ(mean, plain_mean);
    EXPECT_TRUE(triangle == plain_triangle);
  }
}

TEST_P(KernelsTest, ProjectRowsGivesThePlainLoopsBits) {
  for (const size_t components : {1, 2, 7, 8, 24, 25, 50, 60}) {
    for (const size_t n : {1, 7, 8, 19}) {
      for (const bool center : {false, true}) {
        for (const bool standardize : {false, true}) {
          SCOPED_TRACE(testing::Message() << n << " rows, " << components << " components");
          const size_t dimensions = 61;
          const std::vector<float> rows = RandomRows(n, dimensions, 1);
          const std::vector<float> noise = RandomRows(components + 2, dimensions, 2);
          const std::vector<double> basis(noise.begin() + 2 * dimensions, noise.end());
          std::vector<double> mean, scale;
          if (center) mean.assign(noise.begin(), noise.begin() + dimensions);
          if (standardize) {
            for (size_t j = 0; j < dimensions; ++j) scale.push_back(0.5 + noise[dimensions + j]);
          }
          std::vector<double> out(n * components);
          ProjectRows(rows.data(), n, dimensions, center ? mean.data() : nullptr,
                      standardize ? scale.data() : nullptr, basis.data(), components, out.data());
          for (size_t r = 0; r < n; ++r) {
            for (size_t c = 0; c < components; ++c) {
              EXPECT_EQ(
                  out[r * components + c],
                  PlainProjection(std::span(rows).subspan(r * dimensions, dimensions), mean, scale,
                                  std::span(basis).subspan(c * dimensions, dimensions)));
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace pomona::reduce
