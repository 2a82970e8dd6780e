// Coefficients of a JPEG -> samples -> rows of pixels, as libjpeg makes them.
//
// The DCT is that of jidctint.c, whose results are sums of products of 32 bits, rounded after each of
// the two passes: how the products are put together does not matter. Blocks lie side by side, a
// block's row in each 128 bits of a vector.
#if defined(POMONA_DECODE_JPEG_PIXELS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef POMONA_DECODE_JPEG_PIXELS_INL_H_
#undef POMONA_DECODE_JPEG_PIXELS_INL_H_
#else
#define POMONA_DECODE_JPEG_PIXELS_INL_H_
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "hwy/highway.h"
#include "jpeg_picture.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR
namespace hn = hwy::HWY_NAMESPACE;

using D8 = hn::ScalableTag<uint8_t>;
using D16 = hn::Repartition<int16_t, D8>;
using D32 = hn::Repartition<int32_t, D8>;
using DU16 = hn::Repartition<uint16_t, D8>;
using V8 = hn::Vec<D8>;
using V16 = hn::Vec<D16>;
using V32 = hn::Vec<D32>;

constexpr D8 d8;
constexpr D16 d16;
constexpr D32 d32;
constexpr DU16 du16;

// Blocks that are transformed at once.
constexpr int kGroup = static_cast<int>(HWY_LANES(int16_t)) / 8;
static_assert(HWY_LANES(uint8_t) <= kRowPadding / 2);

// Where coefficients go, in the order of the stream: from a block's first one in a group of blocks.
// Behind the block's end stands the place of its first coefficient, which is written last.
using Places = std::array<uint16_t, HuffmanTable::kEndOfBlock + kBlockSize + 1>;

constexpr Places MakePlaces() {
  Places places = {};
  for (int k = 0; k < kBlockSize; ++k) {
    places[k] = static_cast<uint16_t>(kZigzag[k] / 8 * kGroup * 8 + kZigzag[k] % 8);
  }
  return places;
}

constexpr Places kPlaces = MakePlaces();

// The first coefficient of a block, where groups begin at `groups`.
HWY_INLINE int16_t* BlockAt(int16_t* groups, size_t block) {
  return groups + block / kGroup * kGroup * kBlockSize + block % kGroup * 8;
}

// Sums of products of neighbours: pairs[0] * factors[0] + pairs[1] * factors[1], ...
struct Factors {
  int16_t first, second;
};

HWY_INLINE V32 SumPairs(V16 pairs, Factors factors) {
  const V16 both = hn::BitCast(
      d16, hn::Set(d32, static_cast<int32_t>(static_cast<uint16_t>(factors.first) |
                                             static_cast<uint32_t>(factors.second) << 16)));
  V32 odd = hn::Zero(d32);
  const V32 sum = hn::ReorderWidenMulAccumulate(d32, pairs, both, hn::Zero(d32), odd);
  return hn::RearrangeToOddPlusEven(sum, odd);
}

// One dimension of half of the columns. in: rows 0 and 4, 2 and 6, 1 and 3, 5 and 7, interleaved.
// The constants are jidctint.c's, of 13 bits after the point.
template <int kShift, bool kSparse>
HWY_INLINE void TransformHalf(V16 in04, V16 in26, V16 in13, V16 in57, V32 rounding, V32 (&out)[8]) {
  constexpr int k0_298 = 2446, k0_390 = 3196, k0_541 = 4433, k0_765 = 6270, k0_899 = 7373,
                k1_175 = 9633, k1_501 = 12299, k1_847 = 15137, k1_961 = 16069, k2_053 = 16819,
                k2_562 = 20995, k3_072 = 25172, kOne = 8192;
  const V32 sum04 = hn::Add(SumPairs(in04, {kOne, kOne}), rounding);
  const V32 difference04 = kSparse ? sum04 : hn::Add(SumPairs(in04, {kOne, -kOne}), rounding);
  const V32 sum26 = SumPairs(in26, {k0_541 + k0_765, k0_541});
  const V32 difference26 = SumPairs(in26, {k0_541, k0_541 - k1_847});
  const V32 even[4] = {hn::Add(sum04, sum26), hn::Add(difference04, difference26),
                       hn::Sub(difference04, difference26), hn::Sub(sum04, sum26)};
  V32 odd[4] = {
      SumPairs(in13, {k1_501 - k0_899 - k0_390 + k1_175, k1_175}),
      SumPairs(in13, {k1_175, k3_072 - k2_562 - k1_961 + k1_175}),
      SumPairs(in13, {k1_175 - k0_390, k1_175 - k2_562}),
      SumPairs(in13, {k1_175 - k0_899, k1_175 - k1_961}),
  };
  if constexpr (!kSparse) {
    odd[0] = hn::Add(odd[0], SumPairs(in57, {k1_175 - k0_390, k1_175 - k0_899}));
    odd[1] = hn::Add(odd[1], SumPairs(in57, {k1_175 - k2_562, k1_175 - k1_961}));
    odd[2] = hn::Add(odd[2], SumPairs(in57, {k2_053 - k2_562 - k0_390 + k1_175, k1_175}));
    odd[3] = hn::Add(odd[3], SumPairs(in57, {k1_175, k0_298 - k0_899 - k1_961 + k1_175}));
  }
  for (int i = 0; i < 4; ++i) {
    out[i] = hn::ShiftRight<kShift>(hn::Add(even[i], odd[i]));
    out[7 - i] = hn::ShiftRight<kShift>(hn::Sub(even[i], odd[i]));
  }
}

