// Weights in the order in which the kernels read them.
#pragma once

#include <hwy/aligned_allocator.h>

#include "pomona/weights.h"

namespace pomona::native {

using AlignedFloats = hwy::AlignedFreeUniquePtr<float[]>;

// Columns (output channels) are cut into panels of two vectors; the last panel may have one, or
// half a vector less. A panel holds its columns' biases, then their weights row by row; rows are
// filled up to whole vectors, so that each vector is aligned.
struct PackedMatrix {
  int rows = 0;     // inputs of an output value
  int columns = 0;  // output channels
  AlignedFloats panels;
};

// Channels are cut into vectors; half of the last may be filled up. Each holds its channels'
// biases, then their nine weights, window row by window row.
struct PackedDepthwise {
  int channels = 0;
  AlignedFloats vectors;
};

// lanes: floats in a vector, at most 16. REQUIRES: channels are multiples of 8, as they are
// throughout the MobileNetV2 family.
PackedMatrix PackMatrix(const FoldedLayer& folded, int lanes);
PackedDepthwise PackDepthwise(const FoldedLayer& folded, int lanes);

}  // namespace pomona::native
