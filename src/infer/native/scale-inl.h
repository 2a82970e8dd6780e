// Bytes of a picture as the network sees them.
#if defined(POMONA_INFER_NATIVE_SCALE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_INFER_NATIVE_SCALE_INL_H_
#undef POMONA_INFER_NATIVE_SCALE_INL_H_
#else
#define POMONA_INFER_NATIVE_SCALE_INL_H_
#endif

#include <cstddef>
#include <cstdint>

#include "infer/native/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::native::HWY_NAMESPACE {

// A division, correctly rounded everywhere, not a product with the inverse: these are Keras' bits.
void Scale(const uint8_t* bytes, size_t n, float* out) {
  constexpr Full d;
  constexpr hn::Rebind<uint8_t, Full> bytes_tag;
  constexpr hn::Rebind<int32_t, Full> integers_tag;
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const auto integers = hn::PromoteTo(integers_tag, hn::LoadU(bytes_tag, bytes + i));
    const auto scaled = hn::Div(hn::ConvertTo(d, integers), hn::Set(d, 127.5f));
    hn::StoreU(hn::Sub(scaled, hn::Set(d, 1.0f)), d, out + i);
  }
  for (; i < n; ++i) out[i] = static_cast<float>(bytes[i]) / 127.5f - 1.0f;
}

}  // namespace pomona::native::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
