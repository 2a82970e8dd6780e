#include "pomona/weights.h"
#include "pomona/location.h"

#include <arrow/util/io_util.h>
#include <dlfcn.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <map>
#include <system_error>

#include "keras_tensors.h"
#include "sha256.h"

namespace pomona {
namespace {

namespace fs = std::filesystem;

// What WriteWeights() puts into the file's metadata.
constexpr char kKindKey[] = "kind";
constexpr char kKind[] = "mobilenet_v2";
constexpr char kVersionKey[] = "version";
constexpr char kFormatVersion[] = "1";  // of Keras' network and preprocessing
constexpr char kNamedVersion[] = "2";   // of those it names; who knows no others refuses it
constexpr char kFrameworkKey[] = "framework";
constexpr char kPreprocessingKey[] = "preprocessing";
constexpr char kAlphaKey[] = "alpha";
constexpr char kDigestKey[] = "sha256";
constexpr char kOriginKey[] = "origin";

constexpr char kFileName[] = "mobilenet_v2_imagenet.safetensors";

std::string AlphaText(double alpha) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof(text), alpha).ptr};
}

std::string ColorsText(const std::array<float, 3>& values) {
  std::string text;
  for (const float value : values) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof(digits), value).ptr;
    text += (text.empty() ? "" : ", ") + std::string(digits, end);
  }
  return text;
}

// Where this code was loaded from: the program's folder, or the Python module's.
fs::path CodeFolder() {
  std::error_code error;
  Dl_info info;
  // Of a program it tells what it was called as, which need be no path.
  if (dladdr(reinterpret_cast<void*>(&CodeFolder), &info) != 0 && info.dli_fname[0] == '/') {
    return fs::canonical(info.dli_fname, error).parent_path();
  }
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

}  // namespace

std::string ShapeText(std::span<const int64_t> shape) {
  std::string text = "[";
  for (int64_t extent : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(extent);
  return text + "]";
}

std::vector<KerasTensor> KerasTensors(double alpha) {
  std::vector<KerasTensor> tensors;
  for (const ConvLayer& layer : MobileNetV2Layers(alpha)) {
    const std::vector<int> kernel = layer.KernelShape();
    const bool depthwise = layer.kind == ConvLayer::Kind::kDepthwise3x3;
    tensors.push_back(
        {layer.conv, depthwise ? "depthwise_kernel" : "kernel", {kernel.begin(), kernel.end()}});
    for (const char* role : {"gamma", "beta", "moving_mean", "moving_variance"}) {
      tensors.push_back({layer.norm, role, {layer.out_channels}});
    }
  }
  return tensors;
}

arrow::Status CheckValues(const KerasTensor& tensor, std::span<const float> values) {
  // Without a branch inside, so that it is vectorised: this runs at every start.
  bool finite = true;
  for (float value : values) finite &= std::abs(value) <= std::numeric_limits<float>::max();
  if (!finite) {
    return arrow::Status::Invalid("tensor '", tensor.name(), "' has values that are not finite");
  }
  if (tensor.role == "moving_variance" && std::ranges::min(values) < 0) {
    return arrow::Status::Invalid("tensor '", tensor.name(), "' has negative variances");
  }
  return arrow::Status::OK();
}

std::string TensorDigest(std::span<const std::span<const float>> tensors, Framework framework) {
  Sha256 digest;
  for (const std::span<const float> values : tensors) {
    digest.Add({reinterpret_cast<const uint8_t*>(values.data()), values.size_bytes()});
  }
  if (framework != Framework::kKeras) {
    const std::string_view name = FrameworkName(framework);
    digest.Add(std::span(reinterpret_cast<const uint8_t*>(name.data()), name.size()));
  }
  return digest.Hex();
}

std::string TensorDigest(const KerasWeights& weights) {
  const std::vector<std::span<const float>> tensors(weights.values.begin(), weights.values.end());
  return TensorDigest(tensors, weights.framework);
}

arrow::Result<bool> HasWeights(const std::string& path, const std::string& digest,
                               const Preprocessing& preprocessing) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return false;
  const char* held = "something else";
  if (fs::is_regular_file(path, error)) {
    const auto there = Weights::Open(path);
    const bool same = there.ok() && (*there)->digest() == digest;
    if (same && (*there)->preprocessing().name == preprocessing.name) return true;
    if (there.ok()) held = same ? "the same weights for other pictures" : "other weights";
  }
  return arrow::Status::AlreadyExists(path, ": is there already, and holds ", held,
                                      "; remove it, or name another file with --output");
}

