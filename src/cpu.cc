#include "pomona/cpu.h"

#include "dispatch.h"

namespace pomona {
namespace {

constexpr int64_t kAvx512Targets = HWY_AVX3 | HWY_AVX3_DL;
constexpr int64_t kNeonTargets = HWY_NEON;

}  // namespace

int64_t TargetsOf(Cpu cpu) {
  static const int64_t here = hwy::SupportedTargets();
  switch (cpu) {
    case Cpu::kBest: return here;
    case Cpu::kAvx512: return here & kAvx512Targets;
    case Cpu::kAvx2: return here & HWY_AVX2;
    case Cpu::kNeon: return here & kNeonTargets;
    case Cpu::kScalar: return here & (HWY_SCALAR | HWY_EMU128);
  }
  return 0;
}

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

arrow::Result<Cpu> ResolveCpu(Cpu cpu) {
  for (const Cpu known : {Cpu::kAvx512, Cpu::kAvx2, Cpu::kNeon}) {
    if ((cpu == Cpu::kBest || cpu == known) && TargetsOf(known) != 0) return known;
  }
  if (cpu == Cpu::kBest || cpu == Cpu::kScalar) return Cpu::kScalar;
  return arrow::Status::NotImplemented("cpu '", CpuName(cpu), "': this machine or build lacks it");
}

}  // namespace pomona
