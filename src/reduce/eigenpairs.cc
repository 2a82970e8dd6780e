#include "reduce/eigenpairs.h"

// Eigen would fuse multiply-adds on arm64, and so round otherwise than with SSE2, whose vectors are
// as long.
#undef __ARM_FEATURE_FMA
#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <random>
#include <utility>

#include "reduce/low_rank.h"
#include "reduce/reflection_kernels.h"
#include "reduce/team.h"
#include "reduce/tridiagonalization.h"

namespace pomona::reduce {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// A symmetric tridiagonal matrix.
struct Tridiagonal {
  VectorXd diagonal;
  VectorXd off_diagonal;  // one shorter

  Index size() const { return diagonal.size(); }

  double Norm() const {  // a bound on the largest eigenvalue's magnitude
    return diagonal.cwiseAbs().maxCoeff() + 2 * off_diagonal.cwiseAbs().maxCoeff();
  }

  VectorXd operator*(const VectorXd& x) const {
    VectorXd product = diagonal.cwiseProduct(x);
    product.head(size() - 1) += off_diagonal.cwiseProduct(x.tail(size() - 1));
    product.tail(size() - 1) += off_diagonal.cwiseProduct(x.head(size() - 1));
    return product;
  }
};

// T - shift I = P L U with partial pivoting: U has two diagonals above its own. Pivots below
// `smallest` are raised to it, so that solving with an eigenvalue as the shift stays possible.
class ShiftedLu {
 public:
  ShiftedLu(const Tridiagonal& t, double shift, double smallest)
      : diagonal_(t.diagonal.array() - shift),
        above_(VectorXd::Zero(t.size())),
        second_above_(VectorXd::Zero(t.size())),
        multiplier_(t.size() - 1),
        swapped_(t.size() - 1) {
    const Index last = t.size() - 1;
    above_.head(last) = t.off_diagonal;
    for (Index i = 0; i < last; ++i) {
      double below = t.off_diagonal[i];
      swapped_[i] = std::abs(below) > std::abs(diagonal_[i]);
      if (swapped_[i]) {
        std::swap(diagonal_[i], below);
        std::swap(above_[i], diagonal_[i + 1]);
        std::swap(second_above_[i], above_[i + 1]);
      }
      Raise(&diagonal_[i], smallest);
      multiplier_[i] = below / diagonal_[i];
      diagonal_[i + 1] -= multiplier_[i] * above_[i];
      above_[i + 1] -= multiplier_[i] * second_above_[i];
    }
    Raise(&diagonal_[last], smallest);
  }

  void Solve(VectorXd* x) const {
    VectorXd& b = *x;
    const Index last = b.size() - 1;
    for (Index i = 0; i < last; ++i) {
      if (swapped_[i]) std::swap(b[i], b[i + 1]);
      b[i + 1] -= multiplier_[i] * b[i];
    }
    for (Index i = last; i >= 0; --i) {
      if (i + 1 <= last) b[i] -= above_[i] * b[i + 1];
      if (i + 2 <= last) b[i] -= second_above_[i] * b[i + 2];
      b[i] /= diagonal_[i];
    }
  }

 private:
  static void Raise(double* pivot, double smallest) {
    if (std::abs(*pivot) < smallest) *pivot = std::copysign(smallest, *pivot);
  }

