#pragma once

#include "pomona/engine.h"

namespace pomona::bench {

// Fused multiply-adds a second, times two, of one core with the vectors of `cpu`: independent
// chains in registers, no memory. The best of many short runs.
double FmaLimit(Cpu cpu);

}  // namespace pomona::bench
