// What the kernels share: the vectors of the instruction set, and the one fused multiply-add.
#if defined(POMONA_INFER_NATIVE_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_INFER_NATIVE_VECTOR_INL_H_
#undef POMONA_INFER_NATIVE_VECTOR_INL_H_
#else
#define POMONA_INFER_NATIVE_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace pomona::native::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Full = hn::ScalableTag<float>;
constexpr int kLanes = static_cast<int>(hn::MaxLanes(Full()));

// Channels are multiples of 8, so that half a vector of 16 is the only remainder there can be.
using Half = hn::Half<Full>;
constexpr bool kHalves = kLanes > 8;
static_assert(kLanes <= 16);

// x * w + acc, rounded once on every instruction set.
template <class V>
HWY_INLINE V Fma(V x, V w, V acc) {
#if HWY_NATIVE_FMA
  return hn::MulAdd(x, w, acc);
#else
  constexpr hn::DFromV<V> d;
  HWY_ALIGN float xs[hn::MaxLanes(d)], ws[hn::MaxLanes(d)], accs[hn::MaxLanes(d)];
  hn::Store(x, d, xs);
  hn::Store(w, d, ws);
  hn::Store(acc, d, accs);
  for (size_t i = 0; i < hn::MaxLanes(d); ++i) accs[i] = std::fma(xs[i], ws[i], accs[i]);
  return hn::Load(d, accs);
#endif
}

template <class V>
HWY_INLINE V Relu6(V x) {
  constexpr hn::DFromV<V> d;
  return hn::Min(hn::Max(x, hn::Zero(d)), hn::Set(d, 6.0f));
}

}  // namespace pomona::native::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
