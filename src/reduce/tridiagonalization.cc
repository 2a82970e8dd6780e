#include "reduce/tridiagonalization.h"

#include <algorithm>

namespace pomona::reduce {
namespace {

size_t PaddedBlocks(size_t size) { return (size + kBlock - 1) / kBlock; }

// Where the kernels want entry (i, j), i <= j.
size_t At(size_t i, size_t j) { return BlockColumn(j / kBlock) + i * kBlock + j % kBlock; }

// Rows and columns that are added stay zero.
AlignedDoubles Unpack(std::span<const double> upper, size_t size) {
  AlignedDoubles matrix = AllocateZeros(BlockColumn(PaddedBlocks(size)));
  for (size_t i = 0; i < size; ++i) {
    for (size_t j = i; j < size; ++j) matrix[At(i, j)] = upper[j - i];
    // A block on the diagonal is whole.
    const size_t end = std::min(size, (i / kBlock + 1) * kBlock);
    for (size_t j = i; j < end; ++j) matrix[At(j, i)] = upper[j - i];
    upper = upper.subspan(size - i);
  }
  return matrix;
}

}  // namespace

Tridiagonalization::Tridiagonalization(std::span<const double> upper, size_t size, Team* team)
    : size_(size), blocks_(PaddedBlocks(size)), diagonal_(size), off_diagonal_(size - 1) {
  const AlignedDoubles band = ReduceToBand(upper, team);
  size_t chases = 0;
  for (size_t column = 0; column < size; ++column) chases += Chases(column, size);
  chases_ = AllocateDoubles(std::max<size_t>(chases, 1) * kBand);
  kernels_.chase_band(band.get(), size, diagonal_.data(), off_diagonal_.data(), chases_.get());
}

AlignedDoubles Tridiagonalization::ReduceToBand(std::span<const double> upper, Team* team) {
  const AlignedDoubles matrix = Unpack(upper, size_);
  const size_t padded = blocks_ * kBlock;
  AlignedDoubles band = AllocateZeros((padded + 2 * kBand) * kBandStep);
  const auto set_band = [&](size_t i, size_t j, double entry) {
    band[j * kBandStep + kBandStep / 2 + i - j] = entry;
    band[i * kBandStep + kBandStep / 2 + j - i] = entry;
  };
  const AlignedDoubles w = AllocateDoubles(padded * kBand);
  const AlignedDoubles left = AllocateDoubles(padded * 2 * kBand);
  const AlignedDoubles right = AllocateDoubles(padded * 2 * kBand);
  const AlignedDoubles r = AllocateDoubles(kBand * kBand);

  for (size_t column = 0; column < size_; column += kBand) {
    for (size_t k = 0; k < kBand; ++k) {
      for (size_t l = 0; l <= k; ++l) {
        set_band(column + k, column + l, matrix[At(column + l, column + k)]);
      }
    }
    const size_t below = column + kBand;
    if (below >= size_) break;

    const size_t first = below / kBlock, start = first * kBlock, rows = padded - start;
    Panel& panel = panels_.emplace_back(start, rows);
    double* const v = panel.v.get();
    for (size_t k = 0; k < kBand; ++k) {
      for (size_t i = below; i < size_; ++i) v[(i - start) * kBand + k] = matrix[At(column + k, i)];
    }
    kernels_.factor_panel(v + (below - start) * kBand, padded - below, r.get(), panel.t.get());
    for (size_t k = 0; k < kBand; ++k) {
      for (size_t l = k; l < kBand; ++l) set_band(below + k, column + l, r[k * kBand + l]);
    }

    team->For(blocks_ - first, [&](size_t block) {
      kernels_.multiply_block(matrix.get(), blocks_, first, first + block, v, w.get());
    });
    kernels_.finish_panel(v, panel.t.get(), rows, w.get());
    for (size_t i = 0; i < rows; ++i) {
      double* const transposed = right.get() + i / kBlock * 2 * kBand * kBlock + i % kBlock;
      for (size_t k = 0; k < kBand; ++k) {
        left[i * 2 * kBand + k] = -v[i * kBand + k];
        left[i * 2 * kBand + kBand + k] = -w[i * kBand + k];
        transposed[k * kBlock] = w[i * kBand + k];
        transposed[(kBand + k) * kBlock] = v[i * kBand + k];
      }
    }
    team->For(blocks_ - first, [&](size_t block) {
      kernels_.update_block(matrix.get(), first, first + block, left.get(), right.get());
    });
  }
  return band;
}

std::vector<double> Tridiagonalization::Rotate(std::span<const double> vectors, Team* team) const {
  return MapChunks(vectors, size_, blocks_ * kBlock + kBand, size_, team, [&](double* x) {
    kernels_.apply_chases(chases_.get(), size_, x);
    ApplyPanels(kernels_, panels_, x);
  });
}

}  // namespace pomona::reduce
