// The vector instructions that the kernels use. Results do not depend on them; speed does.
#pragma once

#include <arrow/result.h>

#include <string_view>

namespace pomona {

enum class Cpu { kBest, kAvx512, kAvx2, kNeon, kScalar };

std::string_view CpuName(Cpu cpu);  // "best", "avx512", "avx2", "neon", "scalar"

// Errors: Invalid lists the names.
arrow::Result<Cpu> ParseCpu(std::string_view name);

// What kernels that are asked for `cpu` use: never kBest.
// Errors: NotImplemented where this machine or build lacks it.
arrow::Result<Cpu> ResolveCpu(Cpu cpu);

}  // namespace pomona
