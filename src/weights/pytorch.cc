// torchvision and timm build the same network of the same convolutions, and call them differently.
// Their kernels are stored with the output channels first (OIHW).

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "keras_tensors.h"
#include "mapped_file.h"
#include "pomona/weights.h"
#include "sha256.h"
#include "state_dict.h"

namespace pomona {
namespace {

// A convolution's name, and that of its normalisation.
using LayerNames = std::pair<std::string, std::string>;

// In the order of MobileNetV2Layers().
std::vector<LayerNames> TorchvisionNames(const std::vector<ConvLayer>& layers) {
  std::vector<LayerNames> names = {{"features.0.0", "features.0.1"}};
  int block = 1;
  for (size_t i = 1; i + 1 < layers.size(); ++block) {
    const std::string name = "features." + std::to_string(block) + ".conv.";
    int step = 0;
    for (; layers[i].relu6; ++i, ++step) {  // an expansion, but in the first; a depthwise one
      const std::string of_step = name + std::to_string(step);
      names.emplace_back(of_step + ".0", of_step + ".1");
    }
    names.emplace_back(name + std::to_string(step), name + std::to_string(step + 1));
    ++i;
  }
  const std::string last = "features." + std::to_string(block);
  names.emplace_back(last + ".0", last + ".1");
  return names;
}

std::vector<LayerNames> TimmNames(const std::vector<ConvLayer>& layers) {
  std::vector<LayerNames> names = {{"conv_stem", "bn1"}};
  int stage = -1, block = 0;
  for (size_t i = 1; i + 1 < layers.size();) {
    const bool expands = layers[i].kind == ConvLayer::Kind::kPointwise;
    // A stage begins with a block of another size or width, which has no residual.
    const bool begins = !layers[i + (expands ? 2 : 1)].add_residual;
    stage += begins;
    block = begins ? 0 : block + 1;
    const std::string name = "blocks." + std::to_string(stage) + '.' + std::to_string(block) + '.';
    if (expands) {
      names.emplace_back(name + "conv_pw", name + "bn1");
      names.emplace_back(name + "conv_dw", name + "bn2");
      names.emplace_back(name + "conv_pwl", name + "bn3");
    } else {
      names.emplace_back(name + "conv_dw", name + "bn1");
      names.emplace_back(name + "conv_pw", name + "bn2");
    }
    i += expands ? 3 : 2;
  }
  names.emplace_back("conv_head", "bn2");
  return names;
}

struct Library {
  std::string_view name;
  std::vector<LayerNames> (*names)(const std::vector<ConvLayer>& layers);
};
constexpr Library kLibraries[] = {{"torchvision", TorchvisionNames}, {"timm", TimmNames}};

std::vector<int64_t> TorchShape(const ConvLayer& layer) {
  const std::vector<int> shape = layer.KernelShape();  // HWIO, HWC1
  const bool depthwise = layer.kind == ConvLayer::Kind::kDepthwise3x3;
  return {layer.out_channels, depthwise ? 1 : shape[2], shape[0], shape[1]};
}

// OIHW -> HWIO; what is depthwise is C1HW, which becomes HW1C, the same as HWC1.
std::vector<float> ToKeras(const std::vector<float>& values, const std::vector<int64_t>& shape) {
  const auto outputs = static_cast<size_t>(shape[0]);
  const size_t inputs = values.size() / outputs;  // and their places
  const auto places = static_cast<size_t>(shape[2] * shape[3]);
  std::vector<float> keras(values.size());
  for (size_t o = 0; o < outputs; ++o) {
    for (size_t k = 0; k < inputs; ++k) {
      const size_t channel = k / places, place = k % places;
      keras[(place * (inputs / places) + channel) * outputs + o] = values[o * inputs + k];
    }
  }
  return keras;
}

// The tensors of one model in a state dictionary, which may be one of several things that it holds.
class Model {
 public:
  Model(const StateDict& state, std::string prefix) : state_(state), prefix_(std::move(prefix)) {}

  arrow::Result<std::vector<float>> Values(const std::string& name,
                                           const std::vector<int64_t>& shape) const {
    const auto found = state_.tensors().find(prefix_ + name);
    if (found == state_.tensors().end()) {
      return arrow::Status::Invalid("tensor '", prefix_, name, "' is missing");
    }
    const std::vector<int64_t>& has = found->second.shape;
    if (has != shape) {
      return arrow::Status::Invalid("tensor '", prefix_, name, "' has the shape ", ShapeText(has),
                                    ", not ", ShapeText(shape));
    }
    auto values = state_.Values(found->second);
    if (values.ok()) return values;
    return values.status().WithMessage("tensor '", prefix_, name, "' ", values.status().message());
  }

