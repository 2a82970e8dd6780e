// The matrix product behind pointwise and full convolutions.
#if defined(POMONA_INFER_NATIVE_MATMUL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_INFER_NATIVE_MATMUL_INL_H_
#undef POMONA_INFER_NATIVE_MATMUL_INL_H_
#else
#define POMONA_INFER_NATIVE_MATMUL_INL_H_
#endif

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "infer/native/kernels.h"
#include "infer/native/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::native::HWY_NAMESPACE {

// Pixels in a tile: as many as leave registers for the weights and one input beside two vectors of
// accumulators a pixel.
#if HWY_TARGET == HWY_AVX3
constexpr int kMaxPixels = 14;
#elif HWY_TARGET == HWY_AVX2
constexpr int kMaxPixels = 6;
#elif HWY_TARGET == HWY_NEON
constexpr int kMaxPixels = 12;
#else
constexpr int kMaxPixels = 4;
#endif

// With one vector of accumulators a pixel, six would leave AVX2's multiply-adders idle: the two of them
// work on eight at a time.
constexpr int MaxPixels(int vectors) {
  return HWY_TARGET == HWY_AVX2 && vectors == 1 ? 8 : kMaxPixels;
}

// A panel of more than kMaxInputs leaves the L1 cache before the next tile reads it again. So where they
// come in groups, as a projection's do, kInputsAtOnce are multiplied for all tiles before the next ones
// are, and the sums of up to kMaxSums pixels lie in memory in between. Only measured with AVX2; with
// AVX-512 Zen 4 reads panels from its L2 cache as fast as it multiplies.
#if HWY_TARGET == HWY_AVX2
constexpr int kMaxInputs = 320;
constexpr int kInputsAtOnce = 192;
#else
constexpr int kMaxInputs = std::numeric_limits<int>::max();
constexpr int kInputsAtOnce = 0;
#endif
constexpr int kMaxSums = 196;

constexpr int kLine = 16;  // floats in a cache line

// A tile's sums are kVectors vectors a pixel and, where kHalf, half a vector. Arrays are never
// empty.
constexpr int AtLeast1(int n) { return n > 0 ? n : 1; }

// Floats of a panel for each input, as packed.
template <int kVectors, bool kHalf>
constexpr int kPanelWidth = (kVectors + (kHalf ? 1 : 0)) * kLanes;

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

// Inputs of all pixels that are multiplied at once with one panel: what the tiles share, and what
// each hands on to the next.
struct Run {
  const float* weights;  // of the first input
  int inputs;
  bool first;  // sums begin with the biases, which stand before the weights
  bool last;   // sums are complete

  const float* in;
  float* out;
  int row_left;           // pixels that this row of outputs still takes
  float* sums = nullptr;  // where they lie between runs

  // What is read after this run, and how many cache lines of it a tile asks for.
  const float* ahead = nullptr;
  const float* ahead_end = nullptr;
  int lines = 0;
};

template <Then kThen, int kPixels, int kVectors, bool kHalf>
HWY_INLINE void FinishTile(const hn::Vec<Full> (&acc)[kPixels][AtLeast1(kVectors)],
                           const hn::Vec<Half> (&half)[kPixels], const MatMulArgs& args, Run& run) {
  const auto finish = [&](int p) HWY_ATTR {
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) FinishVector<kThen>(acc[p][v], run.out + v * kLanes);
    if constexpr (kHalf) FinishVector<kThen>(half[p], run.out + kVectors * kLanes);
  };
  if constexpr (kThen == Then::kRelu6Pool) {
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p) finish(p);
  } else if (run.row_left > kPixels) {
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p, run.out += args.out_stride) finish(p);
    run.row_left -= kPixels;
  } else {
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p) {
      finish(p);
      run.out += args.out_stride;
      if (--run.row_left == 0) {
        run.row_left = args.row_pixels;
        run.out += args.row_gap;
      }
    }
  }
}

