#include "decode/png_rows.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "decode/png_rows.cc"
// Where the number of lanes is no constant.
#define HWY_DISABLED_TARGETS (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace pomona {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

void PickEach(const uint8_t* samples, size_t step, const std::array<uint8_t, 3>& bytes,
              size_t width, uint8_t* rgb) {
  for (size_t x = 0; x < width; ++x) {
    for (size_t c = 0; c < 3; ++c) rgb[3 * x + c] = samples[x * step + bytes[c]];
  }
}

#if HWY_TARGET != HWY_SCALAR

void UndoUp(const uint8_t* row, const uint8_t* above, size_t size, uint8_t* out) {
  const hn::ScalableTag<uint8_t> d;
  static_assert(HWY_MAX_BYTES <= kPngRowPadding);
  for (size_t x = 0; x < size; x += hn::Lanes(d)) {
    hn::StoreU(hn::Add(hn::LoadU(d, row + x), hn::LoadU(d, above + x)), d, out + x);
  }
}

using Block = hn::FixedTag<uint8_t, 16>;

// Each pixel plus those before it in the block, of which those from `kShift` bytes on are missing.
template <int kShift>
HWY_INLINE hn::Vec<Block> AddEarlier(hn::Vec<Block> v) {
  if constexpr (kShift >= 16) {
    return v;
  } else {
    return AddEarlier<2 * kShift>(hn::Add(v, hn::ShiftLeftBytes<kShift>(Block(), v)));
  }
}

template <int kStep>
void UndoSub(const uint8_t* row, size_t size, uint8_t* out) {
  constexpr int kBlock = 16 / kStep * kStep;
  alignas(16) uint8_t last[16];  // where the last pixel is, for each of a block
  for (int i = 0; i < 16; ++i) last[i] = static_cast<uint8_t>(kBlock - kStep + i % kStep);
  const Block d;
  const auto indices = hn::Load(d, last);
  auto before = hn::Zero(d);
  for (size_t x = 0; x < size; x += kBlock) {
    const auto v = hn::Add(AddEarlier<kStep>(hn::LoadU(d, row + x)), before);
    hn::StoreU(v, d, out + x);
    before = hn::TableLookupBytes(v, indices);
  }
}

// A pixel of up to four or of up to eight bytes, which is as many as are read and written.
template <int kStep>
using Pixel = hn::FixedTag<uint8_t, (kStep > 4 ? 8 : 4)>;

// With a and b the pixels before and above, the mean's rounding down is that of ~a and ~b up, which
// there is an instruction for: ~(row + (a + b) / 2) = (~a + ~b + 1) / 2 - row.
template <int kStep>
void UndoAverage(const uint8_t* row, const uint8_t* above, size_t size, uint8_t* out) {
  const Pixel<kStep> d;
  auto a = hn::Not(hn::Zero(d));
  for (size_t x = 0; x < size; x += kStep) {
    const auto b = hn::Not(hn::LoadU(d, above + x));
    a = hn::Sub(hn::AverageRound(a, b), hn::LoadU(d, row + x));
    hn::StoreU(hn::Not(a), d, out + x);
  }
}

template <int kStep>
void UndoPaeth(const uint8_t* row, const uint8_t* above, size_t size, uint8_t* out) {
  const Pixel<kStep> d;
  const hn::Rebind<int16_t, Pixel<kStep>> d16;
  const auto byte = hn::Set(d16, 255);
  auto a = hn::Zero(d16);  // before
  auto c = hn::Zero(d16);  // above that
  for (size_t x = 0; x < size; x += kStep) {
    const auto b = hn::PromoteTo(d16, hn::LoadU(d, above + x));
    const auto from_a = hn::Sub(b, c);  // as far as a is from a + b - c
    const auto from_b = hn::Sub(a, c);
    const auto to_a = hn::Abs(from_a);
    const auto to_b = hn::Abs(from_b);
    const auto to_c = hn::Abs(hn::Add(from_a, from_b));
    const auto least = hn::Min(hn::Min(to_a, to_b), to_c);
    const auto foretold =
        hn::IfThenElse(hn::Eq(to_a, least), a, hn::IfThenElse(hn::Eq(to_b, least), b, c));
    a = hn::And(hn::Add(foretold, hn::PromoteTo(d16, hn::LoadU(d, row + x))), byte);
    hn::StoreU(hn::DemoteTo(d, a), d, out + x);
    c = b;
  }
}

