// A row of MCUs at a time: entropy decoding and the inverse DCT alternate every few MCUs, so that
// coefficients stay in the first cache; then as many rows of pixels are made as have their chroma.
//
// The DCT is that of jidctint.c, whose results are sums of products of 32 bits, rounded after each of
// the two passes: how the products are put together does not matter. Blocks lie side by side, a
// block's row in each 128 bits of a vector.
#include "baseline_jpeg.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <memory>
#include <span>
#include <tuple>

#include "baseline_scan.h"

// AVX-512 and whatever came after it has little to gain where most of the time goes into bits. SVE's
// and RVV's vectors may be longer than 128-bit blocks but do not interleave by blocks.
#define HWY_DISABLED_TARGETS \
  (((HWY_AVX3 << 1) - 1) | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/baseline_jpeg.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR

// Vectors of one lane gain nothing over libjpeg.
bool DecodeScan(BaselineScan*, Band*) { return false; }

#else
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
static_assert(kBatchMcus % kGroup == 0 && HWY_LANES(uint8_t) <= kRowPadding / 2);

std::span<BaselineComponent> Components(BaselineScan* scan) {
  return {scan->components.data(), static_cast<size_t>(scan->component_count)};
}

// The bits of a scan, from an UnstuffedBytes.
struct BitReader {
  uint64_t bits = 0;  // the next one uppermost
  int count = 0;      // of bits that were taken from the bytes but not yet used, at most 63
  const uint8_t* next = nullptr;

  // At least 56 bits. Reads 8 bytes.
  HWY_INLINE void Refill() {
    uint64_t word;
    std::memcpy(&word, next, sizeof word);
    if constexpr (std::endian::native == std::endian::little) word = __builtin_bswap64(word);
    bits |= word >> count;
    next += (63 - count) >> 3;
    count |= 56;
  }

  HWY_INLINE void Use(int used) {
    bits <<= used;
    count -= used;
  }
};

// Fills the window, as far as there is no marker.
void FillWindow(UnstuffedBytes* bytes) {
  constexpr ptrdiff_t kLanes = HWY_LANES(uint8_t);
  const uint8_t* in = bytes->in;
  uint8_t* out = bytes->window_end;
  const uint8_t* const full = bytes->window.data() + UnstuffedBytes::kWindow;
  while (out < full) {
    if (bytes->in_end - in >= kLanes) {
      const V8 v = hn::LoadU(d8, in);
      hn::StoreU(v, d8, out);
      const intptr_t found = hn::FindFirstTrue(d8, hn::Eq(v, hn::Set(d8, 0xff)));
      const intptr_t plain = found < 0 ? kLanes : found;
      in += plain;
      out += plain;
      if (found < 0) continue;
    } else {
      while (in < bytes->in_end && *in != 0xff) *out++ = *in++;
    }
    // Here is 0xff, or the end.
    if (bytes->in_end - in < 2 || in[1] != 0) {
      bytes->at_marker = true;
      std::memset(out, 0, kMaxBatchBytes);
      break;
    }
    *out++ = 0xff;
    in += 2;
  }
  bytes->in = in;
  bytes->window_end = out;
}

// The reader, with so many bytes before it that a batch of MCUs finds its bits there.
HWY_INLINE BitReader Provided(UnstuffedBytes* bytes, BitReader reader) {
  if (bytes->at_marker || bytes->window_end - reader.next >= kMaxBatchBytes) return reader;
  const size_t rest = static_cast<size_t>(bytes->window_end - reader.next);
  std::memmove(bytes->window.data(), reader.next, rest);
  reader.next = bytes->window.data();
  bytes->window_end = bytes->window.data() + rest;
  FillWindow(bytes);
  return reader;
}

// Bits that are left until the marker. Below 0: more were used than there are.
HWY_INLINE ptrdiff_t BitsLeft(const UnstuffedBytes& bytes, const BitReader& reader) {
  return (bytes.window_end - reader.next) * 8 + reader.count;
}

// Whether nothing but padding is left before a marker.
bool AtMarker(UnstuffedBytes* bytes, BitReader reader) {
  reader = Provided(bytes, reader);
  const ptrdiff_t left = BitsLeft(*bytes, reader);
  return bytes->at_marker && left >= 0 && left < 8;
}

// A reader of the interval that now starts.
BitReader StartInterval(UnstuffedBytes* bytes) {
  FillWindow(bytes);
  BitReader reader = {.next = bytes->window.data()};
  reader.Refill();
  return reader;
}

// Goes past a marker between two intervals.
bool Restart(BaselineScan* scan, const BitReader& reader) {
  if (!AtMarker(&scan->bytes, reader)) return false;
  if (!scan->bytes.Pass(JPEG_RST0 + scan->next_restart)) return false;
  scan->next_restart = (scan->next_restart + 1) % 8;
  for (BaselineComponent& component : Components(scan)) component.predictor = 0;
  return true;
}

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

// What comes next where HuffmanTable::Look() does not know. k: the coefficient that comes next.
HuffmanTable::Symbol FindCoefficient(const BaselineComponent& component, HuffmanTable::Symbol ac,
                                     uint64_t bits, unsigned k) {
  ac = component.ac_table->Find(ac, bits);
  const unsigned at = k + HuffmanTable::Skip(ac);
  if (at < kBlockSize && !component.IsTame(HuffmanTable::Value(ac), at)) {
    return HuffmanTable::kInvalidSymbol;
  }
  return ac;
}

// False where anything is unusual. Leaves at least 20 bits in `reader`, as it finds them.
HWY_INLINE bool DecodeBlock(BaselineComponent* component, BitReader* reader, int16_t* block,
                            uint8_t* last) {
  using Symbol = HuffmanTable::Symbol;
  BitReader in = *reader;  // which nobody has the address of, so that it stays in registers
  const HuffmanTable& dc_table = *component->dc_table;
  Symbol dc = dc_table.Look(in.bits);
  in.Refill();
  if (HWY_UNLIKELY(dc & HuffmanTable::kUnknown)) dc = dc_table.Find(dc, in.bits);
  if (HWY_UNLIKELY(HuffmanTable::Skip(dc) != 0)) return false;
  in.Use(HuffmanTable::Length(dc));
  component->predictor += HuffmanTable::Value(dc);
  if (HWY_UNLIKELY(!component->IsTame(component->predictor, 0))) return false;

  const HuffmanTable& ac_table = *component->ac_table;
  unsigned k = 1;
  unsigned last_k;
  const auto take = [&](Symbol ac) HWY_ATTR {
    in.Use(HuffmanTable::Length(ac));
    last_k = k;
    k += HuffmanTable::Skip(ac);
    block[kPlaces[k]] = HuffmanTable::Value(ac);
    ++k;
  };
  // Known symbols are short, so that bits are looked up before they are refilled: nothing waits.
  do {
    Symbol ac = ac_table.Look(in.bits);
    in.Refill();
    if (HWY_UNLIKELY(ac & HuffmanTable::kUnknown)) {
      ac = FindCoefficient(*component, ac, in.bits, k);
    }
    take(ac);
    if (k >= kBlockSize) break;
    ac = ac_table.Look(in.bits);
    if (HWY_UNLIKELY(ac & HuffmanTable::kUnknown)) {
      ac = FindCoefficient(*component, ac, in.bits, k);
      take(ac);
      in.Refill();
    } else {
      take(ac);
    }
  } while (k < kBlockSize);
  *reader = in;
  block[0] = static_cast<int16_t>(component->predictor);
  *last = static_cast<uint8_t>(last_k - 1);
  if (k > HuffmanTable::kEndOfBlock) return true;
  *last = kBlockSize - 1;
  return k == kBlockSize;
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

void TransformBatch(const BaselineComponent& component, const int16_t* coefficients,
                    const uint8_t* last, int block_rows, int blocks, V16* wild, uint8_t* out) {
  constexpr int kLastOfSparse = 9;  // of the first four diagonals
  for (int y = 0; y < block_rows; ++y) {
    for (int x = 0; x < blocks; x += kGroup) {
      const int first = y * component.h * kBatchMcus + x;
      const int16_t* group = coefficients + first * kBlockSize;
      uint8_t* to = out + y * 8 * component.stride + x * 8;
      int most = 0;
      for (int i = 0; i < kGroup; ++i) most = std::max<int>(most, last[first + i]);
      const int16_t* quantization = component.quantization.data();
      if (most == 0) {
        FillGroup(group, quantization[0], to, component.stride);
      } else if (most <= kLastOfSparse) {
        TransformGroup<true>(group, quantization, wild, to, component.stride);
      } else {
        TransformGroup<false>(group, quantization, wild, to, component.stride);
      }
    }
  }
}

// The blocks of a batch in the order of the stream.
void ListBlocks(BaselineScan* scan) {
  int listed = 0;
  for (int mcu = 0; mcu < kBatchMcus; ++mcu) {
    int first = 0;  // of the component's
    for (BaselineComponent& component : Components(scan)) {
      for (int v = 0; v < component.v; ++v) {
        for (int h = 0; h < component.h; ++h) {
          const int block = first + (v * kBatchMcus + mcu) * component.h + h;
          scan->blocks[listed++] = {
              .component = &component,
              .coefficients =
                  &scan->coefficients[block / kGroup * kGroup * kBlockSize + block % kGroup * 8],
              .last = &scan->last[block],
          };
        }
      }
      first += component.h * component.v * kBatchMcus;
    }
  }
  scan->blocks_per_mcu = listed / kBatchMcus;
}

// A row of MCUs, to samples. False where anything is unusual.
bool DecodeMcuRow(BaselineScan* scan, int mcu_row, BitReader* reader) {
  const size_t coefficient_bytes =
      scan->blocks_per_mcu * kBatchMcus * kBlockSize * sizeof scan->coefficients[0];
  V16 wild = hn::Zero(d16);
  for (int x = 0; x < scan->mcus_per_row; x += kBatchMcus) {
    const int mcus = std::min(kBatchMcus, scan->mcus_per_row - x);
    *reader = Provided(&scan->bytes, *reader);
    std::memset(scan->coefficients.data(), 0, coefficient_bytes);
    const BaselineBlock* block = scan->blocks.data();
    for (int mcu = 0; mcu < mcus; ++mcu) {
      if (scan->restart_interval != 0 && scan->mcus_to_restart-- == 0) {
        if (!Restart(scan, *reader)) return false;
        *reader = StartInterval(&scan->bytes);
        scan->mcus_to_restart = scan->restart_interval - 1;
      }
      for (const BaselineBlock* const end = block + scan->blocks_per_mcu; block < end; ++block) {
        if (!DecodeBlock(block->component, reader, block->coefficients, block->last)) return false;
      }
    }
    if (BitsLeft(scan->bytes, *reader) < 0) return false;
    int first = 0;
    for (const BaselineComponent& component : Components(scan)) {
      TransformBatch(component, &scan->coefficients[first * kBlockSize], &scan->last[first],
                     component.v, mcus * component.h, &wild,
                     component.Row(mcu_row * component.v * 8) + x * component.h * 8);
      first += component.h * component.v * kBatchMcus;
    }
  }
  return hn::AllFalse(d16, hn::Lt(wild, hn::Zero(d16)));
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
void ConvertGray(const uint8_t* luma, size_t width, uint8_t* rgb) {
  for (size_t x = 0; x < width; x += hn::Lanes(d8)) {
    const V8 y = hn::LoadU(d8, luma + x);
    hn::StoreInterleaved3(y, y, y, d8, rgb + 3 * x);
  }
}

void ConvertRow(const uint8_t* luma, const uint8_t* cb, const uint8_t* cr, size_t width,
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
void BlendRows(const uint8_t* near, const uint8_t* far, int rounding, size_t width, uint8_t* out) {
  const hn::Half<D8> half;
  const auto bias = hn::Set(d16, static_cast<int16_t>(rounding));
  for (size_t x = 0; x < width; x += hn::Lanes(d16)) {
    const V16 a = hn::PromoteTo(d16, hn::LoadU(half, near + x));
    const V16 b = hn::PromoteTo(d16, hn::LoadU(half, far + x));
    const V16 sum = hn::Add(hn::Add(hn::Add(a, a), hn::Add(a, b)), bias);
    hn::StoreU(hn::DemoteTo(half, hn::ShiftRight<2>(sum)), half, out + x);
  }
}

void MakeRow(const BaselineScan& scan, int y, uint8_t* rgb) {
  const size_t width = static_cast<size_t>(scan.width);
  const uint8_t* luma = scan.components[0].Row(y);
  if (scan.component_count == 1) return ConvertGray(luma, width, rgb);
  const BaselineComponent& cb = scan.components[1];
  const BaselineComponent& cr = scan.components[2];
  const int near = y / scan.components[0].v;
  const int far = std::clamp(y % 2 == 0 ? near - 1 : near + 1, 0, scan.chroma_height - 1);
  const size_t chroma_width = static_cast<size_t>(scan.chroma_width);
  uint16_t* sums[2] = {scan.sums[0], scan.sums[1]};
  if (scan.components[0].h == 2) {
    if (scan.components[0].v == 2) {
      SumRows<true>(cb.Row(near), cb.Row(far), chroma_width, sums[0]);
      SumRows<true>(cr.Row(near), cr.Row(far), chroma_width, sums[1]);
      return UpsampleRow<4, 8, 7>(luma, sums[0], sums[1], width, rgb);
    }
    SumRows<false>(cb.Row(near), nullptr, chroma_width, sums[0]);
    SumRows<false>(cr.Row(near), nullptr, chroma_width, sums[1]);
    return UpsampleRow<2, 1, 2>(luma, sums[0], sums[1], width, rgb);
  }
  if (scan.components[0].v == 1) return ConvertRow(luma, cb.Row(near), cr.Row(near), width, rgb);
  uint8_t* blended[2] = {reinterpret_cast<uint8_t*>(sums[0]), reinterpret_cast<uint8_t*>(sums[1])};
  BlendRows(cb.Row(near), cb.Row(far), 1 + y % 2, width, blended[0]);
  BlendRows(cr.Row(near), cr.Row(far), 1 + y % 2, width, blended[1]);
  ConvertRow(luma, blended[0], blended[1], width, rgb);
}

bool DecodeScan(BaselineScan* scan, Band* band) {
  ListBlocks(scan);
  BitReader reader = StartInterval(&scan->bytes);
  const int luma_v = scan->components[0].v;
  int made = 0;
  for (int mcu_row = 0; made < scan->height; ++mcu_row) {
    if (!DecodeMcuRow(scan, mcu_row, &reader)) return false;
    // The last row waits for the chroma below it.
    const int decoded = (mcu_row + 1) * luma_v * 8;
    const int ready = decoded >= scan->height ? scan->height : decoded - (luma_v - 1);
    for (; made < ready; ++made) MakeRow(*scan, made, band->Next());
  }
  if (!AtMarker(&scan->bytes, reader) || !scan->bytes.Pass(JPEG_EOI)) return false;
  band->Flush();
  return true;
}

#endif  // HWY_TARGET == HWY_SCALAR
}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pomona {
namespace {

HWY_EXPORT(DecodeScan);

// Whether a table is there and such as libjpeg accepts.
bool Prepare(const JHUFF_TBL* table, bool is_dc, HuffmanTable* prepared) {
  return table != nullptr && prepared->Prepare(*table, is_dc);
}

bool Prepare(const JQUANT_TBL* table, BaselineComponent* component) {
  if (table == nullptr) return false;
  for (int k = 0; k < kBlockSize; ++k) {
    const int place = kZigzag[k];
    const int step = table->quantval[place];
    if (step < 1 || step > 255) return false;
    component->quantization[place] = static_cast<int16_t>(step);
    component->limits[k] = static_cast<uint16_t>(kMaxCoefficient / step);
  }
  return true;
}

bool PrepareTables(const jpeg_decompress_struct& cinfo, BaselineScan* scan) {
  constexpr int kTables = static_cast<int>(std::tuple_size_v<decltype(scan->dc_tables)>);
  bool dc_ready[kTables] = {};
  bool ac_ready[kTables] = {};
  for (int i = 0; i < scan->component_count; ++i) {
    const jpeg_component_info& info = cinfo.comp_info[i];
    BaselineComponent& component = scan->components[i];
    if (info.quant_tbl_no < 0 || info.quant_tbl_no >= NUM_QUANT_TBLS) return false;
    if (!Prepare(cinfo.quant_tbl_ptrs[info.quant_tbl_no], &component)) return false;
    const int dc = info.dc_tbl_no;
    const int ac = info.ac_tbl_no;
    if (dc < 0 || dc >= kTables || ac < 0 || ac >= kTables) return false;
    dc_ready[dc] = dc_ready[dc] || Prepare(cinfo.dc_huff_tbl_ptrs[dc], true, &scan->dc_tables[dc]);
    ac_ready[ac] = ac_ready[ac] || Prepare(cinfo.ac_huff_tbl_ptrs[ac], false, &scan->ac_tables[ac]);
    if (!dc_ready[dc] || !ac_ready[ac]) return false;
    component.dc_table = &scan->dc_tables[dc];
    component.ac_table = &scan->ac_tables[ac];
  }
  return true;
}

bool IsPlain(const jpeg_decompress_struct& cinfo) {
  if (cinfo.progressive_mode || cinfo.arith_code || cinfo.data_precision != 8) return false;
  if (cinfo.Ss != 0 || cinfo.Se != kBlockSize - 1 || cinfo.Ah != 0 || cinfo.Al != 0) return false;
  if (cinfo.comps_in_scan != cinfo.num_components) return false;
  // Newer versions read lossless files, too, which have no blocks.
  if (cinfo.comp_info[0].DCT_scaled_size != DCTSIZE) return false;
  if (cinfo.num_components == 1) return cinfo.jpeg_color_space == JCS_GRAYSCALE;
  if (cinfo.num_components != 3 || cinfo.jpeg_color_space != JCS_YCbCr) return false;
  for (int i = 0; i < 3; ++i) {
    const jpeg_component_info& info = cinfo.comp_info[i];
    if (cinfo.cur_comp_info[i] != &info) return false;
    const int most = i == 0 ? 2 : 1;
    if (info.h_samp_factor > most || info.v_samp_factor > most) return false;
  }
  // libjpeg does not smooth chroma that is so narrow.
  constexpr int kMinSmoothWidth = 3;
  return cinfo.comp_info[0].h_samp_factor == 1 ||
         cinfo.comp_info[1].downsampled_width >= kMinSmoothWidth;
}

// One block of memory for all rows.
void TakeMemory(Buffer* memory, BaselineScan* scan) {
  const size_t mcus = (scan->mcus_per_row + kBatchMcus - 1) / kBatchMcus * kBatchMcus;
  const size_t sums_bytes = 2 * (mcus * 8 + 2 * kRowPadding);
  size_t bytes = kRowPadding + 2 * sums_bytes;
  for (int i = 0; i < scan->component_count; ++i) {
    BaselineComponent& component = scan->components[i];
    component.stride = mcus * 8 * component.h + kRowPadding;
    bytes += component.Rows() * component.stride;
  }
  uint8_t* free = memory->Reserve(bytes);
  free += -reinterpret_cast<uintptr_t>(free) % kRowPadding;
  for (int i = 0; i < scan->component_count; ++i) {
    BaselineComponent& component = scan->components[i];
    component.plane = free;
    free += component.Rows() * component.stride;
  }
  for (uint16_t*& sums : scan->sums) {
    sums = reinterpret_cast<uint16_t*>(free + kRowPadding);  // one is written before the first
    free += sums_bytes;
  }
}

}  // namespace

bool DecodeBaselineJpeg(const jpeg_decompress_struct& cinfo, Workspace* memory, RowSink* rows) {
  if (!IsPlain(cinfo)) return false;
  const auto scan = std::make_unique_for_overwrite<BaselineScan>();
  const int width = static_cast<int>(cinfo.image_width);
  const int height = static_cast<int>(cinfo.image_height);
  const bool gray = cinfo.num_components == 1;  // whose factors mean nothing
  const int h = gray ? 1 : cinfo.comp_info[0].h_samp_factor;
  const int v = gray ? 1 : cinfo.comp_info[0].v_samp_factor;
  scan->width = width;
  scan->height = height;
  scan->chroma_width = (width + h - 1) / h;
  scan->chroma_height = (height + v - 1) / v;
  scan->mcus_per_row = (width + 8 * h - 1) / (8 * h);
  scan->restart_interval = scan->mcus_to_restart = cinfo.restart_interval;
  scan->component_count = cinfo.num_components;
  for (BaselineComponent& component : scan->components) component.h = component.v = 1;
  scan->components[0].h = h;
  scan->components[0].v = v;
  if (!PrepareTables(cinfo, scan.get())) return false;
  scan->bytes.Start({cinfo.src->next_input_byte, cinfo.src->bytes_in_buffer});
  TakeMemory(&memory->samples, scan.get());
  Band band(width, height, &memory->rgb, rows);
  return HWY_DYNAMIC_DISPATCH(DecodeScan)(scan.get(), &band);
}

}  // namespace pomona
#endif  // HWY_ONCE
