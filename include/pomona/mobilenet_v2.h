// The architecture of MobileNetV2 as Keras builds it (include_top=False, pooling='avg').
#pragma once

#include <string>
#include <vector>

namespace pomona {

// A convolution with its batch normalisation and activation.
struct ConvLayer {
  enum class Kind { kConv3x3, kDepthwise3x3, kPointwise };

  std::string conv;  // Keras' name of the convolution layer, "block_1_expand"
  std::string norm;  // Keras' name of its batch normalisation, "block_1_expand_BN"
  Kind kind;
  int in_channels;
  int out_channels;  // equals in_channels where depthwise
  int stride;
  bool relu6;         // ReLU6 after the normalisation; projections are linear
  bool add_residual;  // adds the input of its inverted residual block, after the normalisation

  // Keras' shape of the kernel: HWIO, or HWC1 where depthwise.
  std::vector<int> KernelShape() const;
};

inline constexpr double kBatchNormEpsilon = 1e-3;

// The 52 convolutions in the order in which they run, which is also Keras' order of weights.
// alpha: the width multiplier (1.0 for the network of the original pipeline).
// Strides of 2 pad (0,1),(0,1); strides of 1 pad (1,1),(1,1).
std::vector<ConvLayer> MobileNetV2Layers(double alpha);

// Channels of the last convolution, the number of features: 1280 up to alpha 1.0, more above.
int MobileNetV2Features(double alpha);

}  // namespace pomona
