// Each kernel of each instruction set, on every layer shape of the family, against the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>
#include <tuple>

#include "infer/native/kernels.h"
#include "infer/native_reference.h"

namespace pomona::native {
namespace {

constexpr double kAlphas[] = {0.35, 0.5, 0.75, 1.0, 1.3, 1.4};

class NativeKernels : public testing::TestWithParam<Cpu> {
 protected:
  void SetUp() override {
    kernels_ = KernelsFor(GetParam());
    if (kernels_ == nullptr) GTEST_SKIP() << "this machine lacks these vector instructions";
  }

  // Pixels in a row, so that pixels * channels random values make a picture.
  std::vector<float> RandomFloats(size_t n) {
    std::normal_distribution<float> normal(0, 1);
    std::vector<float> floats(n);
    for (float& f : floats) f = normal(random_);
    return floats;
  }

  const Kernels* kernels_ = nullptr;
  std::mt19937 random_{7};
};

ConvLayer PointwiseLayer(int inputs, int outputs, bool relu6, bool add_residual) {
  return {.conv = "",
          .norm = "",
          .kind = ConvLayer::Kind::kPointwise,
          .in_channels = inputs,
          .out_channels = outputs,
          .stride = 1,
          .pad = 0,
          .relu6 = relu6,
          .add_residual = add_residual};
}

// What the chain of a pixel and an output channel comes to, in the documented order. Also checks it
// against the sum in double precision: each step rounds by at most half a unit in the last place of
// what was summed so far.
float Chain(const FoldedLayer& folded, const float* in, int inputs, int channel) {
  float acc = folded.bias[channel];
  double exact = acc;
  double magnitude = std::abs(exact);
  for (int k = 0; k < inputs; ++k) {
    const size_t weight = static_cast<size_t>(k) * folded.layer.out_channels + channel;
    acc = std::fma(in[k], folded.kernel[weight], acc);
    const double product = static_cast<double>(in[k]) * folded.kernel[weight];
    exact += product;
    magnitude += std::abs(product);
  }
  EXPECT_NEAR(acc, exact, inputs * std::ldexp(magnitude, -24));
  return acc;
}

// All outputs of pixels whose inputs are adjacent.
MatMulArgs AllOf(const PackedMatrix& packed, const std::vector<float>& in, int pixels, Then then,
                 std::vector<float>* out) {
  return {.weights = &packed,
          .first_column = 0,
          .columns = packed.columns,
          .in = in.data(),
          .pixels = pixels,
          .pixel_stride = packed.rows,
          .segment_length = packed.rows,
          .then = then,
          .out = out->data(),
          .out_stride = packed.columns,
          .row_pixels = pixels};
}

TEST_P(NativeKernels, PointwiseIsTheDocumentedChain) {
  std::set<std::pair<int, int>> shapes;
  for (double alpha : kAlphas) {
    for (const ConvLayer& layer : MobileNetV2Layers(alpha)) {
      if (layer.kind == ConvLayer::Kind::kPointwise) {
        shapes.insert({layer.in_channels, layer.out_channels});
      }
    }
  }
  int pixels = 0;
  for (const auto& [inputs, outputs] : shapes) {
    pixels = pixels % 31 + 1;  // every height of a tile
    const ConvLayer layer = PointwiseLayer(inputs, outputs, pixels % 3 == 0, pixels % 3 == 1);
    const FoldedLayer folded = RandomLayer(layer, &random_);
    const PackedMatrix packed = PackMatrix(folded, kernels_->lanes);
    const std::vector<float> in = RandomFloats(static_cast<size_t>(pixels) * inputs);
    std::vector<float> out = RandomFloats(static_cast<size_t>(pixels) * outputs);
    const std::vector<float> residual = out;
    const Then then = layer.relu6 ? Then::kRelu6 : layer.add_residual ? Then::kAdd : Then::kStore;
    kernels_->matmul(AllOf(packed, in, pixels, then, &out));
    for (int p = 0; p < pixels; ++p) {
      for (int c = 0; c < outputs; ++c) {
        float expected = Chain(folded, &in[static_cast<size_t>(p) * inputs], inputs, c);
        const size_t at = static_cast<size_t>(p) * outputs + c;
        if (layer.add_residual) expected += residual[at];
        if (layer.relu6) expected = std::min(std::max(expected, 0.0f), 6.0f);
        ASSERT_EQ(out[at], expected) << inputs << " to " << outputs << ", pixel " << p << " of "
                                     << pixels << ", channel " << c;
      }
    }
  }
}

TEST_P(NativeKernels, PointwiseLeavesGapsBetweenRowsAlone) {
  const int inputs = 16, outputs = 40, rows = 3, row_pixels = 7, gap = 2 * outputs;
  const ConvLayer layer = PointwiseLayer(inputs, outputs, false, false);
  const FoldedLayer folded = RandomLayer(layer, &random_);
  const PackedMatrix packed = PackMatrix(folded, kernels_->lanes);
  const std::vector<float> in = RandomFloats(rows * row_pixels * inputs);
  std::vector<float> out(rows * (row_pixels * outputs + gap), -1);
  MatMulArgs args = AllOf(packed, in, rows * row_pixels, Then::kStore, &out);
  args.row_pixels = row_pixels;
  args.row_gap = gap;
  kernels_->matmul(args);
  for (int row = 0, at = 0; row < rows; ++row) {
    for (int p = 0; p < row_pixels; ++p) {
      for (int c = 0; c < outputs; ++c, ++at) {
        ASSERT_EQ(out[at], Chain(folded, &in[(row * row_pixels + p) * inputs], inputs, c));
      }
    }
    for (int i = 0; i < gap; ++i, ++at) ASSERT_EQ(out[at], -1);
  }
}

// As a projection reads what was filtered: groups of channels, each with all pixels.
TEST_P(NativeKernels, InputsInGroupsAreTheDocumentedChain) {
  const int outputs = 40;
  for (const int inputs : {8, 328, 384, 960}) {
    const ConvLayer layer = PointwiseLayer(inputs, outputs, false, true);
    const FoldedLayer folded = RandomLayer(layer, &random_);
    const PackedMatrix packed = PackMatrix(folded, kernels_->lanes);
    for (const int pixels : {1, 49, 196, 203}) {
      const std::vector<float> in = RandomFloats(static_cast<size_t>(pixels) * inputs);
      const auto groups = static_cast<size_t>((inputs + kGroup - 1) / kGroup);
      std::vector<float> grouped(groups * pixels * kGroup);
      for (int p = 0; p < pixels; ++p) {
        for (int k = 0; k < inputs; ++k) {
          grouped[static_cast<size_t>((k / kGroup * pixels + p) * kGroup + k % kGroup)] =
              in[static_cast<size_t>(p) * inputs + k];
        }
      }
      std::vector<float> out = RandomFloats(static_cast<size_t>(pixels) * outputs);
      const std::vector<float> residual = out;
      MatMulArgs args = AllOf(packed, grouped, pixels, Then::kAdd, &out);
      args.pixel_stride = args.segment_length = kGroup;
      args.segment_stride = static_cast<ptrdiff_t>(pixels) * kGroup;
      kernels_->matmul(args);
      for (int p = 0; p < pixels; ++p) {
        for (int c = 0; c < outputs; ++c) {
          const size_t at = static_cast<size_t>(p) * outputs + c;
          const float chain = Chain(folded, &in[static_cast<size_t>(p) * inputs], inputs, c);
          ASSERT_EQ(out[at], chain + residual[at])
              << inputs << " inputs, pixel " << p << " of " << pixels << ", channel " << c;
        }
      }
    }
  }
}

TEST_P(NativeKernels, PoolAddsPixelsInOrder) {
  const int inputs = 24, outputs = 120, pixels = 49;
  const ConvLayer layer = PointwiseLayer(inputs, outputs, true, false);
  const FoldedLayer folded = RandomLayer(layer, &random_);
  const PackedMatrix packed = PackMatrix(folded, kernels_->lanes);
  const std::vector<float> in = RandomFloats(pixels * inputs);
  std::vector<float> pool(outputs, 0.0f);
  MatMulArgs args = AllOf(packed, in, pixels, Then::kRelu6Pool, &pool);
  args.out_stride = 0;
  kernels_->matmul(args);
  for (int c = 0; c < outputs; ++c) {
    float sum = 0;
    for (int p = 0; p < pixels; ++p) {
      sum += std::min(std::max(Chain(folded, &in[p * inputs], inputs, c), 0.0f), 6.0f);
    }
    ASSERT_EQ(pool[c], sum);
  }
}

TEST_P(NativeKernels, DepthwiseIsTheDocumentedChain) {
  std::set<std::pair<int, int>> shapes;
  for (double alpha : kAlphas) {
    for (const ConvLayer& layer : MobileNetV2Layers(alpha)) {
      if (layer.kind == ConvLayer::Kind::kDepthwise3x3) {
        shapes.insert({layer.in_channels, layer.stride});
      }
    }
  }
  int pixels = 0;
  for (const auto& [channels, stride] : shapes) {
    pixels = pixels % 17 + 1;
    const ConvLayer layer{.conv = "",
                          .norm = "",
                          .kind = ConvLayer::Kind::kDepthwise3x3,
                          .in_channels = channels,
                          .out_channels = channels,
                          .stride = stride,
                          .pad = 0,
                          .relu6 = true,
                          .add_residual = false};
    const FoldedLayer folded = RandomLayer(layer, &random_);
    const PackedDepthwise packed = PackDepthwise(folded, kernels_->lanes);
    const int columns = (pixels - 1) * stride + 3;
    const int row_floats = columns * kGroup;
    for (int group = 0; group < channels; group += kGroup) {
      const int width = std::min(kGroup, channels - group);
      const std::vector<float> in = RandomFloats(3 * row_floats);
      std::vector<float> out(pixels * kGroup);
      const float* const rows[] = {&in[0], &in[row_floats], &in[2 * row_floats]};
      kernels_->depthwise({.weights = &packed,
                           .first_channel = group,
                           .channels = width,
                           .in = rows,
                           .stride = stride,
                           .rows = 1,
                           .pixels = pixels,
                           .out = out.data()});
      for (int p = 0; p < pixels; ++p) {
        for (int c = 0; c < width; ++c) {
          float acc = folded.bias[group + c];
          for (int ky = 0; ky < 3; ++ky) {
            for (int kx = 0; kx < 3; ++kx) {
              acc = std::fma(in[ky * row_floats + (p * stride + kx) * kGroup + c],
                             folded.kernel[(ky * 3 + kx) * channels + group + c], acc);
            }
          }
          ASSERT_EQ(out[p * kGroup + c], std::min(std::max(acc, 0.0f), 6.0f))
              << channels << " channels, stride " << stride << ", pixel " << p << " of " << pixels;
        }
      }
    }
  }
}

std::string CpuName(const testing::TestParamInfo<Cpu>& info) {
  constexpr const char* kNames[] = {"best", "avx512", "avx2", "neon", "scalar"};
  return kNames[static_cast<int>(info.param)];
}

INSTANTIATE_TEST_SUITE_P(Cpus, NativeKernels,
                         testing::Values(Cpu::kAvx512, Cpu::kAvx2, Cpu::kNeon, Cpu::kScalar),
                         CpuName);

}  // namespace
}  // namespace pomona::native
