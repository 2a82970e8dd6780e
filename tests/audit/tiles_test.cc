#include "tiles.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "reduce/random_rows.h"

namespace pomona::audit {
namespace {

constexpr size_t kDimensions = 6;

// In clusters, so that tiles lie apart; some equal, some zero.
std::vector<float> Vectors(size_t count) {
  std::vector<float> vectors = RandomRows(count, kDimensions, 5);
  for (size_t row = 0; row < count; ++row) {
    float* const vector = &vectors[row * kDimensions];
    for (size_t d = 0; d < kDimensions; ++d) vector[d] = 0.1F * (vector[d] - 0.5F);
    vector[row % 3] += row % 2 == 0 ? 1 : -1;
    if (row % 50 == 7) std::copy_n(&vectors[0], kDimensions, vector);
    if (row % 97 == 8) std::fill_n(vector, kDimensions, 0.0F);
    double squares = 0;
    for (size_t d = 0; d < kDimensions; ++d) squares += vector[d] * vector[d];
    if (squares == 0) continue;
    for (size_t d = 0; d < kDimensions; ++d) vector[d] /= static_cast<float>(std::sqrt(squares));
  }
  return vectors;
}

float Product(const std::vector<float>& vectors, size_t a, size_t b) {
  float sum = 0;
  for (size_t d = 0; d < kDimensions; ++d) {
    sum = std::fma(vectors[a * kDimensions + d], vectors[b * kDimensions + d], sum);
  }
  return sum;
}

using Pairs = std::multiset<std::pair<uint32_t, uint32_t>>;

// What ForEachPair() hands over; sees that each thread has a number, and that all tiles are told of.
Pairs PairsOf(const Tiles& of, const Tiles& among, float least, int threads) {
  Pairs found;
  std::mutex mutex;
  int64_t done = 0;
  const auto use = [&](uint32_t a, uint32_t b, int thread) {
    const std::lock_guard lock(mutex);
    EXPECT_LT(thread, threads);
    found.emplace(a, b);
    return arrow::Status::OK();
  };
  const auto poll = [&](int64_t tiles_done) { done = tiles_done; };
  EXPECT_TRUE(ForEachPair(of, among, least, threads, {}, use, poll).ok());
  EXPECT_EQ(done, static_cast<int64_t>(of.size()));
  return found;
}

TEST(TilesTest, HoldEachRowOnce) {
  for (const size_t count : {size_t{1}, kTile - 1, kTile, kTile + 1, size_t{1000}}) {
    const Tiles tiles(Vectors(count), kDimensions);
    EXPECT_EQ(tiles.size(), (count + kTile - 1) / kTile);
    std::multiset<uint32_t> rows;
    for (size_t tile = 0; tile < tiles.size(); ++tile) {
      for (size_t place = 0; place < kTile; ++place) {
        if (tiles.row(tile, place) != Tiles::kNoRow) rows.insert(tiles.row(tile, place));
      }
    }
    EXPECT_EQ(rows.size(), count);
    EXPECT_EQ(*rows.rbegin(), count - 1);
    EXPECT_EQ(std::set<uint32_t>(rows.begin(), rows.end()).size(), count);
  }
}

TEST(TilesTest, BoundsHoldAndLeaveTilesOut) {
  const std::vector<float> vectors = Vectors(1500);
  const Tiles tiles(vectors, kDimensions);
  int apart = 0;
  for (size_t a = 0; a < tiles.size(); ++a) {
    for (size_t b = 0; b < tiles.size(); ++b) {
      const float most = tiles.MostOf(tiles.node_of(a), tiles, tiles.node_of(b));
      apart += most < 0.9F;
      for (size_t i = 0; i < kTile; ++i) {
        for (size_t j = 0; j < kTile; ++j) {
          if (tiles.row(a, i) == Tiles::kNoRow || tiles.row(b, j) == Tiles::kNoRow) continue;
          ASSERT_LE(Product(vectors, tiles.row(a, i), tiles.row(b, j)), most);
        }
      }
    }
  }
  EXPECT_GT(apart, 0);
}

TEST(TilesTest, PairsAreThoseOfComparingEachWithEach) {
  const std::vector<float> vectors = Vectors(700);
  const Tiles tiles(vectors, kDimensions);
  for (const float least : {0.5F, 0.95F, 0.999F}) {
    Pairs expected;
    for (uint32_t a = 0; a < 700; ++a) {
      for (uint32_t b = a + 1; b < 700; ++b) {
        if (Product(vectors, a, b) >= least) expected.emplace(a, b);
      }
    }
    for (const int threads : {1, 3}) {
      EXPECT_EQ(PairsOf(tiles, tiles, least, threads), expected) << least;
    }
  }
}

TEST(TilesTest, PairsOfTwoAreThoseOfComparingEachWithEach) {
  const std::vector<float> vectors = Vectors(700);
  const std::vector<float> others(vectors.begin(), vectors.begin() + 330 * kDimensions);
  const Tiles of(vectors, kDimensions), among(others, kDimensions);
  for (const float least : {0.5F, 0.999F}) {
    Pairs expected;
    for (uint32_t a = 0; a < 700; ++a) {
      for (uint32_t b = 0; b < 330; ++b) {
        if (Product(vectors, a, b) >= least) expected.emplace(a, b);
      }
    }
    EXPECT_EQ(PairsOf(of, among, least, 2), expected) << least;
  }
}

TEST(TilesTest, NearestAreThoseOfComparingEachWithEach) {
  for (const uint32_t count : {uint32_t{1}, uint32_t{4}, uint32_t{500}}) {
    const std::vector<float> vectors = Vectors(count);
    const Tiles tiles(vectors, kDimensions);
    constexpr size_t kNearest = 7;
    std::vector<std::vector<uint32_t>> found(count);
    std::mutex mutex;
    ASSERT_TRUE(ForEachNearest(
                    tiles, tiles, kNearest, {}, 2, {},
                    [&](uint32_t row, std::span<const NearRow> nearest, int) {
                      const std::lock_guard lock(mutex);
                      EXPECT_TRUE(found[row].empty());
                      for (const NearRow& near : nearest) found[row].push_back(near.row);
                      return arrow::Status::OK();
                    },
                    [](int64_t) {})
                    .ok());
    for (uint32_t a = 0; a < count; ++a) {
      std::vector<std::pair<float, uint32_t>> all;
      for (uint32_t b = 0; b < count; ++b) {
        if (b != a) all.emplace_back(-Product(vectors, a, b), b);
      }
      std::ranges::sort(all);
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < std::min(kNearest, all.size()); ++i) expected.push_back(all[i].second);
      ASSERT_EQ(found[a], expected) << a;
    }
  }
}

// Of other vectors, by numbers that the products only bound.
TEST(TilesTest, NearestByExactProducts) {
  const std::vector<float> all = Vectors(650);
  const std::vector<float> vectors(all.begin() + 250 * kDimensions, all.end());
  const std::vector<float> queries(all.begin(), all.begin() + 250 * kDimensions);
  constexpr double kSlack = 0.01;  // by how much a product may fall short
  const auto exact = [&](uint32_t a, uint32_t b) {
    double sum = 0;
    for (size_t d = 0; d < kDimensions; ++d) {
      sum += double{queries[a * kDimensions + d]} * vectors[b * kDimensions + d];
    }
    // Coarse, so that many are equal; far below the product, or a little above.
    return std::floor(10 * sum) / 10 - (a * 31 + b * 17) % 5 * 0.2 +
           ((a + b) % 3 == 0 ? kSlack : 0);
  };
  const Tiles of(queries, kDimensions), among(vectors, kDimensions);
  for (const size_t count : {size_t{1}, size_t{9}, size_t{400}}) {
    std::vector<std::vector<uint32_t>> found(250);
    ASSERT_TRUE(ForEachNearest(
                    of, among, count,
                    {[&](uint32_t a, uint32_t b, int) { return exact(a, b); }, kSlack}, 2, {},
                    [&](uint32_t row, std::span<const NearRow> nearest, int) {
                      for (const NearRow& near : nearest) {
                        EXPECT_EQ(near.product, exact(row, near.row));
                        found[row].push_back(near.row);
                      }
                      return arrow::Status::OK();
                    },
                    [](int64_t) {})
                    .ok());
    for (uint32_t a = 0; a < 250; ++a) {
      std::vector<std::pair<double, uint32_t>> sorted;
      for (uint32_t b = 0; b < 400; ++b) sorted.emplace_back(-exact(a, b), b);
      std::ranges::sort(sorted);
      std::vector<uint32_t> expected;
      for (size_t i = 0; i < count; ++i) expected.push_back(sorted[i].second);
      ASSERT_EQ(found[a], expected) << a;
    }
  }
}

TEST(TilesTest, AFailureEndsTheWork) {
  const Tiles tiles(Vectors(300), kDimensions);
  const auto fail = [](uint32_t, uint32_t, int) { return arrow::Status::IOError("no"); };
  EXPECT_EQ(ForEachPair(tiles, tiles, -1, 2, {}, fail, [](int64_t) {}).message(), "no");
  const std::atomic<bool> cancelled = true;
  EXPECT_TRUE(ForEachPair(tiles, tiles, -1, 2, CancelToken(&cancelled), fail, [](int64_t) {
              }).IsCancelled());
}

}  // namespace
}  // namespace pomona::audit
