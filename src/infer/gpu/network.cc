#include "infer/gpu/network.h"

#include <algorithm>
#include <utility>

#include "infer/scaled_bytes.h"

namespace pomona::gpu {
namespace {

using Kind = ConvLayer::Kind;

// PIXELS of kernels.cl.
constexpr int kPixels = 8;

arrow::Result<std::unique_ptr<Buffer>> Upload(Device* device, Stream* stream,
                                              std::span<const float> values) {
  ARROW_ASSIGN_OR_RAISE(auto buffer, device->NewBuffer(values.size_bytes()));
  ARROW_RETURN_NOT_OK(stream->Write(*buffer, values.data(), values.size_bytes()));
  return buffer;
}

}  // namespace

arrow::Result<std::unique_ptr<const Network>> Network::Make(Device* device,
                                                            std::span<const FoldedLayer> layers,
                                                            int input_size,
                                                            const Preprocessing& preprocessing) {
  // It waits at its end, so that other streams find all weights there.
  ARROW_ASSIGN_OR_RAISE(const auto stream, device->NewStream());
  std::unique_ptr<Network> network(new Network);
  network->device_ = device;
  network->input_size_ = input_size;
  const ScaledBytes scaled = ScaleBytes(preprocessing);
  ARROW_ASSIGN_OR_RAISE(network->scaled_,
                        Upload(device, stream.get(), {scaled[0].data(), 3 * scaled[0].size()}));
  int size = input_size;
  for (const FoldedLayer& folded : layers) {
    const ConvLayer& layer = folded.layer;
    std::vector<float> weights = folded.bias;
    weights.insert(weights.end(), folded.kernel.begin(), folded.kernel.end());
    ARROW_ASSIGN_OR_RAISE(auto buffer, Upload(device, stream.get(), weights));
    network->layers_.push_back({layer, size, std::move(buffer)});
    size /= layer.stride;
    const size_t floats = size_t{1} * size * size * layer.out_channels;
    size_t& most = layer.kind == Kind::kDepthwise3x3 ? network->filtered_
                   : layer.relu6                     ? network->expanded_
                                                     : network->activations_;
    most = std::max(most, floats);
  }
  return network;
}

size_t Network::lane_bytes() const {
  return picture_bytes() + sizeof(float) * (expanded_ + filtered_ + 2 * activations_ + features());
}

arrow::Result<std::unique_ptr<Lane>> Network::NewLane(int capacity) const {
  std::unique_ptr<Lane> lane(new Lane(*this, capacity));
  const auto floats = [&](size_t count) {
    return device_->NewBuffer(count * sizeof(float) * static_cast<size_t>(capacity));
  };
  ARROW_ASSIGN_OR_RAISE(lane->pictures_,
                        device_->NewBuffer(picture_bytes() * static_cast<size_t>(capacity)));
  ARROW_ASSIGN_OR_RAISE(lane->expanded_, floats(expanded_));
  ARROW_ASSIGN_OR_RAISE(lane->filtered_, floats(filtered_));
  for (auto& activations : lane->activations_) {
    ARROW_ASSIGN_OR_RAISE(activations, floats(activations_));
  }
  ARROW_ASSIGN_OR_RAISE(lane->features_, floats(static_cast<size_t>(features())));
  ARROW_ASSIGN_OR_RAISE(lane->stream_, device_->NewStream());
  return lane;
}

arrow::Status Lane::Run(std::span<const uint8_t> pictures, std::span<float> features) {
  const int32_t n = static_cast<int32_t>(pictures.size() / network_.picture_bytes());
  if (n > capacity_) return arrow::Status::Invalid(n, " pictures for a lane of ", capacity_);
  ARROW_RETURN_NOT_OK(stream_->Write(*pictures_, pictures.data(), pictures.size()));

  int in = 0;
  int32_t positions = 0;
  for (const Network::Layer& each : network_.layers_) {
    const ConvLayer& layer = each.layer;
    const Buffer* const weights = each.weights.get();
    const int32_t size = each.size;
    const int32_t out_size = size / layer.stride;
    const int32_t outputs = layer.out_channels;
    const int64_t vectors = outputs / kVectorWidth;
    positions = out_size * out_size;
    const int64_t pixels = int64_t{n} * positions;
    switch (layer.kind) {
      case Kind::kConv3x3:
        ARROW_RETURN_NOT_OK(stream_->Run("convolution",
                                         {weights, network_.scaled_.get(), pictures_.get(),
                                          expanded_.get(), n, size, layer.pad, outputs},
                                         pixels * vectors));
        break;
      case Kind::kDepthwise3x3:
        ARROW_RETURN_NOT_OK(stream_->Run(
            "depthwise",
            {weights, expanded_.get(), filtered_.get(), n, size, layer.pad, layer.stride, outputs},
            pixels * vectors));
        break;
      case Kind::kPointwise: {
        // An expansion, or the last convolution; or a projection, which adds in place.
        const Buffer* const from = layer.relu6 ? activations_[in].get() : filtered_.get();
        if (!layer.relu6 && !layer.add_residual) in ^= 1;
        const Buffer* const to = layer.relu6 ? expanded_.get() : activations_[in].get();
        ARROW_RETURN_NOT_OK(
            stream_->Run("pointwise",
                         {weights, from, to, static_cast<int32_t>(pixels), layer.in_channels,
                          outputs, layer.relu6, layer.add_residual},
                         (pixels + kPixels - 1) / kPixels * vectors));
        break;
      }
    }
  }

  const int32_t width = network_.features();
  ARROW_RETURN_NOT_OK(stream_->Run("pool", {expanded_.get(), features_.get(), n, positions, width},
                                   int64_t{n} * width / kVectorWidth));
  ARROW_RETURN_NOT_OK(stream_->Read(*features_, features.data(), features.size_bytes()));
  for (float& value : features) value /= static_cast<float>(positions);
  return arrow::Status::OK();
}

}  // namespace pomona::gpu
