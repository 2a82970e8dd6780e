// A symmetric matrix as a tridiagonal one, seen in another basis.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "reduce/aligned.h"
#include "reduce/panels.h"
#include "reduce/reflection_kernels.h"
#include "reduce/team.h"

namespace pomona::reduce {

// A = Q T Q^T, with Q orthogonal, in two stages of reflections: kBand columns at a time to a band
// matrix, in which nearly all is products of matrices; then the band's columns one by one, whose
// work grows with the square of the size only.
//
// The result is the same bits for any team on any CPU.
class Tridiagonalization {
 public:
  // upper: A's upper triangle, row by row, packed, times a power of two near 1. Throws bad_alloc.
  Tridiagonalization(std::span<const double> upper, size_t size, Team* team);

  size_t size() const { return size_; }
  const std::vector<double>& diagonal() const { return diagonal_; }          // of T
  const std::vector<double>& off_diagonal() const { return off_diagonal_; }  // one shorter

  // Q times vectors, one after the other.
  std::vector<double> Rotate(std::span<const double> vectors, Team* team) const;

 private:
  AlignedDoubles ReduceToBand(std::span<const double> upper, Team* team);

  size_t size_;
  size_t blocks_;
  ReflectionKernels kernels_ = ReflectionKernelsFor();
  std::vector<Panel> panels_;
  std::vector<double> diagonal_;
  std::vector<double> off_diagonal_;
  AlignedDoubles chases_;
};

}  // namespace pomona::reduce
