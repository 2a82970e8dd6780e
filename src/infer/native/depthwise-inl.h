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

// kPixels adjacent outputs. An input is loaded once a window row and used for all outputs that it
// touches, so in the order of window columns for each of them. filter: bias and weights.
template <int kPixels, int kStride, class D>
HWY_INLINE void FilterPixels(D d, const hn::Vec<D> (&filter)[10], const float* const* rows,
                             int pixel, int channel, float* HWY_RESTRICT out) {
  hn::Vec<D> acc[kPixels];
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p) acc[p] = filter[0];
#pragma GCC unroll 16
  for (int row = 0; row < 3; ++row) {
    const float* HWY_RESTRICT in = rows[row] + pixel * kStride * kGroup + channel;
#pragma GCC unroll 16
    for (int i = 0; i < (kPixels - 1) * kStride + 3; ++i) {
      const hn::Vec<D> x = hn::LoadU(d, in + i * kGroup);
#pragma GCC unroll 16
      for (int p = 0; p < kPixels; ++p) {
        const int column = i - p * kStride;
        if (column >= 0 && column < 3) acc[p] = Fma(x, filter[1 + row * 3 + column], acc[p]);
      }
    }
  }
  out += pixel * kGroup + channel;
#pragma GCC unroll 16
  for (int p = 0; p < kPixels; ++p) hn::StoreU(Relu6(acc[p]), d, out + p * kGroup);
}

// One vector of channels; `channel` counts from args.first_channel.
template <int kStride, class D>
HWY_INLINE void FilterRows(D d, const DepthwiseArgs& args, int channel) {
  const float* packed =
      args.weights->vectors.get() + static_cast<ptrdiff_t>(args.first_channel + channel) * 10;
  // In registers along the rows.
  hn::Vec<D> filter[10];
#pragma GCC unroll 16
  for (int i = 0; i < 10; ++i) filter[i] = hn::LoadU(d, packed + i * kLanes);
  const float* const* in = args.in;
  float* out = args.out;
  for (int row = 0; row < args.rows; ++row, in += kStride, out += args.pixels * kGroup) {
    int pixel = 0;
    for (; pixel + 7 <= args.pixels; pixel += 7) {
      FilterPixels<7, kStride>(d, filter, in, pixel, channel, out);
    }
    for (; pixel + 3 <= args.pixels; pixel += 3) {
      FilterPixels<3, kStride>(d, filter, in, pixel, channel, out);
    }
    for (; pixel < args.pixels; ++pixel) {
      FilterPixels<1, kStride>(d, filter, in, pixel, channel, out);
    }
  }
}

template <int kStride>
void FilterGroup(const DepthwiseArgs& args) {
  int channel = 0;
  for (; channel + kLanes <= args.channels; channel += kLanes) {
    FilterRows<kStride>(Full(), args, channel);
  }
  if constexpr (kHalves) {
    if (channel < args.channels) FilterRows<kStride>(Half(), args, channel);
  }
}

void Depthwise(const DepthwiseArgs& args) {
  if (args.stride == 1) {
    FilterGroup<1>(args);
  } else {
    FilterGroup<2>(args);
  }
}

}  // namespace pomona::native::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
