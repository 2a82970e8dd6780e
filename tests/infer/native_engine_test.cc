// The native engine on the original pipeline's pictures and weights.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "infer/native/kernels.h"
#include "infer/original_pictures.h"
#include "pomona/engine.h"

namespace pomona {
namespace {

class NativeEngine : public testing::Test {
 protected:
  void SetUp() override {
    original_ = FindOriginalPictures();
    if (!original_.missing.empty()) GTEST_SKIP() << original_.missing;
    ASSERT_TRUE(original_.weights->is_imagenet());
  }

  std::vector<float> Infer(Cpu cpu, std::span<const uint8_t> pictures) {
    const auto engine = MakeNativeEngine(*original_.weights, cpu).ValueOrDie();
    std::vector<float> features(pictures.size() / kPictureBytes * engine->features());
    const auto status = engine->NewWorker().ValueOrDie()->Infer(pictures, features);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return features;
  }

  OriginalPictures original_;
};

TEST_F(NativeEngine, GivesTheFeaturesOfTheOriginalPipelineOnEveryCpu) {
  const std::vector<float>& expected = original_.features;
  ASSERT_EQ(original_.names.size(), 246u);
  const std::vector<uint8_t> pictures = ReadPictures(original_, original_.names);
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
    const size_t count = cpu == Cpu::kScalar ? 4 : original_.names.size();
    const auto same = Infer(cpu, std::span(pictures).first(count * kPictureBytes));
    EXPECT_TRUE(std::equal(same.begin(), same.end(), features.begin()))
        << native::KernelsFor(cpu)->name;
  }
}

TEST_F(NativeEngine, FeaturesDependOnThePictureAlone) {
  const std::vector<uint8_t> pictures =
      ReadPictures(original_, std::span(original_.names).first(3));
  const std::vector<float> together = Infer(Cpu::kBest, pictures);
  const size_t width = together.size() / 3;
  for (size_t i = 0; i < 3; ++i) {
    const auto alone =
        Infer(Cpu::kBest, std::span(pictures).subspan(i * kPictureBytes, kPictureBytes));
    EXPECT_TRUE(std::equal(alone.begin(), alone.end(), together.begin() + i * width));
  }
}

TEST_F(NativeEngine, RefusesSpansThatDoNotFit) {
  const auto engine = MakeNativeEngine(*original_.weights).ValueOrDie();
  const auto worker = engine->NewWorker().ValueOrDie();
  const std::vector<uint8_t> picture(kPictureBytes);
  std::vector<float> features(engine->features() + 1);
  EXPECT_TRUE(worker->Infer(picture, features).IsInvalid());
  EXPECT_TRUE(worker->Infer(std::span(picture).first(100), {}).IsInvalid());
  EXPECT_TRUE(worker->Infer({}, {}).ok());
}

}  // namespace
}  // namespace pomona