// One dimension. kSparse: rows 4 to 7 are zero.
template <int kShift, bool kSparse>
HWY_INLINE void Transform(V32 rounding, V16 (&v)[8]) {
  const V16 zero = hn::Zero(d16);
  const V16 v4 = kSparse ? zero : v[4], v5 = kSparse ? zero : v[5], v6 = kSparse ? zero : v[6],
            v7 = kSparse ? zero : v[7];
  V32 lower[8], upper[8];
  TransformHalf<kShift, kSparse>(
      hn::InterleaveLower(d16, v[0], v4), hn::InterleaveLower(d16, v[2], v6),
      hn::InterleaveLower(d16, v[1], v[3]), hn::InterleaveLower(d16, v5, v7), rounding, lower);
  TransformHalf<kShift, kSparse>(
      hn::InterleaveUpper(d16, v[0], v4), hn::InterleaveUpper(d16, v[2], v6),
      hn::InterleaveUpper(d16, v[1], v[3]), hn::InterleaveUpper(d16, v5, v7), rounding, upper);
  for (int i = 0; i < 8; ++i) v[i] = hn::ReorderDemote2To(d16, lower[i], upper[i]);
}

// Three rounds of interleaving row i with row i + 4 transpose 8 x 8. kSparse: columns 4 to 7 are
// zero.
template <bool kSparse>
HWY_INLINE void Transpose(V16 (&v)[8]) {
  V16 w[8];
  for (int i = 0; i < 4; ++i) {
    w[2 * i] = hn::InterleaveLower(d16, v[i], v[i + 4]);
    if constexpr (!kSparse) w[2 * i + 1] = hn::InterleaveUpper(d16, v[i], v[i + 4]);
  }
  if constexpr (kSparse) {
    const V16 x[4] = {hn::InterleaveLower(d16, w[0], w[4]), hn::InterleaveUpper(d16, w[0], w[4]),
                      hn::InterleaveLower(d16, w[2], w[6]), hn::InterleaveUpper(d16, w[2], w[6])};
    for (int i = 0; i < 2; ++i) {
      v[2 * i] = hn::InterleaveLower(d16, x[i], x[i + 2]);
      v[2 * i + 1] = hn::InterleaveUpper(d16, x[i], x[i + 2]);
    }
  } else {
    for (int i = 0; i < 4; ++i) {
      v[2 * i] = hn::InterleaveLower(d16, w[i], w[i + 4]);
      v[2 * i + 1] = hn::InterleaveUpper(d16, w[i], w[i + 4]);
    }
    for (int i = 0; i < 4; ++i) {
      w[2 * i] = hn::InterleaveLower(d16, v[i], v[i + 4]);
      w[2 * i + 1] = hn::InterleaveUpper(d16, v[i], v[i + 4]);
    }
    for (int i = 0; i < 8; ++i) v[i] = w[i];
  }
}

// Clips samples to bytes: those of even columns, each before its neighbour of the odd ones.
HWY_INLINE V8 Join(V16 even, V16 odd) {
  const V16 zero = hn::Zero(d16);
  const V16 most = hn::Set(d16, 255);
  even = hn::Min(hn::Max(even, zero), most);
  odd = hn::Min(hn::Max(odd, zero), most);
  return hn::BitCast(d8, hn::Or(even, hn::ShiftLeft<8>(odd)));
}

