// The matrix product behind pointwise and full convolutions.
#if defined(POMONA_INFER_NATIVE_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_INFER_NATIVE_MATMUL_INL_H_
#undef POMONA_INFER_NATIVE_MATMUL_INL_H_
#else
#define POMONA_INFER_NATIVE_MATMUL_INL_H_
#endif

#include <algorithm>
#include <array>
#include <utility>

#include "infer/native/kernels.h"
#include "infer/native/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::native::HWY_NAMESPACE {

// Pixels in a tile: as many as leave registers for the weights and one input beside two vectors of
// accumulators a pixel.
#if HWY_TARGET == HWY_AVX3
constexpr int kMaxRows = 14;
#elif HWY_TARGET == HWY_AVX2
constexpr int kMaxRows = 6;
#elif HWY_TARGET == HWY_NEON
constexpr int kMaxRows = 12;
#else
constexpr int kMaxRows = 4;
#endif

// A tile's sums are kVectors vectors a pixel and, where kHalf, half a vector. Arrays are never
// empty.
constexpr int AtLeast1(int n) { return n > 0 ? n : 1; }

// What follows the products, for one vector of outputs.
template <Then kThen, class V>
HWY_INLINE void FinishVector(V value, float* HWY_RESTRICT out) {
  constexpr hn::DFromV<V> d;
  if constexpr (kThen == Then::kRelu6 || kThen == Then::kRelu6Pool) value = Relu6(value);
  if constexpr (kThen == Then::kAdd || kThen == Then::kRelu6Pool) {
    value = hn::Add(value, hn::LoadU(d, out));
  }
  hn::StoreU(value, d, out);
}

template <Then kThen, int kRows, int kVectors, bool kHalf>
HWY_INLINE void FinishTile(const hn::Vec<Full> (&acc)[kRows][AtLeast1(kVectors)],
                           const hn::Vec<Half> (&half)[kRows], const MatMulArgs& args, int pixel,
                           int column) {
  float* out = args.out + (column - args.first_column);
  int left = 0;  // pixels of this row
  if constexpr (kThen != Then::kRelu6Pool) {
    const int row = pixel / args.row_pixels;
    left = (row + 1) * args.row_pixels - pixel;
    out += pixel * args.out_stride + row * args.row_gap;
  }
#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) FinishVector<kThen>(acc[r][v], out + v * kLanes);
    if constexpr (kHalf) FinishVector<kThen>(half[r], out + kVectors * kLanes);
    if constexpr (kThen != Then::kRelu6Pool) {
      out += args.out_stride;
      if (--left == 0) {
        left = args.row_pixels;
        out += args.row_gap;
      }
    }
  }
}

// One panel for kRows pixels, the first of them `pixel`.
template <int kRows, int kVectors, bool kHalf>
HWY_NOINLINE void Tile(const MatMulArgs& args, const float* HWY_RESTRICT panel, int pixel,
                       int column) {
  constexpr Full d;
  constexpr Half h;
  constexpr int kWidth = (kVectors + (kHalf ? 1 : 0)) * kLanes;  // as packed
  hn::Vec<Full> acc[kRows][AtLeast1(kVectors)];
  hn::Vec<Half> half[kRows];

#pragma GCC unroll 16
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) acc[r][v] = hn::LoadU(d, panel + v * kLanes);
    if constexpr (kHalf) half[r] = hn::LoadU(h, panel + kVectors * kLanes);
  }
  panel += kWidth;

  const ptrdiff_t stride = args.pixel_stride;
  const float* segment = args.in + pixel * stride;
  for (int rows_left = args.weights->rows; rows_left > 0; rows_left -= args.segment_length) {
    const float* HWY_RESTRICT in = segment;
    segment += args.segment_stride;
    for (int k = std::min(rows_left, args.segment_length); k > 0; --k, ++in, panel += kWidth) {
      hn::Vec<Full> weights[AtLeast1(kVectors)];
      hn::Vec<Half> half_weights;
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) weights[v] = hn::LoadU(d, panel + v * kLanes);
      if constexpr (kHalf) half_weights = hn::LoadU(h, panel + kVectors * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < kRows; ++r) {
        const hn::Vec<Full> x = hn::Set(d, in[r * stride]);
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) acc[r][v] = Fma(x, weights[v], acc[r][v]);
        if constexpr (kHalf) half[r] = Fma(hn::LowerHalf(h, x), half_weights, half[r]);
      }
    }
  }

  switch (args.then) {
    case Then::kStore:
      return FinishTile<Then::kStore, kRows, kVectors, kHalf>(acc, half, args, pixel, column);
    case Then::kAdd:
      return FinishTile<Then::kAdd, kRows, kVectors, kHalf>(acc, half, args, pixel, column);
    case Then::kRelu6:
      return FinishTile<Then::kRelu6, kRows, kVectors, kHalf>(acc, half, args, pixel, column);
    case Then::kRelu6Pool:
      return FinishTile<Then::kRelu6Pool, kRows, kVectors, kHalf>(acc, half, args, pixel, column);
  }
}

using TileFunction = void (*)(const MatMulArgs& args, const float* panel, int pixel, int column);

// Tiles of 1 to kMaxRows pixels, by the number of pixels less one.
template <int kVectors, bool kHalf, int... kRowsLess1>
constexpr std::array<TileFunction, kMaxRows> Tiles(std::integer_sequence<int, kRowsLess1...>) {
  return {Tile<kRowsLess1 + 1, kVectors, kHalf>...};
}

template <int kVectors, bool kHalf>
void Panel(const MatMulArgs& args, const float* panel, int column) {
  static constexpr auto kTiles =
      Tiles<kVectors, kHalf>(std::make_integer_sequence<int, kMaxRows>());
  // As few tiles as possible, as equal as possible.
  const int tiles = (args.pixels + kMaxRows - 1) / kMaxRows;
  for (int tile = 0, pixel = 0; tile < tiles; ++tile) {
    const int rows = (args.pixels - pixel) / (tiles - tile);
    kTiles[rows - 1](args, panel, pixel, column);
    pixel += rows;
  }
}

void MatMul(const MatMulArgs& args) {
  const PackedMatrix& weights = *args.weights;
  constexpr int kWidth = 2 * kLanes;
  static_assert(kGroup % kWidth == 0);
  const int end = args.first_column + args.columns;
  for (int column = args.first_column; column < end; column += kWidth) {
    const int width = std::min(kWidth, end - column);
    const float* panel = weights.panels.get() + static_cast<ptrdiff_t>(column) * (weights.rows + 1);
    if (width == kWidth) {
      Panel<2, false>(args, panel, column);
    } else if (width == kLanes) {
      Panel<1, false>(args, panel, column);
    } else if constexpr (kHalves) {
      if (width > kLanes) {
        Panel<1, true>(args, panel, column);
      } else {
        Panel<0, true>(args, panel, column);
      }
    }
  }
}

}  // namespace pomona::native::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
