// Eigenvalues and eigenvectors of a covariance.
#pragma once

#include <arrow/result.h>

#include <limits>
#include <span>
#include <vector>

namespace pomona::reduce {

struct Eigenpairs {
  std::vector<double> values;   // [count], descending
  std::vector<double> vectors;  // count x size, orthonormal rows
};

// A matrix of which no rank is known.
inline constexpr int kAnyRank = std::numeric_limits<int>::max();

// The `count` largest eigenvalues of a symmetric matrix, with eigenvectors, on at most `threads`
// threads.
// upper: its upper triangle, row by row, packed; finite. 1 <= count <= size.
// rank: so many eigenvalues at most are not zero, and none is negative, in both cases but for
// rounding. A low one saves most of the time. 1 <= rank.
//
// The result is the same bits with any number of threads, on every x86-64 and arm64: the kernels'
// sums have a fixed order, and what is called in Eigen depends on neither the CPU's caches nor its
// vector width, and fuses no multiply-adds.
arrow::Result<Eigenpairs> LargestEigenpairs(std::span<const double> upper, int size, int count,
                                            int threads = 1, int rank = kAnyRank);

}  // namespace pomona::reduce
