// The loops in which the time of tridiagonalization.h goes, vectorised for each kind of CPU.
//
// Every sum is one chain of fused multiply-adds in an order that depends on neither the vector
// width nor the tiling, or a tree of a fixed shape: the results are the same bits on every CPU.
//
// Reflections are I - u u^T with u^T u = 2, or with u = 0 where nothing is to be done.
#pragma once

#include <cstddef>

#include "pomona/cpu.h"

namespace pomona::reduce {

// Columns reduced at once, and so the band's width.
inline constexpr size_t kBand = 8;

// Rows and columns of a block of the matrix: whole tiles of every instruction set.
inline constexpr size_t kBlock = 24;

// Columns of vectors that reflections are applied to at once.
inline constexpr size_t kChunk = 16;

// Where block column q begins in the storage of a symmetric matrix: its upper triangle by block
// columns, each of them kBlock (q + 1) rows of kBlock, the block on the diagonal whole.
constexpr size_t BlockColumn(size_t q) { return kBlock * kBlock * q * (q + 1) / 2; }

// The distance between two columns of the band that ChaseBand() takes. An entry (i, j) is at
// j * kBandStep + kBandStep / 2 + i - j; above and below the diagonal there is room for the entries
// that come and go.
inline constexpr size_t kBandStep = 4 * kBand;

// Reflections that ChaseBand() leaves for the given column of a matrix of the given size.
constexpr size_t Chases(size_t column, size_t size) {
  return column + 1 < size ? (size - column - 1 + kBand - 1) / kBand : 0;
}

struct ReflectionKernels {
  // panel: rows x kBand. Makes it upper triangular, Q^T panel = R, by Q = I - V T V^T, the product
  // of kBand reflections. V takes the panel's place; r and t: kBand x kBand.
  void (*factor_panel)(double* panel, size_t rows, double* r, double* t);

  // y = A v for the rows of block `q`, where `first` <= q < `blocks` and A is what block rows and
  // columns from `first` on hold. v and y: (blocks - first) * kBlock rows of kBand.
  void (*multiply_block)(const double* matrix, size_t blocks, size_t first, size_t q,
                         const double* v, double* y);

  // y = A V becomes the W with which (I - V T V^T)^T A (I - V T V^T) = A - V W^T - W V^T.
  void (*finish_panel)(const double* v, const double* t, size_t rows, double* y);

  // A -= V W^T + W V^T in block column `q` of the same A.
  // left: rows of [-V, -W]. right: for each block of rows [W, V]^T, 2 kBand x kBlock.
  void (*update_block)(double* matrix, size_t first, size_t q, const double* left,
                       const double* right);

  // x -= V T V^T x; x: rows x kChunk.
  void (*apply_panel)(const double* v, const double* t, size_t rows, double* x);

  // panel += left right, where left is kBlock rows, `left_row` apart, of `depth` entries, right
  // depth x kBand and panel kBlock x kBand.
  void (*add_product)(const double* left, size_t left_row, size_t depth, const double* right,
                      double* panel);

  // From a band matrix to a tridiagonal one. `band` has size + 2 * kBand columns, of which the last
  // are zero. diagonal, off_diagonal: size and size - 1 numbers. reflections: kBand for each.
  void (*chase_band)(double* band, size_t size, double* diagonal, double* off_diagonal,
                     double* reflections);

  // The reflections that chase_band() made, applied to x, (size + kBand) x kChunk, in reverse.
  void (*apply_chases)(const double* reflections, size_t size, double* x);

  // The `count` largest eigenvalues, descending, of a symmetric tridiagonal matrix whose
  // eigenvalues are within -bound and bound, by bisection. squares: of the entries off the diagonal.
  void (*bisect)(const double* diagonal, const double* squares, size_t size, double bound,
                 size_t count, double* values);
};

ReflectionKernels ReflectionKernelsFor(Cpu cpu = Cpu::kBest);

}  // namespace pomona::reduce