// Stores rows of samples. v: a block's columns.
HWY_INLINE void StoreColumns(const V16 (&v)[8], uint8_t* out, size_t stride) {
  V8 b[4];  // bytes of column i between those of column i + 4
  for (int i = 0; i < 4; ++i) b[i] = Join(v[i], v[i + 4]);
  const V8 c[4] = {hn::InterleaveLower(d8, b[0], b[2]), hn::InterleaveUpper(d8, b[0], b[2]),
                   hn::InterleaveLower(d8, b[1], b[3]), hn::InterleaveUpper(d8, b[1], b[3])};
  // Each holds two rows of each block.
  const hn::Repartition<uint64_t, D8> d64;
  const auto row01 = hn::BitCast(d64, hn::InterleaveLower(d8, c[0], c[2]));
  const auto row23 = hn::BitCast(d64, hn::InterleaveUpper(d8, c[0], c[2]));
  const auto row45 = hn::BitCast(d64, hn::InterleaveLower(d8, c[1], c[3]));
  const auto row67 = hn::BitCast(d64, hn::InterleaveUpper(d8, c[1], c[3]));
  const auto store_rows = [&](auto rows, int first, int second) HWY_ATTR {
    const hn::Half<D8> half;
    const auto bytes = hn::BitCast(d8, rows);
    hn::StoreU(hn::LowerHalf(half, bytes), half, out + first * stride);
    hn::StoreU(hn::UpperHalf(half, bytes), half, out + second * stride);
  };
  store_rows(hn::ConcatEven(d64, row23, row01), 0, 2);
  store_rows(hn::ConcatOdd(d64, row23, row01), 1, 3);
  store_rows(hn::ConcatEven(d64, row67, row45), 4, 6);
  store_rows(hn::ConcatOdd(d64, row67, row45), 5, 7);
}

// Of the sums: to two bits after the point, then to none and to an eighth.
constexpr int kPass1Shift = 11;
constexpr int kPass2Shift = 18;

// kSparse: nothing outside of the first four rows and columns. Adds to `wild` whatever has the
// uppermost bit where libjpeg's sums of 16 bits might wrap.
template <bool kSparse>
HWY_INLINE void TransformGroup(const int16_t* HWY_RESTRICT coefficients,
                               const int16_t* HWY_RESTRICT quantization, V16* wild, uint8_t* out,
                               size_t stride) {
  V16 v[8];
  for (int i = 0; i < (kSparse ? 4 : 8); ++i) {
    v[i] = hn::Mul(hn::LoadU(d16, coefficients + i * kGroup * 8),
                   hn::LoadDup128(d16, quantization + i * 8));
  }
  Transform<kPass1Shift, kSparse>(hn::Set(d32, 1 << (kPass1Shift - 1)), v);
  const V16 quarter = hn::Set(d16, 1 << 14);
  for (int i = 0; i < 8; ++i) *wild = hn::Or(*wild, hn::Add(v[i], quarter));
  Transpose<kSparse>(v);
  constexpr int kMiddle = 128;  // of the samples' range
  Transform<kPass2Shift, kSparse>(hn::Set(d32, (1 << (kPass2Shift - 1)) + (kMiddle << kPass2Shift)),
                                  v);
  StoreColumns(v, out, stride);
}

// Blocks that are flat, each in its own shade.
HWY_INLINE void FillGroup(const int16_t* coefficients, int quantization, uint8_t* out,
                          size_t stride) {
  for (int i = 0; i < kGroup; ++i) {
    const int level = std::clamp(((coefficients[i * 8] * quantization + 4) >> 3) + 128, 0, 255);
    for (int row = 0; row < 8; ++row) std::memset(out + row * stride + i * 8, level, 8);
  }
}

// Blocks side by side, to samples. last: of each block, the place in the stream of its last coefficient
// that is not zero.
inline void TransformBlocks(const JpegComponent& component, const int16_t* coefficients,
                            const uint8_t* last, int blocks, V16* wild, uint8_t* out) {
  constexpr int kLastOfSparse = 9;  // of the first four diagonals
  const int16_t* const quantization = component.quantization.data();
  for (int x = 0; x < blocks; x += kGroup) {
    const int16_t* group = coefficients + x * kBlockSize;
    int most = 0;
    for (int i = 0; i < kGroup; ++i) most = std::max<int>(most, last[x + i]);
    if (most == 0) {
      FillGroup(group, quantization[0], out + x * 8, component.stride);
    } else if (most <= kLastOfSparse) {
      TransformGroup<true>(group, quantization, wild, out + x * 8, component.stride);
    } else {
      TransformGroup<false>(group, quantization, wild, out + x * 8, component.stride);
    }
  }
}

// Samples of even and odd columns, 16 bits each.
struct Columns {
  V16 even, odd;
};