arrow::Status WriteWeights(const std::string& path, const KerasWeights& weights,
                           const std::string& origin) {
  const std::vector<KerasTensor> tensors = KerasTensors(weights.alpha);
  std::vector<NamedTensor> named;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const std::vector<float>& values = weights.values[i];
    ARROW_RETURN_NOT_OK(CheckValues(tensors[i], values));
    named.push_back(
        {tensors[i].name(), {DType::kF32, tensors[i].shape, std::as_bytes(std::span(values))}});
  }
  const std::string digest = TensorDigest(weights);
  const Preprocessing& preprocessing = *weights.preprocessing;
  ARROW_ASSIGN_OR_RAISE(const bool there, HasWeights(path, digest, preprocessing));
  if (there) return arrow::Status::OK();
  const fs::path folder = fs::path(path).parent_path();
  std::error_code error;
  if (!folder.empty()) fs::create_directories(folder, error);
  if (error) {
    return arrow::Status::IOError(folder.string(), ": cannot create the folder: ", error.message());
  }
  std::map<std::string, std::string> metadata = {{kKindKey, kKind},
                                                 {kVersionKey, kFormatVersion},
                                                 {kAlphaKey, AlphaText(weights.alpha)},
                                                 {kDigestKey, digest},
                                                 {kOriginKey, origin}};
  if (weights.framework != Framework::kKeras || preprocessing.name != kKerasPreprocessing.name) {
    metadata[kVersionKey] = kNamedVersion;
    metadata[kFrameworkKey] = FrameworkName(weights.framework);
    metadata[kPreprocessingKey] = preprocessing.name;
    metadata["pixels"] = preprocessing.RecordedName(DecodeMode::kExact);
    metadata["mean"] = ColorsText(preprocessing.mean);
    metadata["deviation"] = ColorsText(preprocessing.deviation);
  }
  return WriteSafetensors(path, named, metadata);
}

arrow::Result<std::shared_ptr<const Weights>> Weights::Open(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(auto file, SafetensorsFile::Open(path));
  return FromFile(std::move(file));
}

arrow::Result<std::shared_ptr<const Weights>> Weights::FromFile(
    std::shared_ptr<const SafetensorsFile> safetensors) {
  std::shared_ptr<Weights> weights(new Weights);
  weights->file_ = std::move(safetensors);
  const SafetensorsFile& file = *weights->file_;
  const std::string& path = file.path();

  const auto metadata = [&](const char* key) {
    const auto entry = file.metadata().find(key);
    return entry == file.metadata().end() ? std::string() : entry->second;
  };
  if (metadata(kKindKey) != kKind) {
    return arrow::Status::Invalid(path, ": holds no weights made by `pomona weights`");
  }
  if (metadata(kVersionKey) == kNamedVersion) {
    const std::string framework = metadata(kFrameworkKey);
    const std::string preprocessing = metadata(kPreprocessingKey);
    weights->preprocessing_ = FindPreprocessing(preprocessing);
    const bool pytorch = framework == FrameworkName(Framework::kPyTorch);
    if ((!pytorch && framework != FrameworkName(Framework::kKeras)) || !weights->preprocessing_) {
      return arrow::Status::Invalid(path, ": is made for '", framework, "' and '", preprocessing,
                                    "', which this version of Pomona does not know");
    }
    if (pytorch) weights->framework_ = Framework::kPyTorch;
  } else if (metadata(kVersionKey) != kFormatVersion) {
    return arrow::Status::Invalid(path, ": has version '", metadata(kVersionKey), "', not ",
                                  kFormatVersion, "; make it anew with `pomona weights`");
  }
  const std::string alpha = metadata(kAlphaKey);
  std::from_chars(alpha.data(), alpha.data() + alpha.size(), weights->alpha_);
  if (AlphaText(weights->alpha_) != alpha ||
      std::ranges::find(kAlphas, weights->alpha_) == std::end(kAlphas)) {
    return arrow::Status::Invalid(path, ": unknown width multiplier alpha '", alpha, "'");
  }

  std::vector<std::span<const float>> values;
  for (const KerasTensor& tensor : KerasTensors(weights->alpha_)) {
    ARROW_ASSIGN_OR_RAISE(const TensorView view, file.Get(tensor.name()));
    if (view.dtype != DType::kF32 || view.shape != tensor.shape) {
      return arrow::Status::Invalid(path, ": tensor '", tensor.name(), "' is not float32 ",
                                    ShapeText(tensor.shape));
    }
    values.push_back(view.values<float>());
    const arrow::Status status = CheckValues(tensor, values.back());
    if (!status.ok()) return status.WithMessage(path, ": ", status.message());
  }
  if (values.size() != file.tensors().size()) {
    return arrow::Status::Invalid(path, ": has ", file.tensors().size(), " tensors, not ",
                                  values.size());
  }
  weights->digest_ = TensorDigest(values, weights->framework_);
  if (weights->digest_ != metadata(kDigestKey)) {
    return arrow::Status::Invalid(path, ": was altered: its tensors have the digest ",
                                  weights->digest_, ", not the one it carries");
  }
  weights->origin_ = metadata(kOriginKey);
  return weights;
}

