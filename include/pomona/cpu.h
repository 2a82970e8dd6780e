// The vector instructions that the kernels use. Results do not depend on them; speed does.
#pragma once

#include <arrow/result.h>

#include <string_view>

namespace pomona {

enum class Cpu { kBest, kAvx512, kAvx2, kNeon, kScalar };

std::string_view CpuName(Cpu cpu);  // "best", "avx512", "avx2", "neon", "scalar"

// Errors: Invalid lists the names.
arrow::Result<Cpu> ParseCpu(std::string_view name);

// Holds all kernels of this process to one set of instructions.
// Threads: before any of them computes.
// Errors: NotImplemented where this machine or build lacks them.
arrow::Status UseCpu(Cpu cpu);

// What the kernels use now: never kBest.
Cpu CpuInUse();

}  // namespace pomona
