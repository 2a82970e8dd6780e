// The network again, written to be read: a loop a dimension, layer after layer. In double precision
// it says what the numbers should be; in float, by the documented chain, what bits they must have.
// And random weights and pictures to run it on.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "pomona/weights.h"

namespace pomona::native {

// Height x width x channels, of float or double.
template <class T>
struct Tensor {
  int size = 0;
  int channels = 0;
  std::vector<T> values;

  Tensor(int size, int channels)
      : size(size), channels(channels), values(static_cast<size_t>(size) * size * channels) {}
  T& at(int y, int x, int c) { return values[(static_cast<size_t>(y) * size + x) * channels + c]; }
  T at(int y, int x, int c) const {
    return values[(static_cast<size_t>(y) * size + x) * channels + c];
  }
};

// Random weights of such sizes that activations stay of the order of one through all layers, and
// that some of them reach either end of ReLU6.
inline FoldedLayer RandomLayer(const ConvLayer& layer, std::mt19937* random) {
  FoldedLayer folded{.layer = layer, .kernel = {}, .bias = {}};
  int size = 1;
  for (int extent : layer.KernelShape()) size *= extent;
  const int inputs = size / layer.out_channels;
  std::normal_distribution<float> weight(0, 1.5f / std::sqrt(static_cast<float>(inputs)));
  std::normal_distribution<float> bias(0.2f, 0.5f);
  for (int i = 0; i < size; ++i) folded.kernel.push_back(weight(*random));
  for (int i = 0; i < layer.out_channels; ++i) folded.bias.push_back(bias(*random));
  return folded;
}

inline std::vector<FoldedLayer> RandomLayers(double alpha, uint32_t seed,
                                             Framework framework = Framework::kKeras) {
  std::mt19937 random(seed);
  std::vector<FoldedLayer> layers;
  for (const ConvLayer& layer : MobileNetV2Layers(alpha, framework)) {
    layers.push_back(RandomLayer(layer, &random));
  }
  return layers;
}

inline std::vector<uint8_t> RandomPicture(int size, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<uint8_t> picture(static_cast<size_t>(size) * size * 3);
  for (uint8_t& byte : picture) byte = static_cast<uint8_t>(random());
  return picture;
}

// One layer; `residual` is null where there is none.
template <class T>
Tensor<T> ReferenceLayer(const FoldedLayer& folded, const Tensor<T>& in,
                         const Tensor<T>* residual) {
  const ConvLayer& layer = folded.layer;
  const bool depthwise = layer.kind == ConvLayer::Kind::kDepthwise3x3;
  const int window = layer.kind == ConvLayer::Kind::kPointwise ? 1 : 3;
  const int pad = layer.pad;
  Tensor<T> out(in.size / layer.stride, layer.out_channels);
  for (int y = 0; y < out.size; ++y) {
    for (int x = 0; x < out.size; ++x) {
      for (int c = 0; c < out.channels; ++c) {
        T sum = folded.bias[c];
        for (int ky = 0; ky < window; ++ky) {
          for (int kx = 0; kx < window; ++kx) {
            const int in_y = y * layer.stride + ky - pad;
            const int in_x = x * layer.stride + kx - pad;
            if (in_y < 0 || in_y >= in.size || in_x < 0 || in_x >= in.size) continue;
            const size_t tap = static_cast<size_t>(ky) * window + kx;
            if (depthwise) {
              sum = std::fma(in.at(in_y, in_x, c), T{folded.kernel[tap * out.channels + c]}, sum);
              continue;
            }
            for (int i = 0; i < in.channels; ++i) {
              const T weight = folded.kernel[(tap * in.channels + i) * out.channels + c];
              sum = std::fma(in.at(in_y, in_x, i), weight, sum);
            }
          }
        }
        if (residual != nullptr) sum += residual->at(y, x, c);
        if (layer.relu6) sum = std::clamp(sum, T{0}, T{6});
        out.at(y, x, c) = sum;
      }
    }
  }
  return out;
}

template <class T>
std::vector<T> ReferenceFeatures(std::span<const FoldedLayer> layers, int size,
                                 std::span<const uint8_t> picture,
                                 const Preprocessing& scaling = kKerasPreprocessing) {
  Tensor<T> now(size, 3);
  for (size_t i = 0; i < now.values.size(); ++i) {
    now.values[i] =
        (picture[i] / T{scaling.divisor} - T{scaling.mean[i % 3]}) / T{scaling.deviation[i % 3]};
  }
  Tensor<T> block_input = now;
  for (const FoldedLayer& folded : layers) {
    now = ReferenceLayer<T>(folded, now, folded.layer.add_residual ? &block_input : nullptr);
    // Only projections are linear; each ends a block.
    if (!folded.layer.relu6) block_input = now;
  }
  std::vector<T> features(now.channels);
  for (int c = 0; c < now.channels; ++c) {
    for (int y = 0; y < now.size; ++y) {
      for (int x = 0; x < now.size; ++x) features[c] += now.at(y, x, c);
    }
    features[c] /= static_cast<T>(now.size * now.size);
  }
  return features;
}

inline bool SameBits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

// A network of the family, as tests are parametrized by it.
struct Variant {
  double alpha;
  int size;
  Framework framework = Framework::kKeras;

  const Preprocessing& scaling() const {
    return framework == Framework::kKeras ? kKerasPreprocessing : *FindPreprocessing("timm");
  }
  std::string name() const {
    return std::string(framework == Framework::kKeras ? "" : "pytorch_") + "alpha" +
           std::to_string(int(alpha * 100)) + "_size" + std::to_string(size);
  }
};

}  // namespace pomona::native
