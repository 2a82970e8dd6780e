#include "infer/native/kernels.h"

// SSE has no fused multiply-add, and so gains nothing over the scalar kernels. SVE's vectors cannot
// be held in arrays; such machines run the kernels for NEON.
#define HWY_DISABLED_TARGETS \
  (HWY_SSSE3 | HWY_SSE4 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#define HWY_COMPILE_ALL_ATTAINABLE  // the scalar kernels too, whatever the compiler's baseline

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "infer/native/kernels.cc"
#include <hwy/foreach_target.h>
// After foreach_target.h: included once for each instruction set.
#include "infer/native/depthwise-inl.h"
#include "infer/native/matmul-inl.h"

HWY_BEFORE_NAMESPACE();
namespace pomona::native::HWY_NAMESPACE {

Kernels MakeKernels(const char* name) { return {name, kLanes, MatMul, Depthwise}; }

}  // namespace pomona::native::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pomona::native {

const Kernels* KernelsFor(Cpu cpu) {
  [[maybe_unused]] const int64_t here = hwy::SupportedTargets();
  const auto wants = [cpu](Cpu other) { return cpu == Cpu::kBest || cpu == other; };
#if HWY_TARGETS & HWY_AVX3
  static const Kernels avx512 = N_AVX3::MakeKernels("AVX-512");
  if (wants(Cpu::kAvx512) && (here & HWY_AVX3)) return &avx512;
#endif
#if HWY_TARGETS & HWY_AVX2
  static const Kernels avx2 = N_AVX2::MakeKernels("AVX2");
  if (wants(Cpu::kAvx2) && (here & HWY_AVX2)) return &avx2;
#endif
#if HWY_TARGETS & HWY_NEON
  static const Kernels neon = N_NEON::MakeKernels("NEON");
  if (wants(Cpu::kNeon) && (here & HWY_NEON)) return &neon;
#endif
#if HWY_TARGETS & HWY_SCALAR
  static const Kernels scalar = N_SCALAR::MakeKernels("scalar");
#else
  static const Kernels scalar = N_EMU128::MakeKernels("scalar");
#endif
  return wants(Cpu::kScalar) ? &scalar : nullptr;
}

}  // namespace pomona::native
#endif
