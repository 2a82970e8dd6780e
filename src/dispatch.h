// Which of a table of Highway's kernels a caller gets. Highway itself has one choice for the whole
// process, which another caller may not change.
#pragma once

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "pomona/cpu.h"

namespace pomona {

// Those of Highway's targets that `cpu` stands for and that this machine has.
int64_t TargetsOf(Cpu cpu);

// Not shared between files: GetIndex() counts the targets that the including file is compiled for.
namespace {

// `table` is HWY_DISPATCH_TABLE(f), made by HWY_EXPORT(f).
template <typename Kernel, size_t n>
Kernel KernelFor(Kernel const (&table)[n], Cpu cpu) {
  if constexpr (n == 1) {
    return table[0];
  } else if (cpu == Cpu::kBest) {
    return table[hwy::GetChosenTarget().GetIndex()];
  } else {
    hwy::ChosenTarget chosen;
    chosen.Update(TargetsOf(cpu));
    return table[chosen.GetIndex()];
  }
}

}  // namespace
}  // namespace pomona
