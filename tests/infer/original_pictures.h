// The original pipeline's pictures, its weights, and the features that Keras gave on its cluster.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "infer/reference_features.h"
#include "infer/resize.h"
#include "pomona/decode.h"
#include "pomona/weights.h"
#include "temp_folder.h"

namespace pomona {

struct OriginalPictures {
  std::string missing;  // not empty: what is not here, and nothing below is set
  std::filesystem::path data;
  std::shared_ptr<const Weights> weights;
  std::vector<std::string> names;  // of files
  std::vector<float> features;     // a row for each
};

inline OriginalPictures FindOriginalPictures() {
  constexpr const char* kReference = "reference/braeburn_features.parquet";
  OriginalPictures found;
  const char* weights = std::getenv("POMONA_WEIGHTS");
  const char* data = std::getenv("POMONA_TEST_DATA");
  found.data = data == nullptr ? "" : data;
  if (weights == nullptr) {
    found.missing = "POMONA_WEIGHTS names no file of ImageNet weights";
  } else if (!std::filesystem::exists(found.data / kReference)) {
    found.missing = std::string("POMONA_TEST_DATA has no ") + kReference;
  } else {
    found.weights = Weights::Open(weights).ValueOrDie();
    for (const auto& [name, row] : ReadReferenceFeatures(found.data / kReference)) {
      found.names.push_back(name);
      found.features.insert(found.features.end(), row.begin(), row.end());
    }
  }
  return found;
}

// The network's inputs, one behind the other.
inline std::vector<uint8_t> ReadPictures(const OriginalPictures& original,
                                         std::span<const std::string> names) {
  Decoder decoder;
  Resizer resizer(kKerasPreprocessing);
  std::vector<uint8_t> pictures(names.size() * kPictureBytes);
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string file = ReadFile(original.data / "fruits/Training/Apple Braeburn" / names[i]);
    const auto decoded =
        decoder.Decode({reinterpret_cast<const uint8_t*>(file.data()), file.size()});
    const auto& picture = std::get<Picture>(decoded);
    resizer.Resize(picture.width, picture.height, picture.rgb,
                   std::span(pictures).subspan(i * kPictureBytes, kPictureBytes));
  }
  return pictures;
}

}  // namespace pomona
