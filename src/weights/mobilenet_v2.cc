#include "pomona/mobilenet_v2.h"

#include <algorithm>

namespace pomona {
namespace {

// Keras rounds the channels of every layer to a multiple of 8, never down by more than 10 %.
int RoundChannels(double channels) {
  constexpr int kDivisor = 8;
  int rounded =
      std::max(kDivisor, static_cast<int>(channels + kDivisor / 2.0) / kDivisor * kDivisor);
  return rounded < 0.9 * channels ? rounded + kDivisor : rounded;
}

struct Stage {
  int expansion, channels, blocks, stride;
};

constexpr Stage kStages[] = {
    {1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2},  {6, 64, 4, 2},
    {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1},
};

}  // namespace

std::vector<int> ConvLayer::KernelShape() const {
  switch (kind) {
    case Kind::kConv3x3: return {3, 3, in_channels, out_channels};
    case Kind::kDepthwise3x3: return {3, 3, in_channels, 1};
    case Kind::kPointwise: return {1, 1, in_channels, out_channels};
  }
  return {};
}

int MobileNetV2Features(double alpha) { return alpha > 1.0 ? RoundChannels(1280 * alpha) : 1280; }

std::string_view FrameworkName(Framework framework) {
  return framework == Framework::kKeras ? "keras" : "pytorch";
}

double BatchNormEpsilon(Framework framework) {
  return framework == Framework::kKeras ? 1e-3 : 1e-5;
}

std::vector<ConvLayer> MobileNetV2Layers(double alpha, Framework framework) {
  using Kind = ConvLayer::Kind;
  const auto pad = [&](int stride) {
    return framework == Framework::kKeras && stride == 2 ? 0 : 1;
  };
  std::vector<ConvLayer> layers;
  int channels = RoundChannels(32 * alpha);
  layers.push_back({"Conv1", "bn_Conv1", Kind::kConv3x3, 3, channels, 2, pad(2), true, false});

  int block = 0;
  for (const Stage& stage : kStages) {
    for (int i = 0; i < stage.blocks; ++i, ++block) {
      const int in = channels;
      const int out = RoundChannels(static_cast<int>(stage.channels * alpha));
      const int expanded = in * stage.expansion;
      const int stride = i == 0 ? stage.stride : 1;
      const std::string name = block == 0 ? "expanded_conv" : "block_" + std::to_string(block);
      if (block > 0) {
        layers.push_back({name + "_expand", name + "_expand_BN", Kind::kPointwise, in, expanded, 1,
                          0, true, false});
      }
      layers.push_back({name + "_depthwise", name + "_depthwise_BN", Kind::kDepthwise3x3, expanded,
                        expanded, stride, pad(stride), true, false});
      layers.push_back({name + "_project", name + "_project_BN", Kind::kPointwise, expanded, out, 1,
                        0, false, stride == 1 && in == out});
      channels = out;
    }
  }
  layers.push_back({"Conv_1", "Conv_1_bn", Kind::kPointwise, channels, MobileNetV2Features(alpha),
                    1, 0, true, false});
  return layers;
}

}  // namespace pomona
