#include "pomona/cpu.h"

#include <hwy/targets.h>

namespace pomona {
namespace {

constexpr int64_t kAvx512Targets = HWY_AVX3 | HWY_AVX3_DL;
constexpr int64_t kNeonTargets = HWY_NEON;

// Those of Highway's targets for which this build has kernels and this machine the instructions.
int64_t TargetsOf(Cpu cpu) {
  const int64_t here = hwy::SupportedTargets();
  switch (cpu) {
    case Cpu::kBest: return here;
    case Cpu::kAvx512: return here & kAvx512Targets;
    case Cpu::kAvx2: return here & HWY_AVX2;
    case Cpu::kNeon: return here & kNeonTargets;
    case Cpu::kScalar: return here & (HWY_SCALAR | HWY_EMU128);
  }
  return 0;
}

}  // namespace

std::string_view CpuName(Cpu cpu) {
  switch (cpu) {
    case Cpu::kBest: return "best";
    case Cpu::kAvx512: return "avx512";
    case Cpu::kAvx2: return "avx2";
    case Cpu::kNeon: return "neon";
    case Cpu::kScalar: return "scalar";
  }
  return "";
}

arrow::Result<Cpu> ParseCpu(std::string_view name) {
  for (Cpu cpu : {Cpu::kBest, Cpu::kAvx512, Cpu::kAvx2, Cpu::kNeon, Cpu::kScalar}) {
    if (name == CpuName(cpu)) return cpu;
  }
  return arrow::Status::Invalid("cpu '", name, "': expected best, avx512, avx2, neon or scalar");
}

arrow::Status UseCpu(Cpu cpu) {
  hwy::DisableTargets(0);
  if (cpu == Cpu::kBest) return arrow::Status::OK();
  if (cpu != Cpu::kScalar && TargetsOf(cpu) == 0) {
    return arrow::Status::NotImplemented("this machine or build lacks ", CpuName(cpu));
  }
  // The scalar target cannot be disabled, and is what is left where all others are.
  hwy::DisableTargets(~TargetsOf(cpu));
  return arrow::Status::OK();
}

Cpu CpuInUse() {
  for (Cpu cpu : {Cpu::kAvx512, Cpu::kAvx2, Cpu::kNeon}) {
    if (TargetsOf(cpu) != 0) return cpu;
  }
  return Cpu::kScalar;
}

}  // namespace pomona
