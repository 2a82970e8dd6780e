#include "tiles.h"

#include <algorithm>
#include <atomic>
#include <functional>
#include <new>
#include <numeric>
#include <tuple>
#include <utility>

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
      node_of_(tiles_) {
  if (!vectors_) throw std::bad_alloc();
  if (tiles_ == 0) return;
  nodes_.reserve(2 * tiles_ - 1);
  boxes_.resize((2 * tiles_ - 1) * 2 * dimensions);
  std::iota(rows_.begin(), rows_.begin() + static_cast<ptrdiff_t>(count_), 0U);
  Grow(vectors, 0, tiles_);
}

// Adds the node of some tiles and those below it.
void Tiles::Grow(std::span<const float> vectors, size_t first_tile, size_t end_tile) {
  const size_t node = nodes_.size();
  nodes_.push_back({static_cast<uint32_t>(first_tile), static_cast<uint32_t>(end_tile)});
  Measure(vectors, node);
  if (nodes_[node].is_tile()) {
    node_of_[first_tile] = static_cast<uint32_t>(node);
    Fill(vectors, first_tile);
    return;
  }
  const size_t middle = Cut(vectors, node);
  Grow(vectors, first_tile, middle);
  nodes_[node].second_half = static_cast<uint32_t>(nodes_.size());
  Grow(vectors, middle, end_tile);
}

std::span<uint32_t> Tiles::RowsOf(const Node& node) {
  const size_t first = node.first_tile * kTile, last = std::min(node.end_tile * kTile, count_);
  return std::span(rows_).subspan(first, last - first);
}

// Finds the box of a node.
void Tiles::Measure(std::span<const float> vectors, size_t node) {
  float *const least = box(node), *const most = least + dimensions_;
  std::fill_n(least, dimensions_, std::numeric_limits<float>::max());
  std::fill_n(most, dimensions_, std::numeric_limits<float>::lowest());
  for (const uint32_t row : RowsOf(nodes_[node])) {
    const float* const vector = vectors.data() + row * dimensions_;
    for (size_t d = 0; d < dimensions_; ++d) {
      least[d] = std::min(least[d], vector[d]);
      most[d] = std::max(most[d], vector[d]);
    }
  }
}

// Parts the rows of a node by the dimension in which they spread most. Returns the second half's first
// tile.
size_t Tiles::Cut(std::span<const float> vectors, size_t node) {
  const float *const least = box(node), *const most = least + dimensions_;
  size_t widest = 0;
  for (size_t d = 1; d < dimensions_; ++d) {
    if (most[d] - least[d] > most[widest] - least[widest]) widest = d;
  }
  const size_t first_tile = nodes_[node].first_tile;
  const size_t first_half = (nodes_[node].end_tile - first_tile) / 2;
  const std::span<uint32_t> rows = RowsOf(nodes_[node]);
  const auto middle = rows.begin() + static_cast<ptrdiff_t>(first_half * kTile);
  std::nth_element(rows.begin(), middle, rows.end(), [&](uint32_t a, uint32_t b) {
    const float left = vectors[a * dimensions_ + widest], right = vectors[b * dimensions_ + widest];
    return std::tie(left, a) < std::tie(right, b);
  });
  return first_tile + first_half;
}

void Tiles::Fill(std::span<const float> vectors, size_t tile) {
  float* const target = vectors_.get() + tile * dimensions_ * kTile;
  std::fill_n(target, dimensions_ * kTile, 0.0F);
  for (size_t place = 0; place < filled(tile); ++place) {
    const float* const vector = vectors.data() + row(tile, place) * dimensions_;
    for (size_t d = 0; d < dimensions_; ++d) target[d * kTile + place] = vector[d];
  }
}

// Of vectors not longer than 1, |a - b|^2 <= 2 - 2 ab.
float Tiles::MostOf(size_t a, const Tiles& others, size_t b) const {
  const float *const least_a = box(a), *const most_a = least_a + dimensions_;
  const float *const least_b = others.box(b), *const most_b = least_b + dimensions_;
  // In sums that take turns, so that the compiler makes vectors of them.
  constexpr size_t kSums = 8;
  float sums[kSums] = {};
  const auto add = [&](size_t d, float* sum) {
    const float gap = std::max(0.0F, std::max(least_a[d] - most_b[d], least_b[d] - most_a[d]));
    *sum += gap * gap;
  };
  size_t d = 0;
  for (; d + kSums <= dimensions_; d += kSums) {
    for (size_t i = 0; i < kSums; ++i) add(d + i, &sums[i]);
  }
  for (; d < dimensions_; ++d) add(d, &sums[0]);
  return 1 - std::accumulate(sums, sums + kSums, 0.0F) / 2 + kBoxMargin;
}

