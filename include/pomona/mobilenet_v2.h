// The architecture of MobileNetV2 without its classifier, as Keras builds it (include_top=False,
// pooling='avg') and as PyTorch's libraries do (torchvision, timm).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace pomona {

// The two families differ in where strides of 2 pad, and in the epsilon of their normalisations.
enum class Framework { kKeras, kPyTorch };

std::string_view FrameworkName(Framework framework);  // "keras", "pytorch"

// Added to the variances: 1e-3, or 1e-5 of PyTorch.
double BatchNormEpsilon(Framework framework);

// A convolution with its batch normalisation and activation.
struct ConvLayer {
  enum class Kind { kConv3x3, kDepthwise3x3, kPointwise };

  std::string conv;  // Keras' name of the convolution layer, "block_1_expand"
  std::string norm;  // Keras' name of its batch normalisation, "block_1_expand_BN"
  Kind kind;
  int in_channels;
  int out_channels;  // equals in_channels where depthwise
  int stride;
  int pad;            // rows and columns of zeros in front; behind, as many as the windows reach
  bool relu6;         // ReLU6 after the normalisation; projections are linear
  bool add_residual;  // adds the input of its inverted residual block, after the normalisation

  // Keras' shape of the kernel: HWIO, or HWC1 where depthwise.
  std::vector<int> KernelShape() const;
};

// The 52 convolutions in the order in which they run, which is also Keras' order of weights.
// alpha: the width multiplier (1.0 for the network of the original pipeline).
// Windows of 3x3 pad 1 in front, but for Keras' of stride 2, which pad behind only.
std::vector<ConvLayer> MobileNetV2Layers(double alpha, Framework framework = Framework::kKeras);

// Channels of the last convolution, the number of features: 1280 up to alpha 1.0, more above.
int MobileNetV2Features(double alpha);

}  // namespace pomona
