#include "audit/kernels.h"

#include <gtest/gtest.h>

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <tuple>
#include <vector>

#include "instruction_sets.h"
#include "reduce/random_rows.h"

namespace pomona::audit {
namespace {

using KernelsTest = InstructionSetsTest;

// [dimension][place]
hwy::AlignedFreeUniquePtr<float[]> TileOf(size_t dimensions, uint32_t seed) {
  const std::vector<float> values = RandomRows(dimensions, kTile, seed);
  auto tile = hwy::AllocateAligned<float>(values.size());
  std::ranges::copy(values, tile.get());
  return tile;
}

TEST_F(KernelsTest, PairsAreThoseOfFusedMultiplyAddsOnEveryCpu) {
  constexpr size_t kDimensions = 53;
  const auto a = TileOf(kDimensions, 1), b = TileOf(kDimensions, 2);
  std::vector<float> products(kTile * kTile);
  for (size_t i = 0; i < kTile; ++i) {
    for (size_t j = 0; j < kTile; ++j) {
      float sum = 0;
      for (size_t d = 0; d < kDimensions; ++d) {
        sum = std::fma(a[d * kTile + i], b[d * kTile + j], sum);
      }
      products[i * kTile + j] = sum;
    }
  }
  // Of each row about half, some all, some none; one of them exactly reached.
  std::vector<float> thresholds(kTile);
  for (size_t i = 0; i < kTile; ++i) thresholds[i] = products[i * kTile + i];
  thresholds[3] = -1;
  thresholds[4] = 1e9F;
  using Found = std::set<std::tuple<uint32_t, uint32_t, float>>;
  Found expected;
  for (uint32_t i = 0; i < kTile; ++i) {
    for (uint32_t j = 0; j < kTile; ++j) {
      const float product = products[i * kTile + j];
      if (product >= thresholds[i]) expected.emplace(i, j, product);
    }
  }
  ASSERT_GT(expected.size(), kTile);
  ASSERT_LT(expected.size(), kTile * kTile);
  for (const int64_t target : targets_) {
    Use(target);
    std::vector<TilePair> pairs(kTile * kTile);
    const size_t count =
        FindPairs(a.get(), kTile, b.get(), kDimensions, thresholds.data(), pairs.data());
    Found found;
    for (size_t p = 0; p < count; ++p) found.emplace(pairs[p].a, pairs[p].b, pairs[p].product);
    EXPECT_EQ(found.size(), count) << hwy::TargetName(target);
    EXPECT_EQ(found, expected) << hwy::TargetName(target);

    // Of the first vectors of a alone.
    constexpr uint32_t kFirst = 13;
    const size_t fewer =
        FindPairs(a.get(), kFirst, b.get(), kDimensions, thresholds.data(), pairs.data());
    const auto is_first = [](const auto& pair) { return std::get<0>(pair) < kFirst; };
    Found first;
    for (size_t p = 0; p < fewer; ++p) first.emplace(pairs[p].a, pairs[p].b, pairs[p].product);
    EXPECT_EQ(std::ranges::count_if(first, is_first), std::ranges::count_if(expected, is_first));
    EXPECT_TRUE(std::ranges::includes(expected, first));
    EXPECT_LT(fewer, expected.size());
  }
}

TEST_F(KernelsTest, DotIsTheSameOnEveryCpuAtAnyLength) {
  for (const size_t n : {size_t{0}, size_t{1}, size_t{15}, size_t{16}, size_t{47}, size_t{1280}}) {
    const std::vector<float> a = RandomRows(1, std::max<size_t>(n, 1), 3);
    const std::vector<float> b = RandomRows(1, std::max<size_t>(n, 1), 4);
    double sums[16] = {};
    for (size_t i = 0; i < n; ++i) sums[i % 16] += double{a[i]} * double{b[i]};
    for (size_t half = 8; half > 0; half /= 2) {
      for (size_t s = 0; s < half; ++s) sums[s] += sums[s + half];
    }
    for (const int64_t target : targets_) {
      Use(target);
      EXPECT_EQ(Dot(a.data(), b.data(), n), sums[0]) << n << ' ' << hwy::TargetName(target);
    }
  }
}

}  // namespace
}  // namespace pomona::audit
