// The tensors of MobileNetV2 as Keras names, orders and stores them.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace pomona {

struct KerasTensor {
  std::string layer;  // "block_1_expand_BN"
  std::string role;   // "kernel", "depthwise_kernel", "gamma", "moving_mean", ...
  std::vector<int64_t> shape;

  std::string name() const { return layer + "/" + role; }
};

// The width multipliers for which Keras has ImageNet weights.
inline constexpr double kAlphas[] = {0.35, 0.5, 0.75, 1.0, 1.3, 1.4};

// In the order of Keras' get_weights(): layer by layer, then as each layer lists its own.
std::vector<KerasTensor> KerasTensors(double alpha);

// "[3, 3, 3, 32]"
std::string ShapeText(std::span<const int64_t> shape);

// The values of KerasTensors(alpha), in the same order.
struct KerasWeights {
  double alpha = 1.0;
  std::vector<std::vector<float>> values;
};

// The network in a file that Keras saved; see ImportKerasWeights(). Values are not checked.
// Threads: one caller at a time, in the whole process.
// Errors: Invalid names the file.
// HDF5 crashes on some damaged files, and this with it.
arrow::Result<KerasWeights> ReadKerasFile(const std::string& path);

using KerasReader = std::function<arrow::Result<KerasWeights>(const std::string& path)>;

// The import in a child process, where the reader may crash: Invalid then. `origin`: for the
// metadata.
arrow::Status ImportKerasWeights(const std::string& keras_path, const std::string& safetensors_path,
                                 const std::string& origin, bool only_imagenet,
                                 const KerasReader& reader = ReadKerasFile);

// Invalid names the tensor whose values no network can have: not finite, a negative variance.
arrow::Status CheckValues(const KerasTensor& tensor, std::span<const float> values);

// Hex SHA-256 over the tensors' values, one after another.
std::string TensorDigest(std::span<const std::span<const float>> tensors);
std::string TensorDigest(const KerasWeights& weights);

// AlreadyExists where there is a file of that name, unless it holds the weights of this digest: it
// may be somebody's only copy.
arrow::Result<bool> HasWeights(const std::string& path, const std::string& digest);

// Checks the values and writes the file that Weights::Open() reads, with its folder. A file that
// holds these weights already is left as it is.
// Errors: AlreadyExists where there is any other of that name.
arrow::Status WriteWeights(const std::string& path, const KerasWeights& weights,
                           const std::string& origin);

}  // namespace pomona