  // By the last convolution, whose channels tell the width.
  arrow::Result<double> Alpha(const Library& library) const {
    const std::string name =
        prefix_ + library.names(MobileNetV2Layers(1.0)).back().first + ".weight";
    const auto found = state_.tensors().find(name);
    if (found == state_.tensors().end()) {
      return arrow::Status::Invalid("tensor '", name, "' is missing");
    }
    for (const double alpha : kAlphas) {
      if (found->second.shape == TorchShape(MobileNetV2Layers(alpha).back())) return alpha;
    }
    return arrow::Status::Invalid(
        "tensor '", name, "' has the shape ", ShapeText(found->second.shape),
        ", as in no MobileNetV2 that is read here: of the widths 0.35, 0.5, "
        "0.75, 1, 1.3 and 1.4, and 17 blocks (timm's 110d and 120d have "
        "more)");
  }

 private:
  const StateDict& state_;
  const std::string prefix_;
};

arrow::Result<KerasWeights> ReadModel(const Library& library, const Model& model) {
  KerasWeights weights;
  weights.framework = Framework::kPyTorch;
  ARROW_ASSIGN_OR_RAISE(weights.alpha, model.Alpha(library));
  const std::vector<ConvLayer> layers = MobileNetV2Layers(weights.alpha);
  const std::vector<LayerNames> names = library.names(layers);
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& [conv, norm] = names[i];
    const std::vector<int64_t> shape = TorchShape(layers[i]);
    ARROW_ASSIGN_OR_RAISE(const auto kernel, model.Values(conv + ".weight", shape));
    weights.values.push_back(ToKeras(kernel, shape));
    for (const char* role : {".weight", ".bias", ".running_mean", ".running_var"}) {
      ARROW_ASSIGN_OR_RAISE(auto values, model.Values(norm + role, {layers[i].out_channels}));
      weights.values.push_back(std::move(values));
    }
  }
  return weights;
}

// torchvision names its files by the beginnings of their SHA-256: of its first weights, and of the
// better ones, which came with another preprocessing. Null where the file is neither.
const Preprocessing* TorchvisionPreprocessing(const std::string& path, std::string_view file) {
  const std::string digest =
      Sha256().Add(std::span(reinterpret_cast<const uint8_t*>(file.data()), file.size())).Hex();
  const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
  constexpr std::pair<std::string_view, const char*> kKnown[] = {{"b0353104", "torchvision-v1"},
                                                                 {"7ebf99e0", "torchvision-v2"}};
  for (const auto& [known, preprocessing] : kKnown) {
    if (digest.starts_with(known)) return FindPreprocessing(preprocessing);
  }
  for (const auto& [known, preprocessing] : kKnown) {
    if (name == "mobilenet_v2-" + std::string(known) + ".pth") {
      return FindPreprocessing(preprocessing);
    }
  }
  return nullptr;
}

arrow::Result<KerasWeights> Read(const std::string& path) {
  ARROW_ASSIGN_OR_RAISE(const StateDict state, StateDict::Open(path));
  struct Found {
    const Library* library;
    std::string prefix;
  };
  std::vector<Found> found;
  for (const Library& library : kLibraries) {
    const std::string first = library.names(MobileNetV2Layers(1.0)).front().first + ".weight";
    for (const auto& [name, tensor] : state.tensors()) {
      const bool whole = name == first;
      if (whole || name.ends_with('.' + first)) {
        found.push_back({&library, name.substr(0, name.size() - first.size())});
      }
    }
  }
  if (found.empty()) {
    return arrow::Status::Invalid(Weights::Open(path).ok()
                                      ? "is imported already: give it to --weights"
                                      : "neither torchvision's nor timm's MobileNetV2 is in it");
  }
  if (found.size() > 1) {
    return arrow::Status::Invalid("has more than one network: '", found[0].prefix, "*' and '",
                                  found[1].prefix, "*'; save one of them alone");
  }
  const Library& library = *found[0].library;
  ARROW_ASSIGN_OR_RAISE(KerasWeights weights, ReadModel(library, Model(state, found[0].prefix)));
  if (library.name == "timm") {
    weights.preprocessing = FindPreprocessing("timm");
  } else {
    ARROW_ASSIGN_OR_RAISE(const auto file, MapFile(path));
    weights.preprocessing = TorchvisionPreprocessing(path, std::string_view(*file));
  }
  return weights;
}

}  // namespace

arrow::Result<KerasWeights> ReadPyTorchFile(const std::string& path) {
  auto weights = Read(path);
  if (weights.ok() || weights.status().message().starts_with(path + ": ")) return weights;
  return weights.status().WithMessage(path, ": ", weights.status().message());
}

}  // namespace pomona