HWY_INLINE Columns Split(V8 samples) {
  const auto both = hn::BitCast(du16, samples);
  return {hn::BitCast(d16, hn::And(both, hn::Set(du16, 0xff))),
          hn::BitCast(d16, hn::ShiftRight<8>(both))};
}

struct Rgb {
  V16 r, g, b;
};

// What jdcolor.c's tables hold, of 16 bits after the point. Factors above one half are split into a
// whole number and a remainder, which 16 bits hold.
HWY_INLINE Rgb Convert(V16 y, V16 cb, V16 cr) {
  constexpr int kCrToR = 91881 - 65536, kCbToB = 116130 - 2 * 65536, kCbToG = -22554,
                kCrToG = 65536 - 46802;
  const V16 middle = hn::Set(d16, 128);
  cb = hn::Sub(cb, middle);
  cr = hn::Sub(cr, middle);
  // Rounds a product of 16 bits after the point: the one behind it is 1, or not.
  const auto product = [](V16 twice, int factor) HWY_ATTR {
    const V16 high = hn::MulHigh(twice, hn::Set(d16, static_cast<int16_t>(factor)));
    return hn::ShiftRight<1>(hn::Add(high, hn::Set(d16, 1)));
  };
  const V16 cb2 = hn::Add(cb, cb);
  const V16 cr2 = hn::Add(cr, cr);
  const V32 half = hn::Set(d32, 1 << 15);
  const auto green = [&](V16 pairs) HWY_ATTR {
    return hn::ShiftRight<16>(hn::Add(SumPairs(pairs, {kCbToG, kCrToG}), half));
  };
  const V16 g = hn::ReorderDemote2To(d16, green(hn::InterleaveLower(d16, cb, cr)),
                                     green(hn::InterleaveUpper(d16, cb, cr)));
  return {hn::Add(hn::Add(y, cr), product(cr2, kCrToR)), hn::Add(hn::Sub(y, cr), g),
          hn::Add(hn::Add(y, cb2), product(cb2, kCbToB))};
}

HWY_INLINE void StorePixels(const uint8_t* luma, Columns cb, Columns cr, uint8_t* rgb) {
  const Columns y = Split(hn::LoadU(d8, luma));
  const Rgb even = Convert(y.even, cb.even, cr.even);
  const Rgb odd = Convert(y.odd, cb.odd, cr.odd);
  hn::StoreInterleaved3(Join(even.r, odd.r), Join(even.g, odd.g), Join(even.b, odd.b), d8, rgb);
}

// One row of pixels. Writes up to a vector of pixels too many.
inline void ConvertGray(const uint8_t* luma, size_t width, uint8_t* rgb) {
  for (size_t x = 0; x < width; x += hn::Lanes(d8)) {
    const V8 y = hn::LoadU(d8, luma + x);
    hn::StoreInterleaved3(y, y, y, d8, rgb + 3 * x);
  }
}

inline void ConvertRow(const uint8_t* luma, const uint8_t* cb, const uint8_t* cr, size_t width,
                       uint8_t* rgb) {
  for (size_t x = 0; x < width; x += hn::Lanes(d8)) {
    StorePixels(luma + x, Split(hn::LoadU(d8, cb + x)), Split(hn::LoadU(d8, cr + x)), rgb + 3 * x);
  }
}

// Three quarters of the nearer chroma sample, one of the farther, rounded down and up in turn.
template <int kShift, int kRoundEven, int kRoundOdd>
HWY_INLINE Columns Upsample(const uint16_t* sums) {
  const auto middle = hn::LoadU(du16, sums);
  const auto three = hn::Add(hn::Add(middle, middle), middle);
  const auto left = hn::Add(hn::LoadU(du16, sums - 1), hn::Set(du16, kRoundEven));
  const auto right = hn::Add(hn::LoadU(du16, sums + 1), hn::Set(du16, kRoundOdd));
  return {hn::BitCast(d16, hn::ShiftRight<kShift>(hn::Add(three, left))),
          hn::BitCast(d16, hn::ShiftRight<kShift>(hn::Add(three, right)))};
}

// As ConvertRow(), chroma at half the width.
template <int kShift, int kRoundEven, int kRoundOdd>
void UpsampleRow(const uint8_t* luma, const uint16_t* cb, const uint16_t* cr, size_t width,
                 uint8_t* rgb) {
  for (size_t x = 0; x < width; x += hn::Lanes(d8)) {
    StorePixels(luma + x, Upsample<kShift, kRoundEven, kRoundOdd>(cb + x / 2),
                Upsample<kShift, kRoundEven, kRoundOdd>(cr + x / 2), rgb + 3 * x);
  }
}

