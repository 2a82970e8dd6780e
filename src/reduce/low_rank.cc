#include "reduce/low_rank.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>

namespace pomona::reduce {
namespace {

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

size_t RoundUp(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// A packed upper triangle's columns.
class Packed {
 public:
  Packed(std::span<const double> upper, size_t size) : upper_(upper), size_(size) {}

  double at(size_t i, size_t j) const {  // i <= j
    return upper_[i * (2 * size_ - i + 1) / 2 + j - i];
  }

  // out[i * step] for each row i
  void CopyColumn(size_t j, double* out, size_t step) const {
    for (size_t i = 0; i < j; ++i) out[i * step] = at(i, j);
    const double* const row = &upper_[j * (2 * size_ - j + 1) / 2];
    for (size_t i = j; i < size_; ++i) out[i * step] = row[i - j];
  }

 private:
  std::span<const double> upper_;
  size_t size_;
};

// A = L L^T, kBand columns at a time: those whose diagonal has most left.
class PivotedCholesky {
 public:
  PivotedCholesky(std::span<const double> upper, size_t size, size_t rank, Team* team)
      : matrix_(upper, size),
        size_(size),
        rows_(RoundUp(size, kBlock)),
        width_(RoundUp(rank, kBand)),
        l_(AllocateZeros(rows_ * width_)),
        panel_(AllocateZeros(rows_ * kBand)),
        right_(AllocateDoubles(width_ * kBand)),
        left_over_(size),
        order_(size) {
    for (size_t i = 0; i < size; ++i) left_over_[i] = matrix_.at(i, i);
    const double largest = *std::max_element(left_over_.begin(), left_over_.end());
    // Rounding of the entries and of their sums.
    const double enough = 8 * static_cast<double>(size) * kEpsilon * largest;
    least_pivot_ = 16 * kEpsilon * largest;
    const double all = Trace();
    for (double left = all; left <= all; left = Trace()) {  // more is left of no covariance
      complete_ = left <= enough;
      const size_t before = columns_;
      if (!complete_) AddColumns(team);
      if (columns_ == before) return;
    }
  }

  bool complete() const { return complete_; }
  size_t columns() const { return columns_; }
  const double* l() const { return l_.get(); }  // rows of width()
  size_t width() const { return width_; }

 private:
  double Trace() const {
    double trace = 0;
    for (const double entry : left_over_) trace += std::abs(entry);
    return trace;
  }

  void AddColumns(Team* team) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    const size_t candidates = std::min({kBand, size_, width_ - columns_});
    std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(candidates),
                      order_.end(), [&](size_t i, size_t j) {
                        return left_over_[i] != left_over_[j] ? left_over_[i] > left_over_[j]
                                                              : i < j;
                      });
    // What all columns so far leave of the candidates' own.
    for (size_t c = 0; c < candidates; ++c) matrix_.CopyColumn(order_[c], &panel_[c], kBand);
    for (size_t k = 0; k < columns_; ++k) {
      for (size_t c = 0; c < kBand; ++c) {
        right_[k * kBand + c] = c < candidates ? -l_[order_[c] * width_ + k] : 0;
      }
    }
    team->For(rows_ / kBlock, [&](size_t block) {
      kernels_.add_product(&l_[block * kBlock * width_], width_, columns_, right_.get(),
                           &panel_[block * kBlock * kBand]);
    });
    for (size_t c = 0; c < candidates; ++c) AddColumn(c, candidates);
  }

  // The candidate's column, taken off the diagonal and the later candidates' columns.
  void AddColumn(size_t candidate, size_t candidates) {
    const size_t pivot = order_[candidate];
    if (!(left_over_[pivot] > least_pivot_)) return;
    const double root = std::sqrt(left_over_[pivot]);
    std::array<double, kBand> factors = {};
    for (size_t c = candidate + 1; c < candidates; ++c) {
      factors[c] = panel_[order_[c] * kBand + candidate] / root;
    }
    for (size_t i = 0; i < size_; ++i) {
      double* const row = &panel_[i * kBand];
      const double entry = i == pivot ? root : row[candidate] / root;
      for (size_t c = candidate + 1; c < kBand; ++c) row[c] -= entry * factors[c];
      left_over_[i] -= entry * entry;
      l_[i * width_ + columns_] = entry;
    }
    left_over_[pivot] = 0;
    ++columns_;
  }

