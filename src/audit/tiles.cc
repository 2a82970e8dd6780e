#include "tiles.h"

#include <algorithm>
#include <atomic>
#include <functional>
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
  explicit Nearest(size_t count) : count_(count) {}

  bool full() const { return rows_.size() == count_; }
  double least() const { return rows_.front().product; }

  void Add(NearRow row) {
    if (full() && !Before(row, rows_.front())) return;
    rows_.push_back(row);
    std::ranges::push_heap(rows_, Before);
    if (rows_.size() <= count_) return;
    std::ranges::pop_heap(rows_, Before);
    rows_.pop_back();
  }

  std::span<const NearRow> Sorted() {
    std::ranges::sort(rows_, Before);
    return rows_;
  }

 private:
  static bool Before(const NearRow& a, const NearRow& b) {
    return std::tie(b.product, a.row) < std::tie(a.product, b.row);
  }

  size_t count_;
  std::vector<NearRow> rows_;
};

}  // namespace

Tiles::Tiles(std::span<const float> vectors, size_t dimensions)
    : dimensions_(dimensions),
      count_(vectors.size() / dimensions),
      tiles_((count_ + kTile - 1) / kTile),
      rows_(tiles_ * kTile, kNoRow),
      vectors_(hwy::AllocateAligned<float>(tiles_ * dimensions * kTile)),
      boxes_(tiles_ * 2 * dimensions) {
  if (!vectors_) throw std::bad_alloc();
  std::iota(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(count_), 0U);
  Cut(vectors, 0, count_);
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
  for (size_t place = 0; place < filled(tile); ++place) {
    const float* const vector = vectors.data() + row(tile, place) * dimensions_;
    for (size_t d = 0; d < dimensions_; ++d) {
      target[d * kTile + place] = vector[d];
      least[d] = std::min(least[d], vector[d]);
      most[d] = std::max(most[d], vector[d]);
    }
  }
}

// Of vectors not longer than 1, |a - b|^2 <= 2 - 2 ab.
float Tiles::MostOf(size_t a, const Tiles& others, size_t b) const {
  const float* const least_a = boxes_.data() + a * 2 * dimensions_;
  const float* const least_b = others.boxes_.data() + b * 2 * dimensions_;
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
      const size_t count = FindPairs(tiles.vectors(a), tiles.filled(a), tiles.vectors(b),
                                     tiles.dimensions(), thresholds.data(), pairs.data(), cpu);
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

arrow::Status ForEachNearest(const Tiles& of, const Tiles& among, size_t count,
                             const ExactProduct& exact, int threads, CancelToken cancel,
                             const UseNearest& use, const TilesDone& poll, Cpu cpu) {
  std::atomic<int64_t> done = 0;
  struct Worker {
    std::vector<TilePair> pairs = std::vector<TilePair>(kTile * kTile);
    std::vector<Nearest> nearest;
    std::vector<std::pair<float, size_t>> order;  // what the tiles can have at most, and which
  };
  std::vector<Worker> workers(static_cast<size_t>(threads));
  const auto compare = [&](size_t a, int thread) -> arrow::Status {
    Worker& worker = workers[static_cast<size_t>(thread)];
    worker.nearest.assign(kTile, Nearest(count));
    worker.order.clear();
    for (size_t b = 0; b < among.size(); ++b) {
      worker.order.emplace_back(-of.MostOf(a, among, b), b);
    }
    std::ranges::sort(worker.order);
    constexpr float kAny = -2, kNone = 2;
    std::vector<float> thresholds(kTile, kNone);
    // What a product has to reach to count.
    const auto threshold = [&](size_t place) {
      const Nearest& nearest = worker.nearest[place];
      return nearest.full() ? static_cast<float>(nearest.least() - exact.margin) : kAny;
    };
    for (const auto& [negative, b] : worker.order) {
      float least = kNone;
      for (size_t place = 0; place < of.filled(a); ++place) {
        thresholds[place] = threshold(place);
        least = std::min(least, thresholds[place]);
      }
      if (-negative < least) break;
      const size_t found = FindPairs(of.vectors(a), of.filled(a), among.vectors(b), of.dimensions(),
                                     thresholds.data(), worker.pairs.data(), cpu);
      const auto pairs = std::span(worker.pairs).first(found);
      // The most promising ones leave the fewest others to calculate.
      if (exact.of) std::ranges::sort(pairs, std::greater(), &TilePair::product);
      for (const TilePair& pair : pairs) {
        const uint32_t row = among.row(b, pair.b);
        if (row == Tiles::kNoRow || (&of == &among && row == of.row(a, pair.a))) continue;
        double product = pair.product;
        if (exact.of) {
          if (pair.product < threshold(pair.a)) continue;
          ARROW_ASSIGN_OR_RAISE(product, exact.of(of.row(a, pair.a), row, thread));
        }
        worker.nearest[pair.a].Add({product, row});
      }
    }
    for (size_t place = 0; place < of.filled(a); ++place) {
      ARROW_RETURN_NOT_OK(use(of.row(a, place), worker.nearest[place].Sorted(), thread));
    }
    ++done;
    return arrow::Status::OK();
  };
  return ParallelFor(of.size(), threads, cancel, compare, [&] { poll(done); });
}

}  // namespace pomona::audit
