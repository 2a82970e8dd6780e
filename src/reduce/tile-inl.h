// What the kernels share: vectors of float64 and a product's tile.
#if defined(POMONA_REDUCE_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_REDUCE_TILE_INL_H_
#undef POMONA_REDUCE_TILE_INL_H_
#else
#define POMONA_REDUCE_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>

#include "fused-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::reduce {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = pomona::HWY_NAMESPACE::FusedTag<double>;
using Vec = hn::Vec<Tag>;
using pomona::HWY_NAMESPACE::FusedMulAdd;

// A tile of accumulators fills the registers: 8 x 3 of the 32 of AVX-512, 4 x 3 of the 16 of AVX2.
constexpr size_t kLanes = hn::MaxLanes(Tag());
constexpr size_t kTileVectors = 3;
constexpr size_t kTileColumns = kTileVectors * kLanes;
constexpr size_t kTileRows = kLanes >= 4 ? kLanes : kTileColumns;
static_assert(kTileColumns % kTileRows == 0);

enum class Start { kZero, kOut };

// out[i][j] = sum over k < depth, in the order of k, of a[i * a_row + k * a_step] * b[k * b_step +
// j] for kRows x (kVectors * kLanes) outputs. Each sum starts from zero, or goes on from `out`.
template <size_t kRows, size_t kVectors, Start kStart = Start::kZero>
HWY_INLINE void MultiplyTile(size_t depth, const double* HWY_RESTRICT a, size_t a_row,
                             size_t a_step, const double* HWY_RESTRICT b, size_t b_step,
                             double* HWY_RESTRICT out, size_t out_row) {
  const Tag tag;
  Vec sum[kRows][kVectors];
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t v = 0; v < kVectors; ++v) {
      sum[i][v] =
          kStart == Start::kZero ? hn::Zero(tag) : hn::Load(tag, out + i * out_row + v * kLanes);
    }
  }
  for (size_t k = 0; k < depth; ++k) {
    Vec column[kVectors];
    for (size_t v = 0; v < kVectors; ++v) column[v] = hn::Load(tag, b + v * kLanes);
    for (size_t i = 0; i < kRows; ++i) {
      const Vec row = hn::Set(tag, a[i * a_row]);
      for (size_t v = 0; v < kVectors; ++v) sum[i][v] = FusedMulAdd(row, column[v], sum[i][v]);
    }
    a += a_step;
    b += b_step;
  }
  for (size_t i = 0; i < kRows; ++i) {
    for (size_t v = 0; v < kVectors; ++v) {
      hn::Store(sum[i][v], tag, out + i * out_row + v * kLanes);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona::reduce
HWY_AFTER_NAMESPACE();

#endif
