// The native engine on the original pipeline's pictures and weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <variant>
#include <vector>

#include "infer/native/kernels.h"
#include "infer/reference_features.h"
#include "infer/resize.h"
#include "pomona/decode.h"
#include "pomona/engine.h"
#include "temp_folder.h"

namespace pomona {
namespace {

class NativeEngine : public testing::Test {
 protected:
  void SetUp() override {
    const char* weights = std::getenv("POMONA_WEIGHTS");
    if (weights == nullptr) GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
    const char* data = std::getenv("POMONA_TEST_DATA");
    data_ = data == nullptr ? "" : data;
    if (!std::filesystem::exists(data_ / kReference)) {
      GTEST_SKIP() << "POMONA_TEST_DATA has no " << kReference;
    }
    weights_ = Weights::Open(weights).ValueOrDie();
    ASSERT_TRUE(weights_->is_imagenet());
  }

  // The reference's rows: file names, and the features that Keras gave on the original cluster.
  void ReadReference(std::vector<std::string>* names, std::vector<float>* features) {
    for (const auto& [name, row] : ReadReferenceFeatures(data_ / kReference)) {
      names->push_back(name);
      features->insert(features->end(), row.begin(), row.end());
    }
  }

  std::vector<uint8_t> ReadPictures(const std::vector<std::string>& names) {
    Decoder decoder;
    Resizer resizer(kKerasPreprocessing);
    std::vector<uint8_t> pictures(names.size() * kPictureBytes);
    for (size_t i = 0; i < names.size(); ++i) {
      const std::string file = ReadFile(data_ / "fruits/Training/Apple Braeburn" / names[i]);
      const auto decoded =
          decoder.Decode({reinterpret_cast<const uint8_t*>(file.data()), file.size()});
      const auto& picture = std::get<Picture>(decoded);
      resizer.Resize(picture.width, picture.height, picture.rgb,
                     std::span(pictures).subspan(i * kPictureBytes, kPictureBytes));
    }
    return pictures;
  }

  std::vector<float> Infer(Cpu cpu, std::span<const uint8_t> pictures) {
    const auto engine = MakeNativeEngine(*weights_, cpu).ValueOrDie();
    std::vector<float> features(pictures.size() / kPictureBytes * engine->features());
    const auto status = engine->NewWorker().ValueOrDie()->Infer(pictures, features);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return features;
  }

  static constexpr const char* kReference = "reference/braeburn_features.parquet";
  std::filesystem::path data_;
  std::shared_ptr<const Weights> weights_;
};

TEST_F(NativeEngine, GivesTheFeaturesOfTheOriginalPipelineOnEveryCpu) {
  std::vector<std::string> names;
  std::vector<float> expected;
  ReadReference(&names, &expected);
  ASSERT_EQ(names.size(), 246u);
  const std::vector<uint8_t> pictures = ReadPictures(names);
  const std::vector<float> features = Infer(Cpu::kBest, pictures);
  ASSERT_EQ(features.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < features.size(); ++i) {
    largest = std::max(largest, std::abs(double{features[i]} - expected[i]));
  }
  EXPECT_LE(largest, 3e-5);
  RecordProperty("largest_difference", std::to_string(largest));

  for (Cpu cpu : {Cpu::kAvx512, Cpu::kAvx2, Cpu::kNeon, Cpu::kScalar}) {
    if (native::KernelsFor(cpu) == nullptr) continue;
    // The scalar path takes half a second a picture.
    const size_t count = cpu == Cpu::kScalar ? 4 : names.size();
    const auto same = Infer(cpu, std::span(pictures).first(count * kPictureBytes));
    EXPECT_TRUE(std::equal(same.begin(), same.end(), features.begin()))
        << native::KernelsFor(cpu)->name;
  }
}

TEST_F(NativeEngine, FeaturesDependOnThePictureAlone) {
  const std::vector<uint8_t> pictures = ReadPictures({"0_100.jpg", "101_100.jpg", "103_100.jpg"});
  const std::vector<float> together = Infer(Cpu::kBest, pictures);
  const size_t width = together.size() / 3;
  for (size_t i = 0; i < 3; ++i) {
    const auto alone =
        Infer(Cpu::kBest, std::span(pictures).subspan(i * kPictureBytes, kPictureBytes));
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + i * width));
  }
}

TEST_F(NativeEngine, RefusesSpansThatDoNotFit) {
  const auto engine = MakeNativeEngine(*weights_).ValueOrDie();
  const auto worker = engine->NewWorker().ValueOrDie();
  const std::vector<uint8_t> picture(kPictureBytes);
  std::vector<float> features(engine->features() + 1);
  EXPECT_TRUE(worker->Infer(picture, features).IsInvalid());
  EXPECT_TRUE(worker->Infer(std::span(picture).first(100), {}).IsInvalid());
  EXPECT_TRUE(worker->Infer({}, {}).ok());
}

}  // namespace
}  // namespace pomona