std::vector<FoldedLayer> Weights::Fold() const {
  // Open() saw every tensor.
  const auto values = [this](const std::string& layer, const char* role) {
    return file_->tensors().at(layer + "/" + role).values<float>();
  };
  const double epsilon = BatchNormEpsilon(framework_);
  std::vector<FoldedLayer> folded;
  for (const ConvLayer& layer : MobileNetV2Layers(alpha_, framework_)) {
    const bool depthwise = layer.kind == ConvLayer::Kind::kDepthwise3x3;
    const auto kernel = values(layer.conv, depthwise ? "depthwise_kernel" : "kernel");
    const auto gamma = values(layer.norm, "gamma");
    const auto beta = values(layer.norm, "beta");
    const auto mean = values(layer.norm, "moving_mean");
    const auto variance = values(layer.norm, "moving_variance");

    const size_t channels = layer.out_channels;
    std::vector<double> scale(channels);
    FoldedLayer out{layer, std::vector<float>(kernel.size()), std::vector<float>(channels)};
    for (size_t c = 0; c < channels; ++c) {
      scale[c] = gamma[c] / std::sqrt(variance[c] + epsilon);
      out.bias[c] = static_cast<float>(beta[c] - mean[c] * scale[c]);
    }
    // The output channel is the innermost extent of either layout (HWIO, HWC1).
    for (size_t i = 0; i < kernel.size(); i += channels) {
      for (size_t c = 0; c < channels; ++c) {
        out.kernel[i + c] = static_cast<float>(kernel[i + c] * scale[c]);
      }
    }
    folded.push_back(std::move(out));
  }
  return folded;
}

arrow::Result<std::string> DefaultWeightsCachePath() {
  ARROW_ASSIGN_OR_RAISE(const fs::path folder, CacheFolder());
  return folder / kFileName;
}

arrow::Result<std::string> FindDefaultWeights() {
  // A file that the user named is taken even where it is missing: Weights::Open() will say so.
  const char* named = std::getenv("POMONA_WEIGHTS");
  if (named != nullptr && *named != '\0') return named;

  const fs::path folder = CodeFolder();
  const fs::path places[] = {folder / kFileName, folder / "../share/pomona" / kFileName,
                             DefaultWeightsCachePath().ValueOr("")};
  for (const fs::path& place : places) {
    std::error_code error;
    if (fs::is_regular_file(place, error)) return place.lexically_normal();
  }
  return arrow::internal::IOErrorFromErrno(
      ENOENT,
      "no weights found; get them once with `pomona weights fetch`, or "
      "name a file with --weights or POMONA_WEIGHTS");
}

}  // namespace pomona