arrow::Status ForEachPair(const Tiles& of, const Tiles& among, float product, int threads,
                          CancelToken cancel, const UsePair& use, const TilesDone& poll, Cpu cpu) {
  const bool same = &of == &among;
  std::atomic<int64_t> done = 0;
  std::vector<float> thresholds(kTile, product);
  struct Worker {
    std::vector<TilePair> pairs = std::vector<TilePair>(kTile * kTile);
    std::vector<uint32_t> nodes;  // that may hold a near vector
  };
  std::vector<Worker> workers(static_cast<size_t>(threads));
  const auto compare = [&](size_t a, int thread) -> arrow::Status {
    auto& [pairs, nodes] = workers[static_cast<size_t>(thread)];
    nodes.clear();
    if (among.size() > 0) nodes.push_back(0);
    while (!nodes.empty()) {
      const uint32_t at = nodes.back();
      const Tiles::Node& node = among.nodes()[at];
      nodes.pop_back();
      if (same && node.end_tile <= a) continue;
      if (of.MostOf(of.node_of(a), among, at) < product) continue;
      if (!node.is_tile()) {
        nodes.insert(nodes.end(), {node.second_half, at + 1});
        continue;
      }
      const size_t b = node.first_tile;
      const size_t count = FindPairs(of.vectors(a), of.filled(a), among.vectors(b), of.dimensions(),
                                     thresholds.data(), pairs.data(), cpu);
      for (const TilePair& pair : std::span(pairs).first(count)) {
        if (same && a == b && pair.a >= pair.b) continue;
        uint32_t row_a = of.row(a, pair.a), row_b = among.row(b, pair.b);
        if (row_a == Tiles::kNoRow || row_b == Tiles::kNoRow) continue;
        if (same && row_a > row_b) std::swap(row_a, row_b);
        ARROW_RETURN_NOT_OK(use(row_a, row_b, thread));
      }
    }
    ++done;
    return arrow::Status::OK();
  };
  return ParallelFor(of.size(), threads, cancel, compare, [&] { poll(done); });
}

arrow::Status ForEachNearest(const Tiles& of, const Tiles& among, size_t count,
                             const ExactProduct& exact, int threads, CancelToken cancel,
                             const UseNearest& use, const TilesDone& poll, Cpu cpu) {
  std::atomic<int64_t> done = 0;
  struct Worker {
    std::vector<TilePair> pairs = std::vector<TilePair>(kTile * kTile);
    std::vector<Nearest> nearest;
    // What nodes can have at most, and which they are: those with the most on top.
    std::vector<std::pair<float, uint32_t>> nodes;
  };
  std::vector<Worker> workers(static_cast<size_t>(threads));
  const auto compare = [&](size_t a, int thread) -> arrow::Status {
    Worker& worker = workers[static_cast<size_t>(thread)];
    worker.nearest.assign(kTile, Nearest(count));
    auto& nodes = worker.nodes;
    nodes.clear();
    const auto add = [&](uint32_t node) {
      nodes.emplace_back(of.MostOf(of.node_of(a), among, node), node);
      std::ranges::push_heap(nodes);
    };
    if (among.size() > 0) add(0);
    constexpr float kAny = -2, kNone = 2;
    std::vector<float> thresholds(kTile, kNone);
    // What a product has to reach to count.
    const auto threshold = [&](size_t place) {
      const Nearest& nearest = worker.nearest[place];
      return nearest.full() ? static_cast<float>(nearest.least() - exact.margin) : kAny;
    };
    float least = kAny;
    std::fill_n(thresholds.begin(), of.filled(a), least);
    while (!nodes.empty()) {
      std::ranges::pop_heap(nodes);
      const auto [most, at] = nodes.back();
      nodes.pop_back();
      if (most < least) break;
      const Tiles::Node& node = among.nodes()[at];
      if (!node.is_tile()) {
        add(at + 1);
        add(node.second_half);
        continue;
      }
      const size_t b = node.first_tile;
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
      least = kNone;
      for (size_t place = 0; place < of.filled(a); ++place) {
        thresholds[place] = threshold(place);
        least = std::min(least, thresholds[place]);
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
