#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "child.h"
#include "keras_tensors.h"
#include "mapped_file.h"
#include "pomona/weights.h"
#include "state_dict.h"
#include "zip_archive.h"

namespace pomona {
namespace {

// Whether torch.save() or safetensors wrote it; Keras' reader says what is wrong with all else.
bool IsPyTorchs(const std::string& path) {
  char first[16] = {};
  std::ifstream file(path, std::ios::binary);
  file.read(first, sizeof first);
  const std::string_view bytes(first, static_cast<size_t>(file.gcount()));
  if (IsOldTorchFile(bytes) || IsSafetensors(bytes)) return true;
  if (!bytes.starts_with("PK\3\4")) return false;
  const auto mapped = MapFile(path);
  if (!mapped.ok()) return false;
  const auto archive = ZipArchive::Open(std::string_view(**mapped));
  return archive.ok() && !archive->Has(kKerasMember) && !archive->EndingIn(kPickleMember).empty();
}

std::string PreprocessingNames() {
  std::string names;
  for (const Preprocessing& known : kPreprocessings) {
    names += (names.empty() ? "" : ", ") + std::string(known.name);
  }
  return names;
}

}  // namespace

arrow::Result<KerasWeights> ReadWeightsFile(const std::string& path) {
  return IsPyTorchs(path) ? ReadPyTorchFile(path) : ReadKerasFile(path);
}

arrow::Status ImportWeights(const std::string& path, const std::string& safetensors_path,
                            const std::string& origin, bool only_imagenet,
                            const WeightsReader& reader, std::string_view preprocessing) {
  const Preprocessing* const named = FindPreprocessing(preprocessing);
  if (!named && !preprocessing.empty()) {
    return arrow::Status::Invalid("there is no preprocessing '", preprocessing, "'; there are ",
                                  PreprocessingNames());
  }
  const arrow::Status status = InChild([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(KerasWeights weights, reader(path));
    const std::string digest = only_imagenet ? TensorDigest(weights) : "";
    if (only_imagenet && digest != kImageNetDigest) {
      return arrow::Status::Invalid("not the ImageNet weights, by their digest ", digest);
    }
    if (named) weights.preprocessing = named;
    if (!weights.preprocessing) {
      return arrow::Status::Invalid(
          "is torchvision's MobileNetV2, but does not tell for which pictures: give "
          "--preprocessing "
          "torchvision-v1 (shorter side 256) or torchvision-v2 (232), as it was trained");
    }
    return WriteWeights(safetensors_path, weights, origin);
  });
  if (status.ok() || status.message().starts_with(path + ": ") ||
      status.message().find(safetensors_path) != std::string::npos) {
    return status;
  }
  return status.WithMessage(path, ": ", status.message());
}

arrow::Status ImportWeights(const std::string& path, const std::string& safetensors_path,
                            std::string_view preprocessing) {
  return ImportWeights(path, safetensors_path, std::filesystem::path(path).filename(),
                       /*only_imagenet=*/false, ReadWeightsFile, preprocessing);
}

}  // namespace pomona
