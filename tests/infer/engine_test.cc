#include "pomona/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "infer/reference_features.h"
#include "infer/resize.h"
#include "keras_tensors.h"
#include "pomona/decode.h"
#include "temp_folder.h"

namespace pomona {
namespace {

std::vector<uint8_t> RandomPictures(size_t count) {
  std::mt19937 random(7);
  std::vector<uint8_t> pictures(count * kPictureBytes);
  // In blocks of 3 rows, so that there are edges and even areas.
  for (size_t i = 0; i < pictures.size(); ++i) {
    pictures[i] = i % (kInputSize * 9) < kInputSize ? random() & 255 : pictures[i - kInputSize];
  }
  return pictures;
}

// Random weights of a scale that neither dies out nor saturates on the way through the network.
KerasWeights RandomWeights(double alpha) {
  std::mt19937 random(11);
  KerasWeights weights{.alpha = alpha, .values = {}};
  for (const KerasTensor& tensor : KerasTensors(alpha)) {
    size_t count = 1;
    for (int64_t extent : tensor.shape) count *= extent;
    const bool positive = tensor.role == "gamma" || tensor.role == "moving_variance";
    const double inputs = static_cast<double>(count) / static_cast<double>(tensor.shape.back());
    double scale = tensor.shape.size() == 4 ? std::sqrt(2 / inputs) : 0.2;
    if (tensor.role == "depthwise_kernel") scale = std::sqrt(2.0 / 9);
    std::vector<float> values(count);
    for (float& value : values) {
      value = static_cast<float>(positive ? std::uniform_real_distribution(0.5, 1.5)(random)
                                          : std::normal_distribution(0.0, scale)(random));
    }
    weights.values.push_back(std::move(values));
  }
  return weights;
}

// A picture on its way through the network: height = width = size, row-major, channels innermost.
struct Activations {
  int size;
  int channels;
  std::vector<double> values;

  // Zero outside, as convolutions pad.
  double At(int y, int x, int c) const {
    if (y < 0 || x < 0 || y >= size || x >= size) return 0;
    return values[(static_cast<size_t>(y) * size + x) * channels + c];
  }
};

// The layer as Keras computes it, unfolded, in float64. `tensors`: kernel, gamma, beta, mean,
// variance.
Activations PlainLayer(const ConvLayer& layer, const std::vector<float>* tensors, double epsilon,
                       const Activations& in) {
  const int taps = layer.kind == ConvLayer::Kind::kPointwise ? 1 : 3;
  const int before = layer.pad;
  Activations out{in.size / layer.stride, layer.out_channels, {}};
  out.values.resize(static_cast<size_t>(out.size) * out.size * out.channels);
  std::vector<double> sums(out.channels);
  double* result = out.values.data();
  for (int y = 0; y < out.size; ++y) {
    for (int x = 0; x < out.size; ++x) {
      std::ranges::fill(sums, 0);
      for (int tap = 0; tap < taps * taps; ++tap) {
        const int in_y = y * layer.stride - before + tap / taps;
        const int in_x = x * layer.stride - before + tap % taps;
        for (int i = 0; i < in.channels; ++i) {
          const double value = in.At(in_y, in_x, i);
          if (layer.kind == ConvLayer::Kind::kDepthwise3x3) {
            sums[i] += value * tensors[0][static_cast<size_t>(tap) * in.channels + i];
            continue;
          }
          const float* kernel =
              &tensors[0][(static_cast<size_t>(tap) * in.channels + i) * out.channels];
          for (int o = 0; o < out.channels; ++o) sums[o] += value * kernel[o];
        }
      }
      for (int o = 0; o < out.channels; ++o) {
        const double normal = (sums[o] - tensors[3][o]) / std::sqrt(tensors[4][o] + epsilon);
        const double value = normal * tensors[1][o] + tensors[2][o];
        *result++ = layer.relu6 ? std::clamp(value, 0.0, 6.0) : value;
      }
    }
  }
  return out;
}

std::vector<double> PlainFeatures(const KerasWeights& weights, std::span<const uint8_t> picture) {
  Activations x{kInputSize, 3, {}};
  const bool keras = weights.framework == Framework::kKeras;
  constexpr double kMean[] = {0.485, 0.456, 0.406}, kDeviation[] = {0.229, 0.224, 0.225};
  for (size_t i = 0; i < picture.size(); ++i) {
    x.values.push_back(keras ? picture[i] / 127.5 - 1
                             : (picture[i] / 255.0 - kMean[i % 3]) / kDeviation[i % 3]);
  }
  const std::vector<float>* tensors = weights.values.data();
  Activations block_input{0, 0, {}};
  for (const ConvLayer& layer : MobileNetV2Layers(weights.alpha, weights.framework)) {
    if (layer.conv.ends_with("_expand")) block_input = x;
    x = PlainLayer(layer, tensors, keras ? 1e-3 : 1e-5, x);
    if (layer.add_residual) {
      for (size_t i = 0; i < x.values.size(); ++i) x.values[i] += block_input.values[i];
    }
    tensors += 5;
  }
  std::vector<double> features(x.channels);
  for (size_t i = 0; i < x.values.size(); ++i) features[i % x.channels] += x.values[i];
  for (double& feature : features) feature /= x.size * x.size;
  return features;
}

class EngineTest : public testing::Test {
 protected:
  std::shared_ptr<const Weights> Made(const KerasWeights& weights) {
    const std::string path = folder_ / (std::to_string(++made_) + ".safetensors");
    EXPECT_TRUE(WriteWeights(path, weights, "test").ok());
    return Weights::Open(path).ValueOrDie();
  }

