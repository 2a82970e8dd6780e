#include "reduce/reflection_kernels.h"

#include <algorithm>
#include <cmath>

// As in kernels.cc.
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "reduce/reflection_kernels.cc"
#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>

#include "reduce/tile-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::reduce {
namespace HWY_NAMESPACE {

// kBand numbers side by side: a row of a panel, a window's column.
constexpr size_t kRowVectors = kBand / kLanes;
constexpr size_t kSquare = kBand * kBand;

struct Row {
  Vec part[kRowVectors];

  // Declared, since GCC compiles an implicit one without the target's instructions, which vectors of
  // NEON do not allow.
  HWY_INLINE Row() = default;
  static HWY_INLINE Row Zero() {
    Row row;
    for (Vec& part : row.part) part = hn::Zero(Tag());
    return row;
  }
  static HWY_INLINE Row Load(const double* from) {
    Row row;
    for (size_t v = 0; v < kRowVectors; ++v) row.part[v] = hn::LoadU(Tag(), from + v * kLanes);
    return row;
  }
  HWY_INLINE void Store(double* to) const {
    for (size_t v = 0; v < kRowVectors; ++v) hn::StoreU(part[v], Tag(), to + v * kLanes);
  }

  // this + x * row
  HWY_INLINE Row Plus(double x, const Row& row) const {
    Row sum;
    const Vec factor = hn::Set(Tag(), x);
    for (size_t v = 0; v < kRowVectors; ++v) {
      sum.part[v] = FusedMulAdd(factor, row.part[v], part[v]);
    }
    return sum;
  }

