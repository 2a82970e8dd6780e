// The arithmetic of the network: what a kernel computes, and the kernels of each instruction set.
//
// Every output value is one chain of fused multiply-adds in float32, in a fixed order:
//
//   acc = bias;  for each input of the window, in order: acc = fma(input, weight, acc)
//
// and then what Then says. The order is that of Keras' kernels: window row, window column, input
// channel. Padding takes part as zeros. So instruction sets, tiles and strips cannot change a bit
// of the result.
#pragma once

#include <cstddef>

#include "infer/native/packing.h"
#include "pomona/engine.h"

namespace pomona::native {

// What becomes of the sum of products.
enum class Then {
  kStore,      // out = acc
  kAdd,        // out = acc + out: adds a residual in place
  kRelu6,      // out = min(max(acc, 0), 6)
  kRelu6Pool,  // out = out + min(max(acc, 0), 6), pixel after pixel: sums each channel
};

// Inside a block, activations are kept in groups of this many channels: [group][pixel][kGroup]. A
// group is what is expanded and filtered at a time, and so stays in the L1 cache in between.
inline constexpr int kGroup = 32;

// A pointwise or full convolution as a matrix product: each pixel's inputs (a row) times the
// kernel.
struct MatMulArgs {
  const PackedMatrix* weights;

  // The output channels to compute. first_column is a multiple of kGroup.
  int first_column;
  int columns;

  // Inputs of pixel p: runs of `segment_length` floats, `segment_stride` apart, the first of them
  // at in + p * pixel_stride. The last run may be shorter.
  const float* in;
  int pixels;
  ptrdiff_t pixel_stride;
  int segment_length;
  ptrdiff_t segment_stride = 0;

  Then then;

  // Output of first_column. Pixels are out_stride apart (where not pooled), and row_gap more
  // after each row_pixels pixels.
  float* out;
  ptrdiff_t out_stride;
  int row_pixels;
  ptrdiff_t row_gap = 0;
};

// Rows of outputs of a depthwise 3x3 convolution with ReLU6, for one group of channels.
struct DepthwiseArgs {
  const PackedDepthwise* weights;
  int first_channel;       // a multiple of kGroup
  int channels;            // at most kGroup
  const float* const* in;  // input rows, from the first window's first column
  int stride;              // output row r reads in[r * stride] and the two rows after it
  int rows;                // of outputs
  int pixels;              // in each
  float* out;              // adjacent, a group apart
};

// The kernels for one instruction set.
struct Kernels {
  const char* name;
  int lanes;  // floats in a vector: what weights are packed for
  void (*matmul)(const MatMulArgs& args);
  void (*depthwise)(const DepthwiseArgs& args);
};

// Null where this build or this machine lacks them. kBest: the widest there are.
const Kernels* KernelsFor(Cpu cpu);

}  // namespace pomona::native
