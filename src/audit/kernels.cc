#include "audit/kernels.h"

// The vectors of SVE and RVV cannot stand in arrays; SSSE3 and SSE4 bring nothing that SSE2 lacks.
#define HWY_DISABLED_TARGETS \
  (HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV | HWY_SSSE3 | HWY_SSE4)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "audit/kernels.cc"
#include <hwy/foreach_target.h>  // must come before highway.h

#include <hwy/highway.h>

#include "fused-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::audit {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = pomona::HWY_NAMESPACE::FusedTag<float>;
using Vec = hn::Vec<Tag>;
using pomona::HWY_NAMESPACE::FusedMulAdd;

// A block of accumulators fills the registers: 12 x 2 of the 32 of AVX-512 and NEON, 6 x 2 of the
// 16 of AVX2.
constexpr size_t kLanes = hn::MaxLanes(Tag());
constexpr size_t kVectors = 2;
#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM
constexpr size_t kRows = 12;
#else
constexpr size_t kRows = 6;
#endif
static_assert(kTile % kRows == 0 && kTile % (kVectors * kLanes) == 0);

size_t FindPairs(const float* HWY_RESTRICT a, size_t rows, const float* HWY_RESTRICT b,
                 size_t dimensions, const float* HWY_RESTRICT thresholds,
                 TilePair* HWY_RESTRICT found) {
  const Tag tag;
  size_t count = 0;
  for (size_t first_row = 0; first_row < rows; first_row += kRows) {
    for (size_t first = 0; first < kTile; first += kVectors * kLanes) {
      Vec sum[kRows][kVectors];
      for (size_t i = 0; i < kRows; ++i) {
        for (size_t v = 0; v < kVectors; ++v) sum[i][v] = hn::Zero(tag);
      }
      for (size_t d = 0; d < dimensions; ++d) {
        const float* HWY_RESTRICT row = a + d * kTile + first_row;
        const float* HWY_RESTRICT columns = b + d * kTile + first;
        Vec column[kVectors];
        for (size_t v = 0; v < kVectors; ++v) column[v] = hn::Load(tag, columns + v * kLanes);
        for (size_t i = 0; i < kRows; ++i) {
          const Vec value = hn::Set(tag, row[i]);
          for (size_t v = 0; v < kVectors; ++v)
            sum[i][v] = FusedMulAdd(value, column[v], sum[i][v]);
        }
      }
      for (size_t i = 0; i < kRows; ++i) {
        const Vec least = hn::Set(tag, thresholds[first_row + i]);
        for (size_t v = 0; v < kVectors; ++v) {
          const auto reached = hn::Ge(sum[i][v], least);
          if (HWY_LIKELY(hn::AllFalse(tag, reached))) continue;
          HWY_ALIGN float products[kLanes];
          hn::Store(sum[i][v], tag, products);
          for (size_t lane = 0; lane < kLanes; ++lane) {
            if (products[lane] < thresholds[first_row + i]) continue;
            found[count++] = {static_cast<uint32_t>(first_row + i),
                              static_cast<uint32_t>(first + v * kLanes + lane), products[lane]};
          }
        }
      }
    }
  }
  return count;
}

constexpr size_t kSums = 16;

double Dot(const float* HWY_RESTRICT a, const float* HWY_RESTRICT b, size_t n) {
  const hn::CappedTag<double, kSums / 2> tag;
  const hn::Rebind<float, decltype(tag)> narrow;
  constexpr size_t kWide = hn::MaxLanes(tag);
  hn::Vec<decltype(tag)> sum[kSums / kWide];
  for (auto& part : sum) part = hn::Zero(tag);
  size_t i = 0;
  for (; i + kSums <= n; i += kSums) {
    for (size_t v = 0; v < kSums / kWide; ++v) {
      const auto x = hn::PromoteTo(tag, hn::LoadU(narrow, a + i + v * kWide));
      const auto y = hn::PromoteTo(tag, hn::LoadU(narrow, b + i + v * kWide));
      sum[v] = hn::MulAdd(x, y, sum[v]);
    }
  }
  HWY_ALIGN double sums[kSums];
  for (size_t v = 0; v < kSums / kWide; ++v) hn::Store(sum[v], tag, sums + v * kWide);
  for (; i < n; ++i) sums[i % kSums] += double{a[i]} * double{b[i]};
  for (size_t half = kSums / 2; half > 0; half /= 2) {
    for (size_t s = 0; s < half; ++s) sums[s] += sums[s + half];
  }
  return sums[0];
}

}  // namespace HWY_NAMESPACE
}  // namespace pomona::audit
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include "dispatch.h"

namespace pomona::audit {

HWY_EXPORT(FindPairs);
HWY_EXPORT(Dot);

size_t FindPairs(const float* a, size_t rows, const float* b, size_t dimensions,
                 const float* thresholds, TilePair* found, Cpu cpu) {
  return KernelFor(HWY_DISPATCH_TABLE(FindPairs), cpu)(a, rows, b, dimensions, thresholds, found);
}

double Dot(const float* a, const float* b, size_t n, Cpu cpu) {
  return KernelFor(HWY_DISPATCH_TABLE(Dot), cpu)(a, b, n);
}

}  // namespace pomona::audit
#endif  // HWY_ONCE
