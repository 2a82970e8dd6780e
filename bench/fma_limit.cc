#include "bench/fma_limit.h"

#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "bench/fma_limit.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <chrono>

HWY_BEFORE_NAMESPACE();
namespace pomona::bench::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Returns floating-point operations done.
int64_t MultiplyAdd(int iterations, float* sink) {
  constexpr hn::ScalableTag<float> d;
  constexpr int kChains = 12;
  hn::Vec<decltype(d)> acc[kChains];
  const auto w = hn::Set(d, sink[0]), x = hn::Set(d, sink[1]);
#pragma GCC unroll 12
  for (int c = 0; c < kChains; ++c) acc[c] = hn::Set(d, static_cast<float>(c));
  for (int i = 0; i < iterations; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < kChains; ++c) acc[c] = hn::MulAdd(x, w, acc[c]);
  }
#pragma GCC unroll 12
  for (int c = 1; c < kChains; ++c) acc[0] = hn::Add(acc[0], acc[c]);
  sink[2] = hn::GetLane(acc[0]);
  return int64_t{2} * iterations * kChains * static_cast<int64_t>(hn::Lanes(d));
}

}  // namespace pomona::bench::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pomona::bench {

double FmaLimit(Cpu cpu) {
  using Function = int64_t (*)(int, float*);
  Function function = nullptr;
  [[maybe_unused]] const auto choose = [&](Cpu other, int64_t target, Function f) {
    if (!function && (cpu == Cpu::kBest || cpu == other) && (hwy::SupportedTargets() & target)) {
      function = f;
    }
  };
#if HWY_TARGETS & HWY_AVX3
  choose(Cpu::kAvx512, HWY_AVX3, N_AVX3::MultiplyAdd);
#endif
#if HWY_TARGETS & HWY_AVX2
  choose(Cpu::kAvx2, HWY_AVX2, N_AVX2::MultiplyAdd);
#endif
#if HWY_TARGETS & HWY_NEON
  choose(Cpu::kNeon, HWY_NEON, N_NEON::MultiplyAdd);
#endif
  if (!function) function = HWY_STATIC_DISPATCH(MultiplyAdd);
  volatile float one = 1.0f;
  float sink[3] = {one, one, 0.0f};
  double best = 0;
  for (int run = 0; run < 300; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const int64_t operations = function(50'000, sink);
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(operations) / seconds.count());
  }
  return best;
}

}  // namespace pomona::bench
#endif