void Pick(const uint8_t* samples, size_t step, const std::array<uint8_t, 3>& bytes, size_t width,
          uint8_t* rgb) {
  const Block d;
  const size_t at_once = std::min<size_t>(16 / step, 5);
  alignas(16) uint8_t picked[16] = {};
  for (size_t i = 0; i < at_once; ++i) {
    for (size_t c = 0; c < 3; ++c) picked[3 * i + c] = static_cast<uint8_t>(i * step + bytes[c]);
  }
  const auto indices = hn::Load(d, picked);
  size_t x = 0;
  for (; 3 * x + 16 <= 3 * width; x += at_once) {
    hn::StoreU(hn::TableLookupBytes(hn::LoadU(d, samples + x * step), indices), d, rgb + 3 * x);
  }
  PickEach(samples + x * step, step, bytes, width - x, rgb + 3 * x);
}

#else  // HWY_TARGET == HWY_SCALAR

void UndoUp(const uint8_t* row, const uint8_t* above, size_t size, uint8_t* out) {
  for (size_t x = 0; x < size; ++x) out[x] = static_cast<uint8_t>(row[x] + above[x]);
}

template <size_t kStep>
void UndoSub(const uint8_t* row, size_t size, uint8_t* out) {
  for (size_t x = 0; x < size; ++x) {
    out[x] = static_cast<uint8_t>(row[x] + (x < kStep ? 0 : out[x - kStep]));
  }
}

template <size_t kStep>
void UndoAverage(const uint8_t* row, const uint8_t* above, size_t size, uint8_t* out) {
  for (size_t x = 0; x < size; ++x) {
    out[x] = static_cast<uint8_t>(row[x] + ((x < kStep ? 0 : out[x - kStep]) + above[x]) / 2);
  }
}

template <size_t kStep>
void UndoPaeth(const uint8_t* row, const uint8_t* above, size_t size, uint8_t* out) {
  for (size_t x = 0; x < size; ++x) {
    const int a = x < kStep ? 0 : out[x - kStep];
    const int b = above[x];
    const int c = x < kStep ? 0 : above[x - kStep];
    const int to_a = std::abs(b - c);
    const int to_b = std::abs(a - c);
    const int to_c = std::abs(a + b - 2 * c);
    const int foretold = to_a <= to_b && to_a <= to_c ? a : to_b <= to_c ? b : c;
    out[x] = static_cast<uint8_t>(row[x] + foretold);
  }
}

void Pick(const uint8_t* samples, size_t step, const std::array<uint8_t, 3>& bytes, size_t width,
          uint8_t* rgb) {
  PickEach(samples, step, bytes, width, rgb);
}

#endif  // HWY_TARGET

template <int kStep>
void UndoFor(int filter, const uint8_t* row, const uint8_t* above, size_t size, uint8_t* out) {
  switch (filter) {
    case 0: std::memcpy(out, row, size); break;
    case 1: UndoSub<kStep>(row, size, out); break;
    case 2: UndoUp(row, above, size, out); break;
    case 3: UndoAverage<kStep>(row, above, size, out); break;
    default: UndoPaeth<kStep>(row, above, size, out); break;
  }
}

void Undo(int filter, int step, const uint8_t* row, const uint8_t* above, size_t size,
          uint8_t* out) {
  switch (step) {
    case 1: return UndoFor<1>(filter, row, above, size, out);
    case 2: return UndoFor<2>(filter, row, above, size, out);
    case 3: return UndoFor<3>(filter, row, above, size, out);
    case 4: return UndoFor<4>(filter, row, above, size, out);
    case 6: return UndoFor<6>(filter, row, above, size, out);
    default: return UndoFor<8>(filter, row, above, size, out);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "dispatch.h"

namespace pomona {
namespace {

HWY_EXPORT(Undo);
HWY_EXPORT(Pick);

}  // namespace

void UndoPngFilter(int filter, int step, const uint8_t* row, const uint8_t* above, size_t size,
                   uint8_t* samples) {
  KernelFor(HWY_DISPATCH_TABLE(Undo), Cpu::kBest)(filter, step, row, above, size, samples);
}

void PickColors(const uint8_t* samples, size_t step, const std::array<uint8_t, 3>& bytes,
                size_t width, uint8_t* rgb) {
  KernelFor(HWY_DISPATCH_TABLE(Pick), Cpu::kBest)(samples, step, bytes, width, rgb);
}

}  // namespace pomona
#endif  // HWY_ONCE
