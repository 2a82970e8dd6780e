#include "tiles.h"

#include <algorithm>
#include <atomic>
#include <new>
#include <numeric>
#include <tuple>

#include "tasks.h"

namespace pomona::audit {
namespace {

// What the box of a tile may be off by.
constexpr float kBoxMargin = 1e-5F;

// The nearest of a row so far, the last of them on top.
class Nearest {
 public:
  struct Row {
    float product;
    uint32_t row;
  };

  explicit Nearest(size_t count) : count_(count) {}

  bool full() const { return rows_.size() == count_; }
  float least() const { return rows_.front().product; }

  void Add(Row row) {
    if (full() && !Before(row, rows_.front())) return;
    rows_.push_back(row);
    std::ranges::push_heap(rows_, Before);
    if (rows_.size() <= count_) return;
    std::ranges::pop_heap(rows_, Before);
    rows_.pop_back();
  }

  std::span<const Row> Sorted() {
    std::ranges::sort(rows_, Before);
    return rows_;
  }

 private:
  static bool Before(const Row& a, const Row& b) {
    return std::tie(b.product, a.row) < std::tie(a.product, b.row);
  }

  size_t count_;
  std::vector<Row> rows_;
};

}  // namespace

Tiles::Tiles(std::span<const float> vectors, size_t dimensions)
    : dimensions_(dimensions),
      tiles_((vectors.size() / dimensions + kTile - 1) / kTile),
      rows_(tiles_ * kTile, kNoRow),
      vectors_(hwy::AllocateAligned<float>(tiles_ * dimensions * kTile)),
      boxes_(tiles_ * 2 * dimensions) {
  if (!vectors_) throw std::bad_alloc();
  const size_t count = vectors.size() / dimensions;
  std::iota(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(count), 0U);
  Cut(vectors, 0, count);
  for (size_t tile = 0; tile < tiles_; ++tile) Fill(vectors, tile);
}

// Orders the rows of whole tiles [first, last).
void Tiles::Cut(std::span<const float> vectors, size_t first, size_t last) {
  if (last - first <= kTile) return;
  std::vector<float> least(dimensions_, std::numeric_limits<float>::max());
  std::vector<float> most(dimensions_, std::numeric_limits<float>::lowest());
  for (size_t i = first; i < last; ++i) {
    const float* const vector = vectors.data() + rows_[i] * dimensions_;
    for (size_t d = 0; d < dimensions_; ++d) {
      least[d] = std::min(least[d], vector[d]);
      most[d] = std::max(most[d], vector[d]);
    }
  }
  size_t widest = 0;
  for (size_t d = 1; d < dimensions_; ++d) {
    if (most[d] - least[d] > most[widest] - least[widest]) widest = d;
  }
  const size_t middle = first + (last - first + kTile) / (2 * kTile) * kTile;
  const auto at = [&](size_t i) { return rows_.begin() + static_cast<ptrdiff_t>(i); };
  std::nth_element(at(first), at(middle), at(last), [&](uint32_t a, uint32_t b) {
    const float left = vectors[a * dimensions_ + widest], right = vectors[b * dimensions_ + widest];
    return std::tie(left, a) < std::tie(right, b);
  });
  Cut(vectors, first, middle);
  Cut(vectors, middle, last);
}

void Tiles::Fill(std::span<const float> vectors, size_t tile) {
  float* const target = vectors_.get() + tile * dimensions_ * kTile;
  float* const least = boxes_.data() + tile * 2 * dimensions_;
  float* const most = least + dimensions_;
  std::fill_n(target, dimensions_ * kTile, 0.0F);
  std::fill_n(least, dimensions_, std::numeric_limits<float>::max());
  std::fill_n(most, dimensions_, std::numeric_limits<float>::lowest());
  for (size_t place = 0; place < kTile && row(tile, place) != kNoRow; ++place) {
    const float* const vector = vectors.data() + row(tile, place) * dimensions_;
    for (size_t d = 0; d < dimensions_; ++d) {
      target[d * kTile + place] = vector[d];
      least[d] = std::min(least[d], vector[d]);
      most[d] = std::max(most[d], vector[d]);
    }
  }
}

// Of vectors not longer than 1, |a - b|^2 <= 2 - 2 ab.
float Tiles::MostOf(size_t a, size_t b) const {
  const float* const least_a = boxes_.data() + a * 2 * dimensions_;
  const float* const least_b = boxes_.data() + b * 2 * dimensions_;
  const float *const most_a = least_a + dimensions_, *const most_b = least_b + dimensions_;
  float squares = 0;
  for (size_t d = 0; d < dimensions_; ++d) {
    const float gap = std::max({0.0F, least_a[d] - most_b[d], least_b[d] - most_a[d]});
    squares += gap * gap;
  }
  return 1 - squares / 2 + kBoxMargin;
}

arrow::Status ForEachPair(const Tiles& tiles, float product, int threads, CancelToken cancel,
                          const UsePair& use, const TilesDone& poll, Cpu cpu) {
  std::atomic<int64_t> done = 0;
  std::vector<float> thresholds(kTile, product);
  std::vector<std::vector<TilePair>> found(static_cast<size_t>(threads));
  const auto compare = [&](size_t a, int thread) -> arrow::Status {
    auto& pairs = found[static_cast<size_t>(thread)];
    pairs.resize(kTile * kTile);
    for (size_t b = a; b < tiles.size(); ++b) {
      if (tiles.MostOf(a, b) < product) continue;
      const size_t count = FindPairs(tiles.vectors(a), tiles.vectors(b), tiles.dimensions(),
                                     thresholds.data(), pairs.data(), cpu);
      for (const TilePair& pair : std::span(pairs).first(count)) {
        if (a == b && pair.a >= pair.b) continue;
        const uint32_t row_a = tiles.row(a, pair.a), row_b = tiles.row(b, pair.b);
        if (row_a == Tiles::kNoRow || row_b == Tiles::kNoRow) continue;
        ARROW_RETURN_NOT_OK(use(std::min(row_a, row_b), std::max(row_a, row_b), thread));
      }
    }
    ++done;
    return arrow::Status::OK();
  };
  return ParallelFor(tiles.size(), threads, cancel, compare, [&] { poll(done); });
}

arrow::Status ForEachNearest(const Tiles& tiles, size_t count, int threads, CancelToken cancel,
                             const UseNearest& use, const TilesDone& poll, Cpu cpu) {
  std::atomic<int64_t> done = 0;
  struct Worker {
    std::vector<TilePair> pairs = std::vector<TilePair>(kTile * kTile);
    std::vector<Nearest> nearest;
    std::vector<std::pair<float, size_t>> order;  // what the tiles can have at most, and which
    std::vector<uint32_t> rows;
  };
  std::vector<Worker> workers(static_cast<size_t>(threads));
  const auto compare = [&](size_t a, int thread) -> arrow::Status {
    Worker& worker = workers[static_cast<size_t>(thread)];
    worker.nearest.assign(kTile, Nearest(count));
    worker.order.clear();
    for (size_t b = 0; b < tiles.size(); ++b) worker.order.emplace_back(-tiles.MostOf(a, b), b);
    std::ranges::sort(worker.order);
    constexpr float kAny = -2, kNone = 2;
    std::vector<float> thresholds(kTile, kNone);
    for (const auto& [negative, b] : worker.order) {
      float least = kNone;  // that a product has to reach to count
      for (size_t place = 0; place < kTile && tiles.row(a, place) != Tiles::kNoRow; ++place) {
        const Nearest& nearest = worker.nearest[place];
        thresholds[place] = nearest.full() ? nearest.least() : kAny;
        least = std::min(least, thresholds[place]);
      }
      if (-negative < least) break;
      const size_t found = FindPairs(tiles.vectors(a), tiles.vectors(b), tiles.dimensions(),
                                     thresholds.data(), worker.pairs.data(), cpu);
      for (const TilePair& pair : std::span(worker.pairs).first(found)) {
        const uint32_t row = tiles.row(b, pair.b);
        if (row == Tiles::kNoRow || row == tiles.row(a, pair.a)) continue;
        worker.nearest[pair.a].Add({pair.product, row});
      }
    }
    for (size_t place = 0; place < kTile && tiles.row(a, place) != Tiles::kNoRow; ++place) {
      worker.rows.clear();
      for (const auto& near : worker.nearest[place].Sorted()) worker.rows.push_back(near.row);
      ARROW_RETURN_NOT_OK(use(tiles.row(a, place), worker.rows, thread));
    }
    ++done;
    return arrow::Status::OK();
  };
  return ParallelFor(tiles.size(), threads, cancel, compare, [&] { poll(done); });
}

}  // namespace pomona::audit