  ReflectionKernels kernels_ = ReflectionKernelsFor();
  Packed matrix_;
  size_t size_;
  size_t rows_;
  size_t width_;
  AlignedDoubles l_;
  AlignedDoubles panel_;
  AlignedDoubles right_;
  std::vector<double> left_over_;  // of the diagonal
  std::vector<size_t> order_;
  double least_pivot_ = 0;
  size_t columns_ = 0;
  bool complete_ = false;
};

}  // namespace

std::optional<LowRank> LowRank::Make(std::span<const double> upper, size_t size, size_t rank,
                                     Team* team) {
  const PivotedCholesky cholesky(upper, size, rank, team);
  if (!cholesky.complete() || cholesky.columns() == 0) return std::nullopt;
  return LowRank(size, cholesky.columns(), cholesky.l(), cholesky.width(), team);
}

LowRank::LowRank(size_t size, size_t rank, const double* factor, size_t factor_row, Team* team)
    : size_(size), rank_(rank), rows_(RoundUp(size, kBlock)) {
  const size_t chunks = RoundUp(rank, kChunk) / kChunk;
  const AlignedDoubles all = AllocateZeros(chunks * rows_ * kChunk);
  const auto entry = [&](size_t i, size_t j) -> double& {
    return all[(j / kChunk * rows_ + i) * kChunk + j % kChunk];
  };
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = 0; j < rank; ++j) entry(i, j) = factor[i * factor_row + j];
  }
  // L = Q R, by panels from the left.
  std::array<double, kBand * kBand> r, transposed;
  for (size_t column = 0; column < rank; column += kBand) {
    Panel& panel = panels_.emplace_back(column, rows_ - column);
    for (size_t i = column; i < size; ++i) {
      std::copy_n(&entry(i, column), kBand, &panel.v[(i - column) * kBand]);
    }
    kernels_.factor_panel(panel.v.get(), panel.rows, r.data(), panel.t.get());
    for (size_t i = 0; i < kBand; ++i) {
      for (size_t j = 0; j < kBand; ++j) transposed[i * kBand + j] = panel.t[j * kBand + i];
    }
    const size_t first = column / kChunk;
    team->For(chunks - first, [&](size_t chunk) {
      kernels_.apply_panel(panel.v.get(), transposed.data(), panel.rows,
                           &entry(column, (first + chunk) * kChunk));
    });
  }
  // C = R R^T
  std::vector<double> r_transposed(rank * rank);
  for (size_t i = 0; i < rank; ++i) {
    for (size_t j = i; j < rank; ++j) r_transposed[j * rank + i] = entry(i, j);
  }
  core_.resize(rank * (rank + 1) / 2);
  double* row = core_.data();
  for (size_t i = 0; i < rank; ++i) {
    for (size_t k = i; k < rank; ++k) {
      const double* const right = &r_transposed[k * rank];
      const double left = right[i];
      for (size_t j = i; j <= k; ++j) row[j - i] += left * right[j];
    }
    row += rank - i;
  }
}

std::vector<double> LowRank::Rotate(std::span<const double> vectors, size_t count,
                                    Team* team) const {
  const size_t given = vectors.size() / rank_;
  std::vector<double> whole(count * size_);
  for (size_t c = 0; c < count; ++c) {
    if (c < given) {
      std::ranges::copy(vectors.subspan(c * rank_, rank_), &whole[c * size_]);
    } else {
      whole[c * size_ + rank_ + c - given] = 1;
    }
  }
  return MapChunks(whole, size_, rows_, size_, team,
                   [&](double* x) { ApplyPanels(kernels_, panels_, x); });
}

}  // namespace pomona::reduce
