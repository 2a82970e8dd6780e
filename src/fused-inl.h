// The vectors in which sums are gathered by fused multiply-adds, to the same bits everywhere.
#if defined(POMONA_FUSED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_FUSED_INL_H_
#undef POMONA_FUSED_INL_H_
#else
#define POMONA_FUSED_INL_H_
#endif

#include <hwy/highway.h>

#include <cmath>

HWY_BEFORE_NAMESPACE();
namespace pomona::HWY_NAMESPACE {

// Of one lane where the instruction is missing: slow, but the lanes need no arrays.
#if HWY_NATIVE_FMA
template <class T>
using FusedTag = hwy::HWY_NAMESPACE::ScalableTag<T>;
#else
template <class T>
using FusedTag = hwy::HWY_NAMESPACE::CappedTag<T, 1>;
#endif

// a * b + c of such vectors, rounded once.
template <class V>
HWY_INLINE V FusedMulAdd(V a, V b, V c) {
  namespace hn = hwy::HWY_NAMESPACE;
#if HWY_NATIVE_FMA
  return hn::MulAdd(a, b, c);
#else
  return hn::Set(hn::DFromV<V>(), std::fma(hn::GetLane(a), hn::GetLane(b), hn::GetLane(c)));
#endif
}

}  // namespace pomona::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