  HWY_INLINE Row operator+(const Row& other) const {
    Row sum;
    for (size_t v = 0; v < kRowVectors; ++v) sum.part[v] = hn::Add(part[v], other.part[v]);
    return sum;
  }
  HWY_INLINE Row operator-(const Row& other) const {
    Row difference;
    for (size_t v = 0; v < kRowVectors; ++v) difference.part[v] = hn::Sub(part[v], other.part[v]);
    return difference;
  }
  HWY_INLINE Row operator*(const Row& other) const {
    Row product;
    for (size_t v = 0; v < kRowVectors; ++v) product.part[v] = hn::Mul(part[v], other.part[v]);
    return product;
  }
};

HWY_INLINE Row Scaled(double x, const Row& row) {
  Row product;
  const Vec factor = hn::Set(Tag(), x);
  for (size_t v = 0; v < kRowVectors; ++v) product.part[v] = hn::Mul(factor, row.part[v]);
  return product;
}

// The sum of a row: of those half a row apart, of these sums, and so on.
HWY_INLINE double Sum(const Row& row) {
  HWY_ALIGN double entry[kBand];
  row.Store(entry);
  for (size_t n = kBand / 2; n > 0; n /= 2) {
    for (size_t i = 0; i < n; ++i) entry[i] += entry[i + n];
  }
  return entry[0];
}

// The reflection that makes a column (alpha, tail) a multiple of (1, 0).
struct Reflection {
  double beta;   // what becomes of alpha
  double first;  // u begins with it,
  double scale;  // and goes on with scale * tail
};

HWY_INLINE Reflection Reflect(double alpha, double tail_squares) {
  // Below it squares lose their digits. The matrix is near 1: such a tail counts as zero.
  constexpr double kNothing = 1e-280;
  if (!(tail_squares > kNothing)) return {alpha, 0, 0};
  const double squares = alpha * alpha + tail_squares;
  const double norm = std::sqrt(squares);
  // |(alpha - beta, tail)|^2 / 2, where beta has the sign with which nothing cancels.
  const double scale = 1 / std::sqrt(squares + std::abs(alpha) * norm);
  const double beta = -std::copysign(norm, alpha);
  return {beta, (alpha - beta) * scale, scale};
}

// out = a^T b of two panels, kBand x kBand.
void MultiplyPanels(const double* HWY_RESTRICT a, const double* HWY_RESTRICT b, size_t rows,
                    double* HWY_RESTRICT out) {
  constexpr size_t kRows = 4;
  for (size_t i = 0; i < kBand; i += kRows) {
    MultiplyTile<kRows, kRowVectors>(rows, a + i, 1, kBand, b, kBand, out + i * kBand, kBand);
  }
}

void FactorPanel(double* HWY_RESTRICT panel, size_t rows, double* HWY_RESTRICT r,
                 double* HWY_RESTRICT t) {
  constexpr size_t kChains = 4;
  HWY_ALIGN double products[kBand];
  for (size_t k = 0; k < kBand; ++k) {
    double* const pivot = panel + k * kBand;
    double* const end = panel + rows * kBand;
    // Of the tail of column k with those of all columns.
    Row sum[kChains];
    for (Row& chain : sum) chain = Row::Zero();
    double* row = pivot + kBand;
    for (; row + kChains * kBand <= end; row += kChains * kBand) {
      for (size_t c = 0; c < kChains; ++c) {
        sum[c] = sum[c].Plus(row[c * kBand + k], Row::Load(row + c * kBand));
      }
    }
    for (; row < end; row += kBand) sum[0] = sum[0].Plus(row[k], Row::Load(row));
    ((sum[0] + sum[1]) + (sum[2] + sum[3])).Store(products);

    const Reflection u = Reflect(pivot[k], products[k]);
    double* const r_row = r + k * kBand;
    for (size_t l = 0; l <= k; ++l) r_row[l] = products[l] = 0;
    for (size_t l = k + 1; l < kBand; ++l) {
      products[l] = -(u.first * pivot[l] + u.scale * products[l]);
      r_row[l] = pivot[l] + u.first * products[l];
      pivot[l] = 0;
    }
    r_row[k] = u.beta;
    pivot[k] = u.first;
    const Row change = Row::Load(products);
    for (row = pivot + kBand; row < end; row += kBand) {
      const double entry = u.scale * row[k];
      Row::Load(row).Plus(entry, change).Store(row);
      row[k] = entry;
    }
  }

  HWY_ALIGN double products_of_v[kSquare];
  MultiplyPanels(panel, panel, rows, products_of_v);
  std::fill_n(t, kSquare, 0.0);
  for (size_t k = 0; k < kBand; ++k) {
    t[k * kBand + k] = 1;
    for (size_t i = 0; i < k; ++i) {
      double sum = 0;
      for (size_t l = i; l < k; ++l) sum += t[i * kBand + l] * products_of_v[l * kBand + k];
      t[i * kBand + k] = -sum;
    }
  }
}

void AddProduct(const double* HWY_RESTRICT left, size_t left_row, size_t depth,
                const double* HWY_RESTRICT right, double* HWY_RESTRICT panel) {
  constexpr size_t kRows = kLanes == 1 ? 1 : kLanes == kBand ? 12 : 6;
  for (size_t i = 0; i < kBlock; i += kRows) {
    MultiplyTile<kRows, kRowVectors, Start::kOut>(depth, left + i * left_row, left_row, 1, right,
                                                  kBand, panel + i * kBand, kBand);
  }
}

void MultiplyBlock(const double* HWY_RESTRICT matrix, size_t blocks, size_t first, size_t q,
                   const double* HWY_RESTRICT v, double* HWY_RESTRICT y) {
  // The columns above and in the block on the diagonal, which are rows by symmetry ...
  constexpr size_t kRows = kLanes == kBand ? 8 : 4;
  HWY_ALIGN double above[kBand * kBlock];
  const double* const column = matrix + BlockColumn(q) + first * kBlock * kBlock;
  for (size_t i = 0; i < kBlock; i += kTileColumns) {
    for (size_t k = 0; k < kBand; k += kRows) {
      MultiplyTile<kRows, kTileVectors>((q + 1 - first) * kBlock, v + k, 1, kBand, column + i,
                                        kBlock, above + k * kBlock + i, kBlock);
    }
  }
  // ... and the rows to its right.
  HWY_ALIGN double right[kBlock * kBand] = {};
  for (size_t p = q + 1; p < blocks; ++p) {
    AddProduct(matrix + BlockColumn(p) + q * kBlock * kBlock, kBlock, kBlock,
               v + (p - first) * kBlock * kBand, right);
  }
  double* const out = y + (q - first) * kBlock * kBand;
  for (size_t i = 0; i < kBlock; ++i) {
    for (size_t k = 0; k < kBand; ++k) {
      out[i * kBand + k] = above[k * kBlock + i] + right[i * kBand + k];
    }
  }
}

// out = a^T b c, all of them kBand x kBand.
void Enclose(const double* a, const double* b, const double* c, double* out) {
  double middle[kSquare];
  for (size_t i = 0; i < kBand; ++i) {
    for (size_t j = 0; j < kBand; ++j) {
      double sum = 0;
      for (size_t k = 0; k < kBand; ++k) sum += b[i * kBand + k] * c[k * kBand + j];
      middle[i * kBand + j] = sum;
    }
  }
  for (size_t i = 0; i < kBand; ++i) {
    for (size_t j = 0; j < kBand; ++j) {
      double sum = 0;
      for (size_t k = 0; k < kBand; ++k) sum += a[k * kBand + i] * middle[k * kBand + j];
      out[i * kBand + j] = sum;
    }
  }
}

void FinishPanel(const double* HWY_RESTRICT v, const double* HWY_RESTRICT t, size_t rows,
                 double* HWY_RESTRICT y) {
  // W = Y T - V (T^T (V^T Y) T) / 2
  HWY_ALIGN double products[kSquare];
  HWY_ALIGN double inner[kSquare];
  MultiplyPanels(v, y, rows, products);
  Enclose(t, products, t, inner);
  Row half[kBand];
  for (size_t k = 0; k < kBand; ++k) half[k] = Scaled(-0.5, Row::Load(inner + k * kBand));
  for (size_t row = 0; row < rows; ++row) {
    Row w = Row::Zero(), correction = Row::Zero();
    for (size_t k = 0; k < kBand; ++k) {
      w = w.Plus(y[row * kBand + k], Row::Load(t + k * kBand));
      correction = correction.Plus(v[row * kBand + k], half[k]);
    }
    (w + correction).Store(y + row * kBand);
  }
}

void UpdateBlock(double* HWY_RESTRICT matrix, size_t first, size_t q,
                 const double* HWY_RESTRICT left, const double* HWY_RESTRICT right) {
  constexpr size_t kDepth = 2 * kBand;
  double* const column = matrix + BlockColumn(q) + first * kBlock * kBlock;
  const double* const side = right + (q - first) * kDepth * kBlock;
  for (size_t i = 0; i < (q + 1 - first) * kBlock; i += kTileRows) {
    for (size_t j = 0; j < kBlock; j += kTileColumns) {
      MultiplyTile<kTileRows, kTileVectors, Start::kOut>(
          kDepth, left + i * kDepth, kDepth, 1, side + j, kBlock, column + i * kBlock + j, kBlock);
    }
  }
  // So that rounding leaves it symmetric.
  double* const block = column + (q - first) * kBlock * kBlock;
  for (size_t i = 0; i < kBlock; ++i) {
    for (size_t j = 0; j < i; ++j) block[i * kBlock + j] = block[j * kBlock + i];
  }
}

void ApplyPanel(const double* HWY_RESTRICT v, const double* HWY_RESTRICT t, size_t rows,
                double* HWY_RESTRICT x) {
  constexpr size_t kRows = 4;
  constexpr size_t kVectors = 2;
  HWY_ALIGN double products[kBand * kChunk];
  HWY_ALIGN double change[kBand * kChunk];
  for (size_t j = 0; j < kChunk; j += kVectors * kLanes) {
    for (size_t k = 0; k < kBand; k += kRows) {
      MultiplyTile<kRows, kVectors>(rows, v + k, 1, kBand, x + j, kChunk, products + k * kChunk + j,
                                    kChunk);
    }
  }
  for (double& product : products) product = -product;
  for (size_t j = 0; j < kChunk; j += kVectors * kLanes) {
    for (size_t k = 0; k < kBand; k += kRows) {
      MultiplyTile<kRows, kVectors>(kBand, t + k * kBand, kBand, 1, products + j, kChunk,
                                    change + k * kChunk + j, kChunk);
    }
    for (size_t row = 0; row < rows; row += kRows) {
      MultiplyTile<kRows, kVectors, Start::kOut>(kBand, v + row * kBand, kBand, 1, change + j,
                                                 kChunk, x + row * kChunk + j, kChunk);
    }
  }
}

// The reflection that makes a column (1, 0): `u`, kBand numbers. Returns what its first becomes.
HWY_INLINE double ReflectColumn(const double* column, double* HWY_RESTRICT u) {
  const Row x = Row::Load(column);
  HWY_ALIGN double tail[kBand];
  x.Store(tail);
  const double alpha = tail[0];
  tail[0] = 0;
  const Row rest = Row::Load(tail);
  const Reflection reflection = Reflect(alpha, Sum(rest * rest));
  Scaled(reflection.scale, rest).Store(u);
  u[0] = reflection.first;
  return reflection.beta;
}

// Column j of the square of rows i to i + kBand - 1.
HWY_INLINE double* Window(double* band, size_t i, size_t j) {
  return band + j * kBandStep + kBandStep / 2 + i - j;
}

// A window on the diagonal, from both sides.
HWY_INLINE void ReflectDiagonal(double* band, size_t i, const double* HWY_RESTRICT u) {
  const Row row = Row::Load(u);
  Row product = Row::Zero();
  for (size_t j = 0; j < kBand; ++j) {
    product = product.Plus(u[j], Row::Load(Window(band, i, i + j)));
  }
  const Row q = product.Plus(-0.5 * Sum(product * row), row);
  HWY_ALIGN double factor[kBand];
  q.Store(factor);
  for (size_t j = 0; j < kBand; ++j) {
    // Not fused, so that the window stays symmetric to the bit.
    double* const column = Window(band, i, i + j);
    (Row::Load(column) - (Scaled(u[j], q) + Scaled(factor[j], row))).Store(column);
  }
}

// The window below: from the right with u; then `next` is made, which clears its first column, and
// applied from the left. The window above the diagonal holds the same numbers, transposed.
HWY_INLINE void ReflectBelow(double* band, size_t i, const double* HWY_RESTRICT u,
                             double* HWY_RESTRICT next) {
  const size_t below = i + kBand;
  Row product = Row::Zero();
  for (size_t j = 0; j < kBand; ++j) {
    product = product.Plus(u[j], Row::Load(Window(band, below, i + j)));
  }
  HWY_ALIGN double factor[kBand];
  HWY_ALIGN double first[kBand];
  product.Store(factor);
  Row::Load(Window(band, below, i)).Plus(-u[0], product).Store(first);
  const double beta = ReflectColumn(first, next);

  const Row row = Row::Load(u);
  Row other = Row::Zero();
  for (size_t j = 0; j < kBand; ++j) {
    double* const column = Window(band, i, below + j);
    const Row reflected = Row::Load(column).Plus(-factor[j], row);
    reflected.Store(column);
    other = other.Plus(next[j], reflected);
  }
  const Row next_row = Row::Load(next);
  HWY_ALIGN double next_factor[kBand];
  other.Store(next_factor);
  for (size_t j = 0; j < kBand; ++j) {
    double* const right = Window(band, i, below + j);
    Row::Load(right).Plus(-next[j], other).Store(right);
    right[0] = 0;
    double* const column = Window(band, below, i + j);
    Row::Load(column).Plus(-u[j], product).Plus(-next_factor[j], next_row).Store(column);
  }
  double* const column = Window(band, below, i);
  Row::Zero().Store(column);
  *column = *Window(band, i, below) = beta;
}

void ChaseBand(double* HWY_RESTRICT band, size_t size, double* HWY_RESTRICT diagonal,
               double* HWY_RESTRICT off_diagonal, double* HWY_RESTRICT reflections) {
  for (size_t column = 0; column < size; ++column) {
    diagonal[column] = *Window(band, column, column);
    if (column + 1 == size) break;
    off_diagonal[column] = ReflectColumn(Window(band, column + 1, column), reflections);
    for (size_t i = column + 1;; i += kBand) {
      const double* const u = reflections;
      reflections += kBand;
      ReflectDiagonal(band, i, u);
      if (i + kBand >= size) break;
      ReflectBelow(band, i, u, reflections);
    }
  }
}

HWY_INLINE void ApplyReflection(const double* HWY_RESTRICT u, double* HWY_RESTRICT x) {
  const Tag tag;
  for (size_t j = 0; j < kChunk; j += kLanes) {
    Vec row[kBand];
    for (size_t i = 0; i < kBand; ++i) row[i] = hn::Load(tag, x + i * kChunk + j);
    Vec even = hn::Mul(hn::Set(tag, u[0]), row[0]), odd = hn::Mul(hn::Set(tag, u[1]), row[1]);
    for (size_t i = 2; i < kBand; i += 2) {
      even = FusedMulAdd(hn::Set(tag, u[i]), row[i], even);
      odd = FusedMulAdd(hn::Set(tag, u[i + 1]), row[i + 1], odd);
    }
    const Vec product = hn::Neg(hn::Add(even, odd));
    for (size_t i = 0; i < kBand; ++i) {
      hn::Store(FusedMulAdd(hn::Set(tag, u[i]), product, row[i]), tag, x + i * kChunk + j);
    }
  }
}

void ApplyChases(const double* HWY_RESTRICT reflections, size_t size, double* HWY_RESTRICT x) {
  // Of a group of columns those that meet in the same rows are applied while these are in the
  // cache; reflections of one column do not meet.
  constexpr size_t kGroup = 16;
  const double* of_column[kGroup];
  const double* end = reflections;
  for (size_t column = 0; column < size; ++column) end += Chases(column, size) * kBand;
  for (size_t last = size; last > 0;) {
    const size_t first = (last - 1) / kGroup * kGroup;
    for (size_t column = last; column-- > first;) {
      end -= Chases(column, size) * kBand;
      of_column[column - first] = end;
    }
    for (size_t i = 0; i < Chases(first, size); ++i) {
      for (size_t column = last; column-- > first;) {
        if (i < Chases(column, size)) {
          ApplyReflection(of_column[column - first] + i * kBand,
                          x + (column + 1 + i * kBand) * kChunk);
        }
      }
    }
    last = first;
  }
}

void Bisect(const double* HWY_RESTRICT diagonal, const double* HWY_RESTRICT squares, size_t size,
            double bound, size_t count, double* HWY_RESTRICT values) {
  constexpr size_t kVectors = 4;
  constexpr size_t kAtOnce = kVectors * kLanes;
  constexpr int kHalvings = 58;           // of twice the bound: beyond its last digit
  constexpr double kLeastPivot = 1e-290;  // as large a divisor changes nothing that rounding leaves
  const Tag tag;
  const Vec one = hn::Set(tag, 1.0), zero = hn::Zero(tag), half = hn::Set(tag, 0.5);
  const Vec least = hn::Set(tag, kLeastPivot), minus_least = hn::Set(tag, -kLeastPivot);
  HWY_ALIGN double found[kAtOnce];
  for (size_t first = 0; first < count; first += kAtOnce) {
    Vec low[kVectors], high[kVectors], below[kVectors];
    for (size_t v = 0; v < kVectors; ++v) {
      low[v] = hn::Set(tag, -bound);
      high[v] = hn::Set(tag, bound);
      // So many eigenvalues are below the one that is looked for.
      below[v] = hn::Sub(
          hn::Set(tag, static_cast<double>(size) - 1 - static_cast<double>(first + v * kLanes)),
          hn::Iota(tag, 0));
    }
    for (int halving = 0; halving < kHalvings; ++halving) {
      Vec middle[kVectors], pivot[kVectors], negative[kVectors];
      for (size_t v = 0; v < kVectors; ++v) {
        middle[v] = hn::Mul(hn::Add(low[v], high[v]), half);
        pivot[v] = one;
        negative[v] = zero;
      }
      // The pivots of an elimination of T - middle I: as many are negative as eigenvalues below.
      for (size_t i = 0; i < size; ++i) {
        const Vec square = hn::Set(tag, i > 0 ? squares[i - 1] : 0.0);
        const Vec entry = hn::Set(tag, diagonal[i]);
        for (size_t v = 0; v < kVectors; ++v) {
          pivot[v] = hn::Sub(hn::Sub(entry, middle[v]), hn::Div(square, pivot[v]));
          pivot[v] = hn::IfThenElse(hn::Lt(hn::Abs(pivot[v]), least), minus_least, pivot[v]);
          negative[v] = hn::Add(negative[v], hn::IfThenElseZero(hn::Lt(pivot[v], zero), one));
        }
      }
      for (size_t v = 0; v < kVectors; ++v) {
        const auto is_low = hn::Le(negative[v], below[v]);
        low[v] = hn::IfThenElse(is_low, middle[v], low[v]);
        high[v] = hn::IfThenElse(is_low, high[v], middle[v]);
      }
    }
    for (size_t v = 0; v < kVectors; ++v) {
      hn::Store(hn::Mul(hn::Add(low[v], high[v]), half), tag, found + v * kLanes);
    }
    std::copy_n(found, std::min(kAtOnce, count - first), values + first);
  }
}

ReflectionKernels Kernels() {
  return {FactorPanel, MultiplyBlock, FinishPanel, UpdateBlock, ApplyPanel,
          AddProduct,  ChaseBand,     ApplyChases, Bisect};
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona::reduce
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "dispatch.h"

namespace pomona::reduce {

HWY_EXPORT(Kernels);

ReflectionKernels ReflectionKernelsFor(Cpu cpu) {
  return KernelFor(HWY_DISPATCH_TABLE(Kernels), cpu)();
}

}  // namespace pomona::reduce
#endif  // HWY_ONCE
