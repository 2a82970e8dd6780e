// A positive semidefinite matrix of a low rank as a small matrix, seen in another basis.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "reduce/panels.h"
#include "reduce/team.h"

namespace pomona::reduce {

// A = Q [C 0; 0 0] Q^T to rounding, with Q orthogonal: by a Cholesky factor of A, as narrow as its
// rank, and that factor's triangular form.
//
// The result is the same bits for any team on any CPU.
class LowRank {
 public:
  // Nothing where A is not of the given rank, or not positive semidefinite: what the factor leaves
  // of its trace is looked at. upper: A's upper triangle, row by row, packed, near 1.
  static std::optional<LowRank> Make(std::span<const double> upper, size_t size, size_t rank,
                                     Team* team);

  size_t rank() const { return rank_; }
  const std::vector<double>& core() const { return core_; }  // C's upper triangle, packed

  // Q times `count` vectors that begin with the given ones, of rank() entries, one after the other,
  // and then zeros. Where there are fewer, others that are orthogonal to all that C acts on follow.
  std::vector<double> Rotate(std::span<const double> vectors, size_t count, Team* team) const;

 private:
  LowRank(size_t size, size_t rank, const double* factor, size_t factor_row, Team* team);

  size_t size_;
  size_t rank_;
  size_t rows_;
  ReflectionKernels kernels_ = ReflectionKernelsFor();
  std::vector<Panel> panels_;
  std::vector<double> core_;
};

}  // namespace pomona::reduce
