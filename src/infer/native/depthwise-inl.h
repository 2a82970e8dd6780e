// The depthwise 3x3 convolution with ReLU6, vectorised over channels.
#if defined(POMONA_INFER_NATIVE_DEPTHWISE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_INFER_NATIVE_DEPTHWISE_INL_H_
#undef POMONA_INFER_NATIVE_DEPTHWISE_INL_H_
#else
#define POMONA_INFER_NATIVE_DEPTHWISE_INL_H_
#endif

#include "infer/native/kernels.h"
#include "infer/native/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::native::HWY_NAMESPACE {

// kPixels adjacent outputs of one vector of channels. An input is loaded once a window row and used
// for all outputs that it touches, so in the order of window columns for each of them. packed: bias
// and weights; offset: of the first input in each of the rows.
template <int kPixels, int kStride, class D>
HWY_INLINE void FilterPixels(D d, const float* HWY_RESTRICT packed, const float* const* rows,
                             ptrdiff_t offset, float* HWY_RESTRICT out) {
  hn::Vec<D> acc[kPixels];
  const hn::Vec<D> bias = hn::LoadU(d, packed);
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p) acc[p] = bias;
#pragma GCC unroll 16
  for (int row = 0; row < 3; ++row) {
    // No more of them than AVX2 has registers for.
    const float* const weights = packed + (1 + 3 * row) * kLanes;
    const hn::Vec<D> filter[3] = {hn::LoadU(d, weights), hn::LoadU(d, weights + kLanes),
                                  hn::LoadU(d, weights + 2 * kLanes)};
    const float* HWY_RESTRICT in = rows[row] + offset;
#pragma GCC unroll 16
    for (int i = 0; i < (kPixels - 1) * kStride + 3; ++i) {
      const hn::Vec<D> x = hn::LoadU(d, in + i * kGroup);
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p) {
        const int column = i - p * kStride;
        if (column >= 0 && column < 3) acc[p] = Fma(x, filter[column], acc[p]);
      }
    }
  }
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p) hn::StoreU(Relu6(acc[p]), d, out + p * kGroup);
}

// All channels of kPixels adjacent outputs, while their inputs are in the L1 cache.
template <int kPixels, int kStride>
HWY_INLINE void FilterGroup(const DepthwiseArgs& args, const float* packed, const float* const* in,
                            int pixel, float* out) {
  const ptrdiff_t offset = static_cast<ptrdiff_t>(pixel) * kStride * kGroup;
  out += static_cast<ptrdiff_t>(pixel) * kGroup;
  int channel = 0;
  for (; channel + kLanes <= args.channels; channel += kLanes) {
    FilterPixels<kPixels, kStride>(Full(), packed + channel * 10, in, offset + channel,
                                   out + channel);
  }
  if constexpr (kHalves) {
    if (channel < args.channels) {
      FilterPixels<kPixels, kStride>(Half(), packed + channel * 10, in, offset + channel,
                                     out + channel);
    }
  }
}

template <int kStride>
void FilterRows(const DepthwiseArgs& args) {
  const float* packed =
      args.weights->vectors.get() + static_cast<ptrdiff_t>(args.first_channel) * 10;
  const float* const* in = args.in;
  float* out = args.out;
  for (int row = 0; row < args.rows; ++row, in += kStride, out += args.pixels * kGroup) {
    int pixel = 0;
    for (; pixel + 7 <= args.pixels; pixel += 7) {
      FilterGroup<7, kStride>(args, packed, in, pixel, out);
    }
    for (; pixel + 3 <= args.pixels; pixel += 3) {
      FilterGroup<3, kStride>(args, packed, in, pixel, out);
    }
    for (; pixel < args.pixels; ++pixel) {
      FilterGroup<1, kStride>(args, packed, in, pixel, out);
    }
  }
}

void Depthwise(const DepthwiseArgs& args) {
  if (args.stride == 1) {
    FilterRows<1>(args);
  } else {
    FilterRows<2>(args);
  }
}

}  // namespace pomona::native::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
