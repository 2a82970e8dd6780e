// The tensors of MobileNetV2 as Keras names, orders and stores them.
#pragma once

#include <arrow/result.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/mobilenet_v2.h"
#include "pomona/preprocessing.h"

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
  Framework framework = Framework::kKeras;
  const Preprocessing* preprocessing = &kKerasPreprocessing;  // null where nobody knows
};

// The network in a file that Keras saved; see ImportWeights(). Values are not checked.
// Threads: one caller at a time, in the whole process.
// Errors: Invalid names the file.
// HDF5 crashes on some damaged files, and this with it.
arrow::Result<KerasWeights> ReadKerasFile(const std::string& path);

// The member of a .keras archive that has the weights.
inline constexpr char kKerasMember[] = "model.weights.h5";

// The same for a state dictionary of torchvision's or timm's MobileNetV2, which torch.save() or
// safetensors wrote. Threads: any.
arrow::Result<KerasWeights> ReadPyTorchFile(const std::string& path);

// Whichever of the two the file's first bytes ask for.
arrow::Result<KerasWeights> ReadWeightsFile(const std::string& path);

using WeightsReader = std::function<arrow::Result<KerasWeights>(const std::string& path)>;

// The import in a child process, where the reader may crash: Invalid then. `origin`: for the
// metadata. `preprocessing`: see the other ImportWeights().
arrow::Status ImportWeights(const std::string& path, const std::string& safetensors_path,
                            const std::string& origin, bool only_imagenet,
                            const WeightsReader& reader = ReadWeightsFile,
                            std::string_view preprocessing = {});

// Invalid names the tensor whose values no network can have: not finite, a negative variance.
arrow::Status CheckValues(const KerasTensor& tensor, std::span<const float> values);

// See Weights::digest().
std::string TensorDigest(std::span<const std::span<const float>> tensors, Framework framework);
std::string TensorDigest(const KerasWeights& weights);

// AlreadyExists where there is a file of that name, unless it holds the weights of this digest for
// this preprocessing: it may be somebody's only copy.
arrow::Result<bool> HasWeights(const std::string& path, const std::string& digest,
                               const Preprocessing& preprocessing = kKerasPreprocessing);

// Checks the values and writes the file that Weights::Open() reads, with its folder. A file that
// holds these weights already is left as it is.
// REQUIRES: weights.preprocessing is known.
// Errors: AlreadyExists where there is any other of that name.
arrow::Status WriteWeights(const std::string& path, const KerasWeights& weights,
                           const std::string& origin);

}  // namespace pomona
