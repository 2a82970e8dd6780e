#include <array>
#include <memory>
#include <openvino/openvino.hpp>
#include <openvino/opsets/opset13.hpp>
#include <span>
#include <utility>
#include <vector>

#include "pomona/engine.h"

namespace pomona {
namespace {

namespace op = ov::opset13;
using Node = ov::Output<ov::Node>;

template <typename T>
Node Constant(const ov::Shape& shape, const std::vector<T>& values) {
  return std::make_shared<op::Constant>(ov::element::from<T>(), shape, values);
}

// Keras' HWIO (HWC1 where depthwise, read as HWIO with I = C, O = 1) -> the order that OpenVINO
// wants: the channels first, those of the output before those of the input.
std::vector<float> ChannelsFirst(const FoldedLayer& folded) {
  const std::vector<int> shape = folded.layer.KernelShape();
  const size_t taps = size_t{1} * shape[0] * shape[1];
  const size_t inputs = shape[2];
  const size_t outputs = shape[3];
  std::vector<float> kernel(folded.kernel.size());
  for (size_t o = 0; o < outputs; ++o) {
    for (size_t i = 0; i < inputs; ++i) {
      for (size_t t = 0; t < taps; ++t) {
        kernel[(o * inputs + i) * taps + t] = folded.kernel[(t * inputs + i) * outputs + o];
      }
    }
  }
  return kernel;
}

Node Apply(const FoldedLayer& folded, const Node& input) {
  const ConvLayer& layer = folded.layer;
  const size_t in = layer.in_channels;
  const size_t out = layer.out_channels;
  const size_t size = layer.kind == ConvLayer::Kind::kPointwise ? 1 : 3;
  const ptrdiff_t after = size == 1 ? 0 : 1;
  const ptrdiff_t before = layer.pad;
  const ov::Strides strides(2, layer.stride);
  const ov::CoordinateDiff pads_begin(2, before);
  const ov::CoordinateDiff pads_end(2, after);
  const ov::Strides dilations(2, 1);

  Node x;
  if (layer.kind == ConvLayer::Kind::kDepthwise3x3) {
    x = std::make_shared<op::GroupConvolution>(
        input, Constant({out, 1, 1, size, size}, ChannelsFirst(folded)), strides, pads_begin,
        pads_end, dilations);
  } else {
    x = std::make_shared<op::Convolution>(input,
                                          Constant({out, in, size, size}, ChannelsFirst(folded)),
                                          strides, pads_begin, pads_end, dilations);
  }
  x = std::make_shared<op::Add>(x, Constant({1, out, 1, 1}, folded.bias));
  if (layer.relu6) x = std::make_shared<op::Clamp>(x, 0.0, 6.0);
  return x;
}

// [1, 224, 224, 3] uint8 -> [1, features] float32.
std::shared_ptr<ov::Model> BuildNetwork(const Weights& weights) {
  const auto picture =
      std::make_shared<op::Parameter>(ov::element::u8, ov::Shape{1, kInputSize, kInputSize, 3});
  // The scaling stands before the first convolution, not in its kernel: the picture's border is
  // padded with zeros after it.
  Node x = std::make_shared<op::Convert>(picture, ov::element::f32);
  const Preprocessing& scaling = weights.preprocessing();
  const auto colors = [](const std::array<float, 3>& values) {
    return Constant<float>({3}, {values.begin(), values.end()});
  };
  x = std::make_shared<op::Divide>(x, Constant<float>({}, {scaling.divisor}));
  x = std::make_shared<op::Subtract>(x, colors(scaling.mean));
  x = std::make_shared<op::Divide>(x, colors(scaling.deviation));
  x = std::make_shared<op::Transpose>(x, Constant<int64_t>({4}, {0, 3, 1, 2}));

  Node block_input;
  for (const FoldedLayer& folded : weights.Fold()) {
    // A block with a residual starts with its expansion, the only pointwise layer with a ReLU6.
    const ConvLayer& layer = folded.layer;
    if (layer.kind == ConvLayer::Kind::kPointwise && layer.relu6) block_input = x;
    x = Apply(folded, x);
    if (layer.add_residual) x = std::make_shared<op::Add>(x, block_input);
  }
  x = std::make_shared<op::ReduceMean>(x, Constant<int64_t>({2}, {2, 3}), /*keep_dims=*/false);
  return std::make_shared<ov::Model>(ov::OutputVector{x}, ov::ParameterVector{picture});
}

arrow::Status Failed(const char* what, const std::exception& error) {
  return arrow::Status::UnknownError("OpenVINO cannot ", what, ": ", error.what());
}

class OpenVinoWorker : public EngineWorker {
 public:
  OpenVinoWorker(ov::InferRequest request, int features)
      : request_(std::move(request)), features_(features) {}

  arrow::Status Infer(std::span<const uint8_t> pictures, std::span<float> features) override try {
    const size_t count = pictures.size() / kPictureBytes;
    if (pictures.size() != count * kPictureBytes || features.size() != count * features_) {
      return arrow::Status::Invalid(pictures.size(), " bytes of pictures do not fit ",
                                    features.size(), " features");
    }
    // One picture at a time: a larger batch is no faster on one thread, and needs more memory.
    for (size_t i = 0; i < count; ++i) {
      // OpenVINO has no constant tensors; it does not write to its input.
      auto* picture = const_cast<uint8_t*>(pictures.data()) + i * kPictureBytes;
      request_.set_input_tensor(
          {ov::element::u8, ov::Shape{1, kInputSize, kInputSize, 3}, picture});
      request_.set_output_tensor(
          {ov::element::f32, ov::Shape{1, features_}, features.data() + i * features_});
      request_.infer();
    }
    return arrow::Status::OK();
  } catch (const std::exception& error) {
    return Failed("infer", error);
  }

 private:
  ov::InferRequest request_;
  size_t features_;
};

class OpenVinoEngine : public Engine {
 public:
  OpenVinoEngine(ov::CompiledModel network, const Weights& weights)
      : network_(std::move(network)),
        features_(MobileNetV2Features(weights.alpha())),
        preprocessing_(weights.preprocessing()) {}

  std::string_view name() const override { return "openvino"; }
  int features() const override { return features_; }
  const Preprocessing& preprocessing() const override { return preprocessing_; }

  arrow::Result<std::unique_ptr<EngineWorker>> NewWorker() override try {
    return std::make_unique<OpenVinoWorker>(network_.create_infer_request(), features_);
  } catch (const std::exception& error) {
    return Failed("make a worker", error);
  }

 private:
  ov::CompiledModel network_;
  int features_;
  const Preprocessing preprocessing_;
};

}  // namespace

arrow::Result<std::unique_ptr<Engine>> MakeOpenVinoEngine(const Weights& weights, int threads) try {
  // A stream of one thread for each worker. The worker's thread sleeps while its stream computes,
  // so as many threads are busy as there are workers, and all share one copy of the weights.
  const ov::AnyMap properties = {
      ov::num_streams(threads),
      ov::inference_num_threads(threads),
      ov::hint::enable_hyper_threading(true),
      ov::hint::enable_cpu_pinning(false),
      ov::hint::inference_precision(ov::element::f32),
  };
  ov::CompiledModel network = ov::Core().compile_model(BuildNetwork(weights), "CPU", properties);
  return std::make_unique<OpenVinoEngine>(std::move(network), weights);
} catch (const std::exception& error) {
  return Failed("prepare the network", error);
}

}  // namespace pomona
