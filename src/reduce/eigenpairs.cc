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

namespace pomona::reduce {
namespace {

using Eigen::Index;
using Eigen::MatrixXd;
using Eigen::VectorXd;

constexpr double kEpsilon = std::numeric_limits<double>::epsilon();

// The matrix scaled so that its largest entry is near 1, by a power of two so that nothing rounds.
// Only the lower triangle is set: Eigen reads no more.
struct ScaledMatrix {
  MatrixXd lower;
  int exponent = 0;
};

ScaledMatrix Unpack(std::span<const double> upper, Index size) {
  double largest = 0;
  for (double value : upper) largest = std::max(largest, std::abs(value));
  ScaledMatrix matrix;
  if (largest > 0) matrix.exponent = std::max(std::ilogb(largest), -1000);
  const double factor = std::ldexp(1.0, -matrix.exponent);
  matrix.lower.setZero(size, size);
  for (Index i = 0; i < size; ++i) {
    matrix.lower.col(i).tail(size - i) =
        factor * Eigen::Map<const VectorXd>(upper.data(), size - i);
    upper = upper.subspan(size - i);
  }
  return matrix;
}

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

// Q times the columns of `vectors`, where the matrix is Q T Q^T: the reflections one by one,
// because Eigen's blocked product sums in an order that depends on the size of the CPU's caches.
void ApplyReflections(const Eigen::Tridiagonalization<MatrixXd>& reduction, MatrixXd* vectors) {
  const MatrixXd& reflectors = reduction.packedMatrix();
  const VectorXd coefficients = reduction.householderCoefficients();
  VectorXd workspace(vectors->cols());
  for (Index i = vectors->rows() - 2; i >= 0; --i) {
    const Index below = vectors->rows() - i - 1;
    vectors->bottomRows(below).applyHouseholderOnTheLeft(reflectors.col(i).tail(below - 1),
                                                         coefficients[i], workspace.data());
  }
}

// `values` ascending, `vectors` as columns in the same order: the last `count`, last first.
Eigenpairs TakeLast(const VectorXd& values, const MatrixXd& vectors, Index count, int exponent) {
  Eigenpairs pairs;
  pairs.vectors.resize(count * vectors.rows());
  for (Index c = 0; c < count; ++c) {
    pairs.values.push_back(std::ldexp(values[values.size() - 1 - c], exponent));
    Eigen::Map<VectorXd>(pairs.vectors.data() + c * vectors.rows(), vectors.rows()) =
        vectors.col(vectors.cols() - 1 - c);
  }
  return pairs;
}

}  // namespace

arrow::Result<Eigenpairs> LargestEigenpairs(std::span<const double> upper, int size, int count) {
  const ScaledMatrix matrix = Unpack(upper, size);
  const Eigen::Tridiagonalization<MatrixXd> reduction(matrix.lower);
  const Tridiagonal t{reduction.diagonal(), reduction.subDiagonal()};
  Eigen::SelfAdjointEigenSolver<MatrixXd> solver;

  // Few vectors are found one by one in a fraction of the time that all take together.
  if (4 * count <= size) {
    solver.computeFromTridiagonal(t.diagonal, t.off_diagonal, Eigen::EigenvaluesOnly);
    if (solver.info() == Eigen::Success) {
      const VectorXd values = solver.eigenvalues().tail(count);
      if (std::optional<MatrixXd> vectors = InverseIteration(t, values)) {
        ApplyReflections(reduction, &*vectors);
        return TakeLast(values, *vectors, count, matrix.exponent);
      }
    }
  }

  solver.computeFromTridiagonal(t.diagonal, t.off_diagonal, Eigen::ComputeEigenvectors);
  if (solver.info() != Eigen::Success) {
    return arrow::Status::Invalid("the eigenvalues of the features' covariance do not converge");
  }
  MatrixXd vectors = solver.eigenvectors().rightCols(count);
  ApplyReflections(reduction, &vectors);
  return TakeLast(solver.eigenvalues(), vectors, count, matrix.exponent);
}

}  // namespace pomona::reduce
