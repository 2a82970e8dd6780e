#include "pomona/weights.h"
#include "pomona/location.h"

#include <arrow/util/io_util.h>
#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <limits>
#include <set>

#include "fixtures.h"

namespace pomona {
namespace {

class WeightsTest : public FolderTest {
 protected:
  // The message with which a file of these weights is refused after `change` to its tensors and
  // metadata; empty where it opens.
  template <typename Change>
  std::string RefusalAfter(Change change) {
    const std::string path = Path("w.safetensors");
    EXPECT_TRUE(WriteWeights(path, weights_, "test").ok());
    const auto file = SafetensorsFile::Open(path).ValueOrDie();
    auto metadata = file->metadata();
    std::map<std::string, TensorView> views = file->tensors();
    change(views, metadata);
    std::vector<NamedTensor> tensors;
    for (const auto& [name, view] : views) tensors.push_back({name, view});
    const std::string changed = Path("changed.safetensors");
    EXPECT_TRUE(WriteSafetensors(changed, tensors, metadata).ok());
    const auto opened = Weights::Open(changed);
    if (opened.ok()) return "";
    EXPECT_PRED2(Contains, opened.status().message(), changed + ": ");
    return opened.status().message();
  }

  using Views = std::map<std::string, TensorView>;
  using Metadata = std::map<std::string, std::string>;
  KerasWeights weights_ = MadeUpWeights(0.35);
};

// Counts from Keras' own summary of MobileNetV2(include_top=False).
TEST(MobileNetV2Test, HasTheTensorsOfKeras) {
  const auto tensors = KerasTensors(1.0);
  EXPECT_EQ(tensors.size(), 260u);
  size_t values = 0;
  for (const auto& tensor : tensors) {
    size_t count = 1;
    for (int64_t extent : tensor.shape) count *= extent;
    values += count;
  }
  EXPECT_EQ(values, 2'257'984u);
  EXPECT_EQ(tensors.front().name(), "Conv1/kernel");
  EXPECT_EQ(tensors[1].name(), "bn_Conv1/gamma");
  EXPECT_EQ(tensors[5].name(), "expanded_conv_depthwise/depthwise_kernel");
  EXPECT_EQ(tensors[5].shape, (std::vector<int64_t>{3, 3, 32, 1}));
  EXPECT_EQ(tensors.back().name(), "Conv_1_bn/moving_variance");
}

// Digests by Python's hashlib.
TEST(TensorDigestTest, IsSha256) {
  EXPECT_EQ(TensorDigest(std::vector<std::span<const float>>{}, Framework::kKeras),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::vector<float> zero = {0};
  const std::vector<float> two = {1, -2.5};
  const std::vector<std::span<const float>> tensors = {zero, two};
  EXPECT_EQ(TensorDigest(tensors, Framework::kKeras),
            "4356516ed57de986ba8080c557e8856871336d6a17b170fb946df125605466c9");
  // The same bytes and "pytorch".
  EXPECT_EQ(TensorDigest(tensors, Framework::kPyTorch),
            "c8fa9bfe1e9023d126daa5266b1c41e480b1cd34f81d77288015a21b19f51e06");
}

TEST_F(WeightsTest, OpensWhatItWrote) {
  const std::string path = Path("new/folder/w.safetensors");
  ASSERT_TRUE(WriteWeights(path, weights_, "here").ok());
  const auto weights = Weights::Open(path).ValueOrDie();
  EXPECT_EQ(weights->alpha(), 0.35);
  EXPECT_EQ(weights->digest(), TensorDigest(weights_));
  EXPECT_EQ(weights->origin(), "here");
  EXPECT_EQ(weights->path(), path);
  EXPECT_FALSE(weights->is_imagenet());
}

TEST_F(WeightsTest, FoldsTheNormalisation) {
  // Folded or not, a layer gives the same: normalise(conv(x)) = folded conv(x) + bias.
  weights_.values[4].assign(weights_.values[4].size(), 1e-4f);  // so small that epsilon counts
  for (const Framework framework : {Framework::kKeras, Framework::kPyTorch}) {
    const std::string path = Path(std::string(FrameworkName(framework)));
    weights_.framework = framework;
    ASSERT_TRUE(WriteWeights(path, weights_, "").ok());
    const auto folded = Weights::Open(path).ValueOrDie()->Fold();
    ASSERT_EQ(folded.size(), 52u);
    for (size_t i = 0; i < folded.size(); ++i) {
      const auto* tensors = &weights_.values[5 * i];
      const size_t channels = folded[i].bias.size();
      ASSERT_EQ(folded[i].kernel.size(), tensors[0].size());
      for (size_t k = 0; k < folded[i].kernel.size(); k += 7) {
        const size_t c = k % channels;
        const double epsilon = framework == Framework::kKeras ? 1e-3 : 1e-5;
        const double deviation = std::sqrt(double{tensors[4][c]} + epsilon);
        const double unfolded =
            tensors[1][c] * (double{tensors[0][k]} - tensors[3][c]) / deviation + tensors[2][c];
        const double sum = double{folded[i].kernel[k]} + folded[i].bias[c];
        const double magnitude = std::abs(folded[i].kernel[k]) + std::abs(folded[i].bias[c]);
        ASSERT_NEAR(sum, unfolded, 1e-7 * magnitude) << folded[i].layer.conv << " " << k;
      }
    }
  }
}

TEST(MobileNetV2Test, PadsAsItsFrameworkDoes) {
  for (const Framework framework : {Framework::kKeras, Framework::kPyTorch}) {
    int halving = 0;
    for (const ConvLayer& layer : MobileNetV2Layers(1.0, framework)) {
      const bool pointwise = layer.kind == ConvLayer::Kind::kPointwise;
      const bool behind_only = layer.stride == 2 && framework == Framework::kKeras;
      EXPECT_EQ(layer.pad, pointwise || behind_only ? 0 : 1) << layer.conv;
      halving += layer.stride == 2;
    }
    EXPECT_EQ(halving, 5);
  }
}

TEST_F(WeightsTest, KeepsTheirNetworkAndPictures) {
  const auto open = [&](Framework framework, const char* preprocessing) {
    const std::string path = Path(std::string(FrameworkName(framework)) + preprocessing);
    weights_.framework = framework;
    weights_.preprocessing = FindPreprocessing(preprocessing);
    EXPECT_TRUE(WriteWeights(path, weights_, "").ok());
    return Weights::Open(path).ValueOrDie();
  };
  const auto keras = open(Framework::kKeras, "keras");
  const auto other_pictures = open(Framework::kKeras, "timm");
  const auto pytorch = open(Framework::kPyTorch, "timm");
  EXPECT_EQ(keras->digest(), other_pictures->digest());
  EXPECT_NE(keras->digest(), pytorch->digest());
  EXPECT_EQ(keras->preprocessing().name, "keras");
  EXPECT_EQ(other_pictures->preprocessing().name, "timm");
  EXPECT_EQ(other_pictures->framework(), Framework::kKeras);
  EXPECT_EQ(pytorch->framework(), Framework::kPyTorch);

  // Who knows nothing of either refuses the file; so do we what we do not know.
  EXPECT_EQ(SafetensorsFile::Open(keras->path()).ValueOrDie()->metadata().at("version"), "1");
  EXPECT_EQ(SafetensorsFile::Open(other_pictures->path()).ValueOrDie()->metadata().at("version"),
            "2");
  const auto changed = [&](const char* key, const char* value) {
    return RefusalAfter([&](Views&, Metadata& m) { m[key] = value; });
  };
  EXPECT_EQ(changed("origin", "elsewhere"), "");
  EXPECT_PRED2(Contains, changed("preprocessing", "mine"), "does not know");
  EXPECT_PRED2(Contains, changed("framework", "jax"), "does not know");
  EXPECT_PRED2(Contains, changed("framework", "keras"), "was altered");
}

TEST(PreprocessingTest, IsRecordedByNamesThatDiffer) {
  EXPECT_EQ(kKerasPreprocessing.RecordedName(DecodeMode::kExact),
            "rgb-bicubic224-pillow/scale-127.5-1");
  EXPECT_EQ(kKerasPreprocessing.RecordedName(DecodeMode::kScaled),
            "rgb-jpegscaled448-bicubic224-pillow/scale-127.5-1");
  EXPECT_EQ(FindPreprocessing("torchvision-v2")->RecordedName(DecodeMode::kScaled),
            "rgb-jpegscaled464-bilinear232-crop224-pillow/imagenet-mean-std");
  std::set<std::string> names;
  for (const Preprocessing& known : kPreprocessings) {
    for (const DecodeMode decode : {DecodeMode::kExact, DecodeMode::kScaled}) {
      names.insert(known.RecordedName(decode));
    }
  }
  EXPECT_EQ(names.size(), 2 * std::size(kPreprocessings));
}

TEST_F(WeightsTest, RefusesOtherFiles) {
  EXPECT_TRUE(Weights::Open(Path("none")).status().IsIOError());
  EXPECT_EQ(RefusalAfter([](Views&, Metadata&) {}), "");
  EXPECT_PRED2(Contains, RefusalAfter([](Views&, Metadata& m) { m.erase("kind"); }),
               "no weights made by");
  EXPECT_PRED2(Contains, RefusalAfter([](Views&, Metadata& m) { m["version"] = "3"; }),
               "version '3'");
  for (const char* alpha : {"", "1.0", "2", "nan", "0.35x"}) {
    EXPECT_PRED2(Contains, RefusalAfter([&](Views&, Metadata& m) { m["alpha"] = alpha; }),
                 "alpha '" + std::string(alpha) + "'");
  }
}

TEST_F(WeightsTest, RefusesWrongTensorsByName) {
  EXPECT_PRED2(Contains,
               RefusalAfter([](Views& v, Metadata&) { v.erase("block_7_project_BN/beta"); }),
               "no tensor 'block_7_project_BN/beta'");
  EXPECT_PRED2(Contains, RefusalAfter([](Views& v, Metadata&) { v["more"] = v["bn_Conv1/beta"]; }),
               "261 tensors");
  EXPECT_PRED2(Contains, RefusalAfter([](Views& v, Metadata&) {
                 std::swap(v["Conv1/kernel"].shape[2], v["Conv1/kernel"].shape[3]);
               }),
               "'Conv1/kernel' is not float32 [3, 3, 3, 16]");
  EXPECT_PRED2(Contains,
               RefusalAfter([](Views& v, Metadata&) { v["Conv_1/kernel"].dtype = DType::kI32; }),
               "'Conv_1/kernel' is not float32");
  // Another alpha of the same file.
  EXPECT_PRED2(Contains, RefusalAfter([](Views&, Metadata& m) { m["alpha"] = "1"; }),
               "'Conv1/kernel' is not float32 [3, 3, 3, 32]");
}

TEST_F(WeightsTest, RefusesAlteredValues) {
  std::vector<float> changed = weights_.values[1];
  changed[3] = std::nextafter(changed[3], 100.0f);
  EXPECT_PRED2(Contains, RefusalAfter([&](Views& v, Metadata&) {
                 v["bn_Conv1/gamma"].bytes = std::as_bytes(std::span(changed));
               }),
               "was altered");
  changed[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_PRED2(Contains, RefusalAfter([&](Views& v, Metadata&) {
                 v["bn_Conv1/gamma"].bytes = std::as_bytes(std::span(changed));
               }),
               "'bn_Conv1/gamma' has values that are not finite");
}

TEST_F(WeightsTest, RefusesToWriteImpossibleValues) {
  weights_.values[7][0] = -std::numeric_limits<float>::infinity();
  EXPECT_PRED2(Contains, WriteWeights(Path("w"), weights_, "").message(),
               "'expanded_conv_depthwise_BN/beta'");
  weights_.values[7][0] = 0;
  weights_.values[4][0] = -1;
  EXPECT_PRED2(Contains, WriteWeights(Path("w"), weights_, "").message(),
               "'bn_Conv1/moving_variance' has negative");
  EXPECT_FALSE(std::filesystem::exists(Path("w")));
}

TEST_F(WeightsTest, RefusesATruncatedFile) {
  const std::string path = Path("w.safetensors");
  ASSERT_TRUE(WriteWeights(path, weights_, "").ok());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 4);
  const auto status = Weights::Open(path).status();
  EXPECT_TRUE(status.IsInvalid());
  EXPECT_PRED2(Contains, status.message(), "leave the data");
}

TEST(ImageNetWeightsTest, HaveTheCanonicalDigest) {
  const char* path = std::getenv("POMONA_WEIGHTS");
  if (path == nullptr) GTEST_SKIP() << "POMONA_WEIGHTS names no file of ImageNet weights";
  const auto weights = Weights::Open(path);
  ASSERT_TRUE(weights.ok()) << weights.status().ToString();
  EXPECT_TRUE((*weights)->is_imagenet()) << (*weights)->digest();
  EXPECT_EQ((*weights)->alpha(), 1.0);
}

class FindDefaultWeightsTest : public FolderTest {
 protected:
  void SetUp() override {
    for (const char* name : {"POMONA_WEIGHTS", "XDG_CACHE_HOME", "HOME"}) {
      const char* value = std::getenv(name);
      saved_.emplace_back(name, value == nullptr ? std::optional<std::string>() : value);
    }
    unsetenv("POMONA_WEIGHTS");
    setenv("XDG_CACHE_HOME", folder_.path().c_str(), 1);
  }
  void TearDown() override {
    for (const auto& [name, value] : saved_) {
      value ? setenv(name, value->c_str(), 1) : unsetenv(name);
    }
  }

 private:
  std::vector<std::pair<const char*, std::optional<std::string>>> saved_;
};

TEST_F(FindDefaultWeightsTest, LooksWhereTheHeaderSays) {
  const auto missing = FindDefaultWeights();
  EXPECT_EQ(arrow::internal::ErrnoFromStatus(missing.status()), ENOENT);
  EXPECT_PRED2(Contains, missing.status().message(), "pomona weights fetch");

  const std::string cached = Path("pomona/mobilenet_v2_imagenet.safetensors");
  EXPECT_EQ(DefaultWeightsCachePath().ValueOrDie(), cached);
  std::filesystem::create_directories(Path("pomona"));
  WriteFile(cached, "");
  EXPECT_EQ(FindDefaultWeights().ValueOrDie(), cached);

  // Relative folders would be others for whoever calls from elsewhere.
  for (const char* relative : {"", "cache"}) {
    setenv("XDG_CACHE_HOME", relative, 1);
    setenv("HOME", folder_.path().c_str(), 1);
    EXPECT_EQ(CacheFolder().ValueOrDie(), Path(".cache/pomona"));
    setenv("HOME", relative, 1);
    const auto of_user = CacheFolder();
    EXPECT_TRUE(of_user.ok() ? of_user->starts_with('/') : of_user.status().IsInvalid());
  }

  setenv("POMONA_WEIGHTS", "/named/file", 1);
  EXPECT_EQ(FindDefaultWeights().ValueOrDie(), "/named/file");
}

}  // namespace
}  // namespace pomona
