// MobileNetV2 on a device, layer after layer, for a batch of pictures.
#pragma once

#include <arrow/result.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "infer/gpu/device.h"
#include "pomona/preprocessing.h"
#include "pomona/weights.h"

namespace pomona::gpu {

class Network;

// A stream of a device with memory for the activations of `capacity` pictures.
//
// Threads: one caller at a time.
class Lane {
 public:
  int capacity() const { return capacity_; }

  // pictures: n x input size x input size x 3 RGB, n at most the capacity. features: n rows.
  // Errors: see Stream.
  arrow::Status Run(std::span<const uint8_t> pictures, std::span<float> features);

 private:
  friend class Network;
  Lane(const Network& network, int capacity) : network_(network), capacity_(capacity) {}

  const Network& network_;
  const int capacity_;
  std::unique_ptr<Buffer> pictures_, expanded_, filtered_, features_;
  std::array<std::unique_ptr<Buffer>, 2> activations_;  // a block's input and output, in turns
  std::unique_ptr<Stream> stream_;                      // the first to end: it may use the others
};

// The weights on a device. It must not outlive the device, nor a lane the network.
//
// Threads: safe to share.
class Network {
 public:
  // layers: MobileNetV2Layers() of any width, with weights. input_size: a multiple of 32.
  // Errors: see Stream.
  static arrow::Result<std::unique_ptr<const Network>> Make(
      Device* device, std::span<const FoldedLayer> layers, int input_size,
      const Preprocessing& preprocessing = kKerasPreprocessing);

  int features() const { return layers_.back().layer.out_channels; }
  size_t picture_bytes() const { return size_t{3} * input_size_ * input_size_; }

  // Bytes of the activations of one picture.
  size_t lane_bytes() const;

  arrow::Result<std::unique_ptr<Lane>> NewLane(int capacity) const;

 private:
  friend class Lane;
  struct Layer {
    ConvLayer layer;
    int size;  // height and width of its input
    std::unique_ptr<Buffer> weights;
  };

  Network() = default;

  Device* device_ = nullptr;
  int input_size_ = 0;
  std::unique_ptr<Buffer> scaled_;  // what each byte of each color becomes
  std::vector<Layer> layers_;
  // Floats of a picture in the buffers of a lane.
  size_t expanded_ = 0, filtered_ = 0, activations_ = 0;
};

}  // namespace pomona::gpu
