// Short vectors in a tree of tiles of neighbours, so that most tiles need not be compared at all.
#pragma once

#include <hwy/aligned_allocator.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <span>
#include <vector>

#include <arrow/result.h>

#include "kernels.h"
#include "pomona/cancel.h"
#include "pomona/cpu.h"

namespace pomona::audit {

// Rows are cut in halves by the dimension in which they spread most, and these again, down to tiles
// of kTile: a tree, each node of which knows the box that its rows fill. Two nodes whose boxes lie
// too far apart have no pair that is near.
//
// Threads: safe to share once made.
class Tiles {
 public:
  // Two halves, of which the first is the node that follows, or one tile.
  struct Node {
    uint32_t first_tile = 0;
    uint32_t end_tile = 0;  // behind the last
    uint32_t second_half = 0;

    bool is_tile() const { return end_tile - first_tile == 1; }
  };

  // vectors: n x dimensions, none longer than 1.
  Tiles(std::span<const float> vectors, size_t dimensions);

  size_t size() const { return tiles_; }
  size_t dimensions() const { return dimensions_; }

  // The root is node 0; of no rows there is none.
  std::span<const Node> nodes() const { return nodes_; }
  uint32_t node_of(size_t tile) const { return node_of_[tile]; }

  // The row that stands at a place of a tile; kNoRow where the last places are not filled.
  uint32_t row(size_t tile, size_t place) const { return rows_[tile * kTile + place]; }
  size_t filled(size_t tile) const { return std::min(kTile, count_ - tile * kTile); }
  static constexpr uint32_t kNoRow = std::numeric_limits<uint32_t>::max();

  // As FindPairs() takes them.
  const float* vectors(size_t tile) const { return vectors_.get() + tile * dimensions_ * kTile; }

  // The product of a vector of node a and one of node b of others is at most this, but for rounding.
  float MostOf(size_t a, const Tiles& others, size_t b) const;

 private:
  void Grow(std::span<const float> vectors, size_t first_tile, size_t end_tile);
  std::span<uint32_t> RowsOf(const Node& node);
  void Measure(std::span<const float> vectors, size_t node);
  size_t Cut(std::span<const float> vectors, size_t node);
  void Fill(std::span<const float> vectors, size_t tile);

  // Of a node: the least value in each dimension, then the largest.
  float* box(size_t node) { return boxes_.data() + node * 2 * dimensions_; }
  const float* box(size_t node) const { return boxes_.data() + node * 2 * dimensions_; }

  const size_t dimensions_;
  const size_t count_;  // of rows
  const size_t tiles_;
  std::vector<uint32_t> rows_;
  hwy::AlignedFreeUniquePtr<float[]> vectors_;
  std::vector<Node> nodes_;
  std::vector<uint32_t> node_of_;  // by tile
  std::vector<float> boxes_;       // by node
};

// Hears how many tiles were compared, on the calling thread.
using TilesDone = std::function<void(int64_t done)>;

// Hands over every pair of a row a of `of` and a row b of `among` whose product is at least `product`,
// on any of the threads, of which `thread` is the number; where both are the same, each pair once,
// a < b. Order: none. Errors: `use`'s; Cancelled.
using UsePair = std::function<arrow::Status(uint32_t a, uint32_t b, int thread)>;
arrow::Status ForEachPair(const Tiles& of, const Tiles& among, float product, int threads,
                          CancelToken cancel, const UsePair& use, const TilesDone& poll,
                          Cpu cpu = Cpu::kBest);

// Another row, and how near it is: the more, the nearer.
struct NearRow {
  double product = 0;
  uint32_t row = 0;
};

// What the products of short vectors only bound. Null: they themselves count.
struct ExactProduct {
  // Of a row of `of` and one of `among`, on any of the threads.
  std::function<arrow::Result<double>(uint32_t a, uint32_t b, int thread)> of = {};

  // It is above the product of their vectors by no more than this.
  double margin = 0;
};

// Hands over for each row of `of` the `count` rows of `among` whose (exact) products with it are
// largest, that first; of equal ones the first row comes first. Fewer where there are no more rows.
// Where both are the same, the row itself is none of them. Threads, errors: as above.
using UseNearest =
    std::function<arrow::Status(uint32_t row, std::span<const NearRow> nearest, int thread)>;
arrow::Status ForEachNearest(const Tiles& of, const Tiles& among, size_t count,
                             const ExactProduct& exact, int threads, CancelToken cancel,
                             const UseNearest& use, const TilesDone& poll, Cpu cpu = Cpu::kBest);

}  // namespace pomona::audit