  VectorXd diagonal_;
  VectorXd above_;
  VectorXd second_above_;
  VectorXd multiplier_;
  std::vector<bool> swapped_;
};

// Eigenvectors for the given eigenvalues, as columns, by inverse iteration. Each is kept orthogonal
// to all before it, so that repeated and clustered eigenvalues get a basis of their space.
// Nothing where the vectors are not as good as those of the full solver would be.
std::optional<MatrixXd> InverseIteration(const Tridiagonal& t, const VectorXd& values) {
  constexpr int kIterations = 3;  // the first already gives nearly all digits
  const double norm = t.Norm();
  const double tolerance = kEpsilon * static_cast<double>(t.size());
  std::mt19937_64 random(1);
  MatrixXd vectors(t.size(), values.size());
  for (Index c = 0; c < values.size(); ++c) {
    const ShiftedLu lu(t, values[c], kEpsilon * norm);
    const auto before = vectors.leftCols(c);
    VectorXd x(t.size());
    for (double& entry : x) entry = std::ldexp(static_cast<double>(random() >> 11), -52) - 1;
    for (int i = 0; i < kIterations; ++i) {
      lu.Solve(&x);
      x.normalize();
      // Twice is enough (Kahan and Parlett).
      for (int pass = 0; pass < 2; ++pass) x -= before * (before.transpose() * x).eval();
      x.normalize();
    }
    const double residual = (t * x - values[c] * x).norm();
    const double overlap = c == 0 ? 0 : (before.transpose() * x).cwiseAbs().maxCoeff();
    // Written so that a NaN fails.
    if (!(residual <= tolerance * norm && overlap <= tolerance)) return std::nullopt;
    vectors.col(c) = x;
  }
  return vectors;
}

// The largest eigenvalues, descending.
VectorXd LargestValues(const Tridiagonal& t, Index count) {
  const VectorXd squares = t.off_diagonal.cwiseAbs2();
  VectorXd values(count);
  ReflectionKernelsFor().bisect(t.diagonal.data(), squares.data(), static_cast<size_t>(t.size()),
                                t.Norm(), static_cast<size_t>(count), values.data());
  return values;
}

struct Solution {
  VectorXd values;   // descending
  MatrixXd vectors;  // as columns
};

arrow::Result<Solution> Solve(const Tridiagonal& t, Index count) {
  // Few vectors are found one by one in a fraction of the time that all take together.
  if (4 * count <= t.size()) {
    VectorXd values = LargestValues(t, count);
    if (std::optional<MatrixXd> vectors = InverseIteration(t, values)) {
      return Solution{std::move(values), *std::move(vectors)};
    }
  }
  Eigen::SelfAdjointEigenSolver<MatrixXd> solver;
  solver.computeFromTridiagonal(t.diagonal, t.off_diagonal, Eigen::ComputeEigenvectors);
  if (solver.info() != Eigen::Success) {
    return arrow::Status::Invalid("the eigenvalues of the features' covariance do not converge");
  }
  return Solution{solver.eigenvalues().tail(count).reverse(),
                  solver.eigenvectors().rightCols(count).rowwise().reverse()};
}

VectorXd ToVector(const std::vector<double>& values) {
  return Eigen::Map<const VectorXd>(values.data(), static_cast<Index>(values.size()));
}

arrow::Result<Eigenpairs> SolveDense(std::span<const double> upper, size_t size, size_t count,
                                     Team* team) {
  const Tridiagonalization reduction(upper, size, team);
  ARROW_ASSIGN_OR_RAISE(const Solution solution,
                        Solve({ToVector(reduction.diagonal()), ToVector(reduction.off_diagonal())},
                              static_cast<Index>(count)));
  const std::span vectors(solution.vectors.data(), size * count);
  return Eigenpairs{{solution.values.begin(), solution.values.end()},
                    reduction.Rotate(vectors, team)};
}

// Of the matrix's small core. Eigenvalues beyond its rank are zero, and their vectors are any that
// complete the basis.
arrow::Result<Eigenpairs> SolveLowRank(const LowRank& low_rank, size_t count, Team* team) {
  const size_t rank = low_rank.rank(), found = std::min(rank, count);
  ARROW_ASSIGN_OR_RAISE(Eigenpairs pairs, SolveDense(low_rank.core(), rank, found, team));
  pairs.values.resize(count);
  pairs.vectors = low_rank.Rotate(pairs.vectors, count, team);
  return pairs;
}

}  // namespace

arrow::Result<Eigenpairs> LargestEigenpairs(std::span<const double> upper, int size, int count,
                                            int threads, int rank) {
  // The largest entry near 1, by a power of two so that nothing rounds.
  double largest = 0;
  for (double value : upper) largest = std::max(largest, std::abs(value));
  const int exponent = largest > 0 ? std::max(std::ilogb(largest), -1000) : 0;
  const double factor = std::ldexp(1.0, -exponent);
  std::vector<double> scaled(upper.begin(), upper.end());
  for (double& value : scaled) value *= factor;

  Team team(threads);
  std::optional<LowRank> low_rank;
  // Beyond, it takes as long as the matrix itself.
  if (rank <= size / 3) low_rank = LowRank::Make(scaled, size, rank, &team);
  ARROW_ASSIGN_OR_RAISE(Eigenpairs pairs, low_rank ? SolveLowRank(*low_rank, count, &team)
                                                   : SolveDense(scaled, size, count, &team));
  for (double& value : pairs.values) value = std::ldexp(value, exponent);
  return pairs;
}

}  // namespace pomona::reduce