  TempFolder folder_;
  int made_ = 0;
};

std::vector<float> Infer(EngineWorker& worker, std::span<const uint8_t> pictures, int features) {
  std::vector<float> out(pictures.size() / kPictureBytes * features);
  const auto status = worker.Infer(pictures, out);
  EXPECT_TRUE(status.ok()) << status.ToString();
  return out;
}

TEST_F(EngineTest, GivesWhatAPlainImplementationGives) {
  const auto pictures = RandomPictures(1);
  for (const double alpha : {0.35, 1.3, 0.5}) {
    KerasWeights weights = RandomWeights(alpha);
    if (alpha == 0.5) {
      weights.framework = Framework::kPyTorch;
      weights.preprocessing = FindPreprocessing("torchvision-v2");
    }
    const auto engine = MakeOpenVinoEngine(*Made(weights), 1).ValueOrDie();
    ASSERT_EQ(engine->features(), alpha > 1 ? 1664 : 1280);
    const auto features = Infer(*engine->NewWorker().ValueOrDie(), pictures, engine->features());
    const auto expected = PlainFeatures(weights, pictures);
    ASSERT_EQ(features.size(), expected.size());
    double largest = 0;
    for (size_t i = 0; i < features.size(); ++i) {
      ASSERT_NEAR(features[i], expected[i], 1e-4) << "alpha " << alpha << ", feature " << i;
      largest = std::max(largest, expected[i]);
    }
    EXPECT_GT(largest, 0.5);  // the network is alive
  }
}

TEST_F(EngineTest, ResultsDependOnThePictureAlone) {
  const auto weights = Made(RandomWeights(0.35));
  constexpr size_t kCount = 6;
  const auto pictures = RandomPictures(kCount);
  const std::span all(pictures);
  const auto single = MakeOpenVinoEngine(*weights, 1).ValueOrDie();
  const int n = single->features();

  std::vector<float> one_by_one;
  const auto worker = single->NewWorker().ValueOrDie();
  for (size_t i = 0; i < kCount; ++i) {
    const auto features = Infer(*worker, all.subspan(i * kPictureBytes, kPictureBytes), n);
    one_by_one.insert(one_by_one.end(), features.begin(), features.end());
  }
  EXPECT_NE(std::vector(one_by_one.begin(), one_by_one.begin() + n),
            std::vector(one_by_one.begin() + n, one_by_one.begin() + 2 * n));
  EXPECT_EQ(Infer(*worker, all, n), one_by_one);

  // More workers than cores, all at once, each starting elsewhere; and an engine made for fewer.
  for (const int threads : {2, 4}) {
    const auto engine = MakeOpenVinoEngine(*weights, threads).ValueOrDie();
    std::vector<std::vector<float>> results(4, std::vector<float>(one_by_one.size()));
    std::vector<std::thread> running;
    for (size_t t = 0; t < results.size(); ++t) {
      running.emplace_back([&, t] {
        const auto own = engine->NewWorker().ValueOrDie();
        for (size_t i = 0; i < kCount; ++i) {
          const size_t k = (i + t) % kCount;
          const auto features = Infer(*own, all.subspan(k * kPictureBytes, kPictureBytes), n);
          std::ranges::copy(features, results[t].begin() + k * n);
        }
      });
    }
    for (std::thread& thread : running) thread.join();
    for (const auto& result : results) EXPECT_EQ(result, one_by_one) << threads;
  }
}

TEST_F(EngineTest, RefusesSpansThatDoNotFit) {
  const auto engine = MakeOpenVinoEngine(*Made(RandomWeights(0.35)), 1).ValueOrDie();
  const auto worker = engine->NewWorker().ValueOrDie();
  const auto pictures = RandomPictures(2);
  std::vector<float> features(1280);
  EXPECT_TRUE(worker->Infer(pictures, features).IsInvalid());
  EXPECT_TRUE(worker->Infer(std::span(pictures).first(100), features).IsInvalid());
  EXPECT_TRUE(worker->Infer({}, {}).ok());
}

TEST(EngineReferenceTest, GivesTheFeaturesOfTheOriginalPipeline) {
  const char* weights_path = std::getenv("POMONA_WEIGHTS");
  if (weights_path == nullptr) {
    GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
  }
  const char* data = std::getenv("POMONA_TEST_DATA");
  const std::filesystem::path root = data == nullptr ? "" : data;
  const std::filesystem::path reference = root / "reference/braeburn_features.parquet";
  if (!std::filesystem::exists(reference)) {
    GTEST_SKIP() << "POMONA_TEST_DATA has no reference/braeburn_features.parquet";
  }
  const auto weights = Weights::Open(weights_path).ValueOrDie();
  ASSERT_TRUE(weights->is_imagenet());
  const auto engine = MakeOpenVinoEngine(*weights, 1).ValueOrDie();
  const auto worker = engine->NewWorker().ValueOrDie();
  Decoder decoder;
  Resizer resizer(kKerasPreprocessing);
  std::vector<uint8_t> picture(kPictureBytes);

  const auto rows = ReadReferenceFeatures(reference);
  ASSERT_EQ(rows.size(), 246u);
  double largest = 0;
  double lowest_cosine = 1;
  for (const auto& [name, expected] : rows) {
    const std::string file = ReadFile(root / "fruits/Training/Apple Braeburn" / name);
    const auto decoded =
        decoder.Decode({reinterpret_cast<const uint8_t*>(file.data()), file.size()});
    ASSERT_TRUE(std::holds_alternative<Picture>(decoded)) << name;
    const auto& original = std::get<Picture>(decoded);
    resizer.Resize(original.width, original.height, original.rgb, picture);
    const auto features = Infer(*worker, picture, engine->features());

    ASSERT_EQ(expected.size(), features.size());
    double dot = 0, norm = 0, expected_norm = 0;
    for (size_t i = 0; i < features.size(); ++i) {
      largest = std::max(largest, std::abs(double{features[i]} - expected[i]));
      dot += double{features[i]} * expected[i];
      norm += double{features[i]} * features[i];
      expected_norm += double{expected[i]} * expected[i];
    }
    lowest_cosine = std::min(lowest_cosine, dot / std::sqrt(norm * expected_norm));
  }
  RecordProperty("largest_difference", std::to_string(largest));
  RecordProperty("lowest_cosine", std::to_string(lowest_cosine));
  EXPECT_LE(largest, 1e-4);
  EXPECT_GE(lowest_cosine, 0.999999);
}

}  // namespace
}  // namespace pomona
