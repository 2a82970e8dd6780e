// Whether a device computes as the engine needs it: no promise of a driver's, but what comes out.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <vector>

#include "infer/gpu/device.h"
#include "infer/gpu/network.h"
#include "pomona/engine.h"

namespace pomona::gpu {

// That a multiply-add is rounded once, and that denormals are kept and infinities made, in sums too.
// Errors: NotImplemented says what came out otherwise; see Stream.
arrow::Status TestArithmetic(Device* device);

// Pictures of noise, and their features by the CPU.
struct Noise {
  std::vector<uint8_t> pictures;
  std::vector<float> features;
};
arrow::Result<Noise> MakeNoise(Engine& cpu);

// That these pictures, as often as the lane holds them, get these features, bit for bit.
// Errors: the same.
arrow::Status TestNetwork(Lane* lane, const Noise& noise);

}  // namespace pomona::gpu
