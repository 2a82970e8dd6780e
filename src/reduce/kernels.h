// The two loops in which the time of the reduce stage goes, vectorised for each kind of CPU.
//
// Every sum is one chain of fused multiply-adds in an order that is stated here and that depends
// on neither the vector width nor the tiling: the results are the same bits on every CPU.
#pragma once

#include <cstddef>

#include "pomona/cpu.h"

namespace pomona::reduce {

// rows: n x dimensions, n >= 1. Gives their mean and adds to `triangle` (the upper triangle, row by
// row, packed) the products of the centred rows, sum (x - mean)(x - mean)^T.
//
// Order: the mean is summed in the order of rows and then divided by n. Products are summed in the
// order of rows over chunks of kChunkRows rows; each chunk's sum is then added to the triangle.
void AddBlock(const float* rows, size_t n, size_t dimensions, double* mean, double* triangle,
              Cpu cpu = Cpu::kBest);
inline constexpr size_t kChunkRows = 256;

// out[r][c] = sum over j of (rows[r][j] - mean[j]) / scale[j] * basis[c][j], in the order of j.
// rows: n x dimensions. basis: components x dimensions. out: n x components.
// mean and scale may be null: nothing is subtracted then, or divided by.
void ProjectRows(const float* rows, size_t n, size_t dimensions, const double* mean,
                 const double* scale, const double* basis, size_t components, double* out,
                 Cpu cpu = Cpu::kBest);

}  // namespace pomona::reduce