// `tiles` tiles of kPixels pixels. kWhole: the run has all inputs.
template <int kPixels, int kVectors, bool kHalf, bool kWhole>
HWY_NOINLINE void Tiles(const MatMulArgs& args, int tiles, Run& shared) {
  constexpr Full d;
  constexpr Half h;
  constexpr int kWidth = kPanelWidth<kVectors, kHalf>;
  const ptrdiff_t stride = args.pixel_stride;
  Run run = shared;
  for (; tiles > 0; --tiles) {
    hn::Vec<Full> acc[kPixels][AtLeast1(kVectors)];
    hn::Vec<Half> half[kPixels];
    const bool biases = kWhole || run.first;
    const float* sums = biases ? run.weights - kWidth : run.sums;
#pragma GCC unroll 16
    for (int p = 0; p < kPixels; ++p, sums += biases ? 0 : kWidth) {
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) acc[p][v] = hn::LoadU(d, sums + v * kLanes);
      if constexpr (kHalf) half[p] = hn::LoadU(h, sums + kVectors * kLanes);
    }
    for (int i = 0; i < run.lines && run.ahead < run.ahead_end; ++i, run.ahead += kLine) {
      __builtin_prefetch(run.ahead, 0, 2);
    }

    const float* HWY_RESTRICT weight = run.weights;
    const float* segment = run.in;
    run.in += kPixels * stride;
    int inputs_left = kWhole ? args.weights->rows : run.inputs;
    for (; inputs_left > 0; inputs_left -= args.segment_length) {
      const float* HWY_RESTRICT in = segment;
      segment += args.segment_stride;
#pragma GCC unroll 2
      for (int k = std::min(inputs_left, args.segment_length); k > 0; --k, ++in, weight += kWidth) {
        hn::Vec<Full> weights[AtLeast1(kVectors)];
        hn::Vec<Half> half_weights;
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) weights[v] = hn::LoadU(d, weight + v * kLanes);
        if constexpr (kHalf) half_weights = hn::LoadU(h, weight + kVectors * kLanes);
#pragma GCC unroll 16
        for (int p = 0; p < kPixels; ++p) {
          const hn::Vec<Full> x = hn::Set(d, in[p * stride]);
#pragma GCC unroll 16
          for (int v = 0; v < kVectors; ++v) acc[p][v] = Fma(x, weights[v], acc[p][v]);
          if constexpr (kHalf) half[p] = Fma(hn::LowerHalf(h, x), half_weights, half[p]);
        }
      }
    }

    if (!kWhole && !run.last) {
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p, run.sums += kWidth) {
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) hn::StoreU(acc[p][v], d, run.sums + v * kLanes);
        if constexpr (kHalf) hn::StoreU(half[p], h, run.sums + kVectors * kLanes);
      }
      continue;
    }
    if (!kWhole) run.sums += kPixels * kWidth;
    switch (args.then) {
      case Then::kStore:
        FinishTile<Then::kStore, kPixels, kVectors, kHalf>(acc, half, args, run);
        break;
      case Then::kAdd:
        FinishTile<Then::kAdd, kPixels, kVectors, kHalf>(acc, half, args, run);
        break;
      case Then::kRelu6:
        FinishTile<Then::kRelu6, kPixels, kVectors, kHalf>(acc, half, args, run);
        break;
      case Then::kRelu6Pool:
        FinishTile<Then::kRelu6Pool, kPixels, kVectors, kHalf>(acc, half, args, run);
        break;
    }
  }
  shared = run;
}

using TilesFunction = void (*)(const MatMulArgs& args, int tiles, Run& run);

// Tiles of 1 pixel and more, by the number of pixels less one.
template <int kVectors, bool kHalf, bool kWhole, int... kPixelsLess1>
constexpr auto TilesBy(std::integer_sequence<int, kPixelsLess1...>) {
  return std::array<TilesFunction, sizeof...(kPixelsLess1)>{
      Tiles<kPixelsLess1 + 1, kVectors, kHalf, kWhole>...};
}

template <int kVectors, bool kHalf, bool kWhole>
void RunTiles(const MatMulArgs& args, Run& run) {
  constexpr int kMost = MaxPixels(kVectors + kHalf);
  static constexpr auto kTiles =
      TilesBy<kVectors, kHalf, kWhole>(std::make_integer_sequence<int, kMost>());
  // As few tiles as possible, as equal as possible.
  const int tiles = (args.pixels + kMost - 1) / kMost;
  const int pixels = args.pixels / tiles;
  const int larger = args.pixels % tiles;  // tiles with one pixel more
  run.lines = static_cast<int>((run.ahead_end - run.ahead) / kLine / tiles) + 1;
  if (larger > 0) kTiles[pixels](args, larger, run);
  kTiles[pixels - 1](args, tiles - larger, run);
}

template <int kVectors, bool kHalf>
void Panel(const MatMulArgs& args, const float* panel, int column) {
  constexpr int kWidth = kPanelWidth<kVectors, kHalf>;
  const PackedMatrix& matrix = *args.weights;
  const int columns_left = (matrix.columns - column + kLanes - 1) / kLanes * kLanes;
  const float* const end = panel + static_cast<ptrdiff_t>(columns_left) * (matrix.rows + 1);
  Run run{.weights = panel + kWidth,
          .inputs = matrix.rows,
          .first = true,
          .last = true,
          .in = args.in,
          .out = args.out + (column - args.first_column),
          .row_left = args.row_pixels};
  const auto look_ahead = [&] {
    const ptrdiff_t floats = static_cast<ptrdiff_t>(run.inputs) * kWidth;
    run.ahead = run.weights + floats;
    run.ahead_end = run.ahead + std::min(floats, end - run.ahead);
  };
  if constexpr (kInputsAtOnce > 0) {
    const int segments = kInputsAtOnce / args.segment_length;
    if (matrix.rows > kMaxInputs && args.pixels <= kMaxSums && segments > 0) {
      HWY_ALIGN float sums[kMaxSums * kWidth];
      const int inputs = segments * args.segment_length;
      for (int row = 0; row < matrix.rows; row += inputs) {
        run.inputs = std::min(inputs, matrix.rows - row);
        run.first = row == 0;
        run.last = row + run.inputs == matrix.rows;
        run.in = args.in + row / args.segment_length * args.segment_stride;
        run.sums = sums;
        look_ahead();
        RunTiles<kVectors, kHalf, false>(args, run);
        run.weights += run.inputs * kWidth;
      }
      return;
    }
  }
  look_ahead();
  RunTiles<kVectors, kHalf, true>(args, run);
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