// sums: near, or 3 x near + far; and the outermost ones once more beside them.
template <bool kTwoRows>
void SumRows(const uint8_t* near, const uint8_t* far, size_t width, uint16_t* sums) {
  const hn::Half<D8> half;
  for (size_t x = 0; x < width; x += hn::Lanes(du16)) {
    auto sum = hn::PromoteTo(du16, hn::LoadU(half, near + x));
    if constexpr (kTwoRows) {
      sum = hn::Add(hn::Add(sum, sum), hn::Add(sum, hn::PromoteTo(du16, hn::LoadU(half, far + x))));
    }
    hn::StoreU(sum, du16, sums + x);
  }
  sums[-1] = sums[0];
  sums[width] = sums[width - 1];
}

// Chroma at half the height only.
inline void BlendRows(const uint8_t* near, const uint8_t* far, int rounding, size_t width,
                      uint8_t* out) {
  const hn::Half<D8> half;
  const auto bias = hn::Set(d16, static_cast<int16_t>(rounding));
  for (size_t x = 0; x < width; x += hn::Lanes(d16)) {
    const V16 a = hn::PromoteTo(d16, hn::LoadU(half, near + x));
    const V16 b = hn::PromoteTo(d16, hn::LoadU(half, far + x));
    const V16 sum = hn::Add(hn::Add(hn::Add(a, a), hn::Add(a, b)), bias);
    hn::StoreU(hn::DemoteTo(half, hn::ShiftRight<2>(sum)), half, out + x);
  }
}

inline void MakeRow(const JpegPicture& picture, int y, uint8_t* rgb) {
  const size_t width = static_cast<size_t>(picture.width);
  const uint8_t* luma = picture.components[0].Row(y);
  if (picture.component_count == 1) return ConvertGray(luma, width, rgb);
  const JpegComponent& cb = picture.components[1];
  const JpegComponent& cr = picture.components[2];
  const int near = y / picture.components[0].v;
  const int far = std::clamp(y % 2 == 0 ? near - 1 : near + 1, 0, picture.chroma_height - 1);
  const size_t chroma_width = static_cast<size_t>(picture.chroma_width);
  uint16_t* sums[2] = {picture.sums[0], picture.sums[1]};
  if (picture.components[0].h == 2) {
    if (picture.components[0].v == 2) {
      SumRows<true>(cb.Row(near), cb.Row(far), chroma_width, sums[0]);
      SumRows<true>(cr.Row(near), cr.Row(far), chroma_width, sums[1]);
      return UpsampleRow<4, 8, 7>(luma, sums[0], sums[1], width, rgb);
    }
    SumRows<false>(cb.Row(near), nullptr, chroma_width, sums[0]);
    SumRows<false>(cr.Row(near), nullptr, chroma_width, sums[1]);
    return UpsampleRow<2, 1, 2>(luma, sums[0], sums[1], width, rgb);
  }
  if (picture.components[0].v == 1) return ConvertRow(luma, cb.Row(near), cr.Row(near), width, rgb);
  uint8_t* blended[2] = {reinterpret_cast<uint8_t*>(sums[0]), reinterpret_cast<uint8_t*>(sums[1])};
  BlendRows(cb.Row(near), cb.Row(far), 1 + y % 2, width, blended[0]);
  BlendRows(cr.Row(near), cr.Row(far), 1 + y % 2, width, blended[1]);
  ConvertRow(luma, blended[0], blended[1], width, rgb);
}

// All rows of pixels: decode(y, wild) gives the samples of a row of MCUs, false where anything is
// unusual; false then.
template <typename DecodeMcuRow>
bool MakeRows(const JpegPicture& picture, Band* band, DecodeMcuRow decode) {
  V16 wild = hn::Zero(d16);
  const int luma_v = picture.components[0].v;
  int made = 0;
  for (int mcu_row = 0; made < picture.height; ++mcu_row) {
    if (!decode(mcu_row, &wild) || !hn::AllFalse(d16, hn::Lt(wild, hn::Zero(d16)))) return false;
    // The last row waits for the chroma below it.
    const int decoded = (mcu_row + 1) * luma_v * 8;
    const int ready = decoded >= picture.height ? picture.height : decoded - (luma_v - 1);
    for (; made < ready; ++made) MakeRow(picture, made, band->Next());
  }
  band->Flush();
  return true;
}

#endif  // HWY_TARGET != HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#endif
