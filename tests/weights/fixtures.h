// What the tests of this folder share: a temporary folder, made-up weights, Keras' HDF5 files.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "keras_tensors.h"
#include "pomona/safetensors.h"
#include "pomona/weights.h"
#include "temp_folder.h"

namespace pomona {

// A test with a folder of its own.
class FolderTest : public testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }

  TempFolder folder_;
};

// For EXPECT_PRED2, which shows both.
inline bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != text.npos;
}

inline void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// Weights of the right shapes; every value tells its tensor and its place.
inline KerasWeights MadeUpWeights(double alpha) {
  KerasWeights weights{.alpha = alpha, .values = {}};
  for (const KerasTensor& tensor : KerasTensors(alpha)) {
    size_t count = 1;
    for (int64_t extent : tensor.shape) count *= extent;
    std::vector<float> values(count);
    const auto number = static_cast<float>(weights.values.size());
    for (size_t i = 0; i < count; ++i) values[i] = number + static_cast<float>(i % 1009) / 1024;
    weights.values.push_back(std::move(values));
  }
  return weights;
}

// The ImageNet weights from the file that POMONA_WEIGHTS names, if it does.
inline std::optional<KerasWeights> ImageNetWeights() {
  const char* path = std::getenv("POMONA_WEIGHTS");
  if (path == nullptr) return std::nullopt;
  const auto file = SafetensorsFile::Open(path);
  if (!file.ok()) {
    ADD_FAILURE() << file.status().ToString();
    return std::nullopt;
  }
  KerasWeights weights;
  for (const KerasTensor& tensor : KerasTensors(1.0)) {
    const auto view = (*file)->Get(tensor.name());
    if (!view.ok()) {
      ADD_FAILURE() << view.status().ToString();
      return std::nullopt;
    }
    const auto values = view->values<float>();
    weights.values.emplace_back(values.begin(), values.end());
  }
  return weights;
}

// The layouts in which Keras writes HDF5, by version and by what was saved.
enum class KerasLayout {
  kKeras2,            // "Conv1/kernel:0" in group Conv1 of the root, names of fixed length
  kRenamed,           // "Conv1_5/kernel:0" in group Conv1 of model_weights
  kKeras3,            // "Conv1/kernel", "expanded_conv_depthwise/kernel", names of variable length
  kNested,            // all in one layer, "Conv1/kernel:0"; trainable first, as Keras 3 does
  kVariables,         // layers/conv2d/vars/0, with the layer's name as attribute
  kUnnamedVariables,  // the same without the name, inside another model with layers of its own
};

inline constexpr KerasLayout kKerasLayouts[] = {
    KerasLayout::kKeras2, KerasLayout::kRenamed,   KerasLayout::kKeras3,
    KerasLayout::kNested, KerasLayout::kVariables, KerasLayout::kUnnamedVariables};

// Writes a file as Keras would. `skip`: name of a tensor to leave out; tensors without values get
// no room in the file. Throws on failure, which fails the test.
void WriteKerasHdf5(const std::string& path, const KerasWeights& weights, KerasLayout layout,
                    const std::string& skip = "");

// A model of torchvision's or timm's, with a classifier. Values tell their tensor and their place.
struct TorchTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;
};
std::vector<TorchTensor> TorchvisionModel(double alpha);
std::vector<TorchTensor> TimmModel(double alpha);

// What torch.save() pickles of a dictionary of these tensors: storages are called 0, 1, 2, ...
std::string PickleOf(const std::vector<TorchTensor>& tensors);

// Writes a file as torch.save() does today, in a folder of the archive called "archive", or as it did
// before version 1.6.
void WriteTorch(const std::string& path, const std::vector<TorchTensor>& tensors, bool old = false);

// Writes a zip archive of these files, deflated or stored.
struct ZipMember {
  std::string name;
  std::string bytes;
  bool deflated = false;
};
std::string ZipOf(const std::vector<ZipMember>& members);
void WriteZip(const std::string& path, const std::vector<ZipMember>& members);

}  // namespace pomona
