// Whether a device computes as the engine needs it: no promise of a driver's, but what comes out.
#pragma once

#include <arrow/status.h>

#include "infer/gpu/device.h"
#include "infer/gpu/network.h"
#include "pomona/engine.h"

namespace pomona::gpu {

// That a multiply-add is rounded once, and that denormals are kept and infinities made, in sums too.
// Errors: NotImplemented says what came out otherwise; see Stream.
arrow::Status TestArithmetic(Device* device);

// That pictures of noise, as many as the lane holds, get the CPU's features, bit for bit.
// Errors: the same.
arrow::Status TestNetwork(Lane* lane, Engine& cpu);

}  // namespace pomona::gpu
