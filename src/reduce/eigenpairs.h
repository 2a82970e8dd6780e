// Eigenvalues and eigenvectors of a covariance.
#pragma once

#include <arrow/result.h>

#include <span>
#include <vector>

namespace pomona::reduce {

struct Eigenpairs {
  std::vector<double> values;   // [count], descending
  std::vector<double> vectors;  // count x size, orthonormal rows
};

// The `count` largest eigenvalues of a symmetric matrix, with eigenvectors.
// upper: its upper triangle, row by row, packed; finite. 1 <= count <= size.
//
// The result is the same bits on every x86-64 and arm64: what it calls in Eigen depends on neither
// the CPU's caches nor its vector width, and fuses no multiply-adds.
arrow::Result<Eigenpairs> LargestEigenpairs(std::span<const double> upper, int size, int count);

}  // namespace pomona::reduce
