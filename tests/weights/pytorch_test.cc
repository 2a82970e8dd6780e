// State dictionaries of PyTorch's models become what Keras' are. What the features then are is
// compared with PyTorch itself in tests/torch.
#include <gtest/gtest.h>

#include <algorithm>

#include "fixtures.h"

namespace pomona {
namespace {

class PyTorchTest : public FolderTest {
 protected:
  std::string Write(const std::vector<TorchTensor>& tensors, bool old = false) {
    WriteTorch(Path("model.pth"), tensors, old);
    return Path("model.pth");
  }

  std::string Refusal(const std::string& path) {
    const auto status = ImportWeights(path, Path("out"));
    EXPECT_FALSE(status.ok());
    EXPECT_FALSE(std::filesystem::exists(Path("out")));
    EXPECT_PRED2(Contains, status.message(), path + ": ");
    return status.message();
  }
};

const std::vector<float>& ValuesOf(const std::vector<TorchTensor>& model, std::string_view name) {
  return std::ranges::find(model, name, &TorchTensor::name)->values;
}

// A tensor of what was read, by Keras' name.
const std::vector<float>& ValuesOf(const KerasWeights& weights, std::string_view name) {
  const auto tensors = KerasTensors(weights.alpha);
  const auto found = std::ranges::find(tensors, name, &KerasTensor::name);
  return weights.values[static_cast<size_t>(found - tensors.begin())];
}

TEST_F(PyTorchTest, ReadsEveryWidth) {
  for (const double alpha : kAlphas) {
    for (const bool timm : {false, true}) {
      SCOPED_TRACE(testing::Message() << "alpha " << alpha << (timm ? ", timm" : ""));
      const auto read = ReadPyTorchFile(Write(timm ? TimmModel(alpha) : TorchvisionModel(alpha)));
      ASSERT_TRUE(read.ok()) << read.status().ToString();
      EXPECT_EQ(read->alpha, alpha);
      EXPECT_EQ(read->framework, Framework::kPyTorch);
      EXPECT_EQ(read->preprocessing, timm ? FindPreprocessing("timm") : nullptr);
      const auto tensors = KerasTensors(alpha);
      ASSERT_EQ(read->values.size(), tensors.size());
      for (size_t i = 0; i < tensors.size(); ++i) {
        int64_t count = 1;
        for (const int64_t extent : tensors[i].shape) count *= extent;
        ASSERT_EQ(std::ssize(read->values[i]), count) << tensors[i].name();
      }
    }
  }
}

TEST_F(PyTorchTest, PutsEachTensorWhereKerasHasIt) {
  const std::vector<TorchTensor> torchvision = TorchvisionModel(1.0), timm = TimmModel(1.0);
  const KerasWeights a = ReadPyTorchFile(Write(torchvision)).ValueOrDie();
  const KerasWeights b = ReadPyTorchFile(Write(timm, /*old=*/true)).ValueOrDie();
  EXPECT_TRUE(a.values == b.values);  // both models are built in the same order
  for (const auto& [keras, torchvision_name, timm_name] :
       {std::tuple("bn_Conv1/gamma", "features.0.1.weight", "bn1.weight"),
        {"expanded_conv_depthwise_BN/beta", "features.1.conv.0.1.bias", "blocks.0.0.bn1.bias"},
        {"expanded_conv_project_BN/moving_mean", "features.1.conv.2.running_mean",
         "blocks.0.0.bn2.running_mean"},
        {"block_5_project_BN/moving_variance", "features.6.conv.3.running_var",
         "blocks.2.2.bn3.running_var"},
        {"block_16_expand_BN/gamma", "features.17.conv.0.1.weight", "blocks.6.0.bn1.weight"},
        {"Conv_1_bn/beta", "features.18.1.bias", "bn2.bias"}}) {
    EXPECT_EQ(ValuesOf(a, keras), ValuesOf(torchvision, torchvision_name)) << keras;
    EXPECT_EQ(ValuesOf(b, keras), ValuesOf(timm, timm_name)) << keras;
  }
  // OIHW to HWIO, and C1HW to HWC1.
  const auto& first = ValuesOf(torchvision, "features.0.0.weight");
  EXPECT_EQ(ValuesOf(a, "Conv1/kernel")[((2 * 3 + 1) * 3 + 2) * 32 + 7],
            first[((7 * 3 + 2) * 3 + 2) * 3 + 1]);
  const auto& depthwise = ValuesOf(torchvision, "features.4.conv.1.0.weight");
  EXPECT_EQ(ValuesOf(a, "block_3_depthwise/depthwise_kernel")[(1 * 3 + 2) * 144 + 50],
            depthwise[(50 * 3 + 1) * 3 + 2]);
  const auto& pointwise = ValuesOf(torchvision, "features.4.conv.0.0.weight");
  EXPECT_EQ(ValuesOf(a, "block_3_expand/kernel")[5 * 144 + 9], pointwise[9 * 24 + 5]);
}

TEST_F(PyTorchTest, FindsTheModelWithinAnother) {
  std::vector<TorchTensor> tensors = TorchvisionModel(0.5);
  for (TorchTensor& tensor : tensors) tensor.name = "model.backbone." + tensor.name;
  tensors.push_back({"head.weight", {2}, {1, 2}});
  const KerasWeights within = ReadPyTorchFile(Write(tensors)).ValueOrDie();
  const KerasWeights alone = ReadPyTorchFile(Write(TorchvisionModel(0.5))).ValueOrDie();
  EXPECT_TRUE(within.values == alone.values);

  const auto ema = TorchvisionModel(0.5);
  tensors.insert(tensors.end(), ema.begin(), ema.end());
  EXPECT_PRED2(Contains, Refusal(Write(tensors)),
               "more than one network: '*' and 'model.backbone.*'");
}

TEST_F(PyTorchTest, NamesTheTensorAtFault) {
  auto tensors = TorchvisionModel(0.35);
  const auto of = [&](const char* name) {
    return std::ranges::find(tensors, name, &TorchTensor::name);
  };
  of("features.3.conv.1.0.weight")->shape[2] = 9;
  of("features.3.conv.1.0.weight")->shape[3] = 1;
  EXPECT_PRED2(
      Contains, Refusal(Write(tensors)),
      "tensor 'features.3.conv.1.0.weight' has the shape [48, 1, 9, 1], not [48, 1, 3, 3]");
  tensors.erase(of("features.3.conv.1.0.weight"));
  EXPECT_PRED2(Contains, Refusal(Write(tensors)), "tensor 'features.3.conv.1.0.weight' is missing");

  // A timm model of another depth.
  Refusal(Write({{"conv_stem.weight", {32, 3, 3, 3}, std::vector<float>(864)}}));
  EXPECT_PRED2(Contains,
               Refusal(Write(
                   {{"conv_stem.weight", {1}, {0}}, {"conv_head.weight", {1280, 352, 1, 1}, {0}}})),
               "110d and 120d");
  EXPECT_PRED2(Contains, Refusal(Write({{"fc.weight", {1}, {0}}})),
               "neither torchvision's nor timm's MobileNetV2 is in it");
  ASSERT_TRUE(WriteWeights(Path("ours"), MadeUpWeights(0.35), "test").ok());
  EXPECT_PRED2(Contains, Refusal(Path("ours")), "is imported already: give it to --weights");
}

TEST_F(PyTorchTest, ThePreprocessingIsKnownOrHasToBeNamed) {
  const std::string unknown = Write(TorchvisionModel(0.35));
  EXPECT_PRED2(Contains, Refusal(unknown), "give --preprocessing torchvision-v1");
  EXPECT_PRED2(Contains, ImportWeights(unknown, Path("out"), "torchvision").message(),
               "no preprocessing 'torchvision'; there are keras, torchvision-v1");
  const auto imported = [&](const std::string& path, const std::string& preprocessing) {
    const std::string out = Path("out" + preprocessing);
    const auto status = ImportWeights(path, out, preprocessing);
    EXPECT_TRUE(status.ok()) << status.ToString();
    auto weights = Weights::Open(out).ValueOrDie();
    EXPECT_EQ(weights->framework(), Framework::kPyTorch);
    std::filesystem::remove(out);
    return weights;
  };
  const auto v1 = imported(unknown, "torchvision-v1"), v2 = imported(unknown, "torchvision-v2");
  EXPECT_EQ(v1->preprocessing().name, "torchvision-v1");
  EXPECT_EQ(v2->preprocessing().name, "torchvision-v2");
  EXPECT_EQ(v1->digest(), v2->digest());

  // As it was downloaded; what somebody made of it may be for any pictures.
  const std::string named = Path("mobilenet_v2-7ebf99e0.pth");
  WriteTorch(named, TorchvisionModel(0.35));
  const std::string tuned = Path("mobilenet_v2-7ebf99e0-tuned.pth");
  WriteTorch(tuned, TorchvisionModel(0.35));
  EXPECT_PRED2(Contains, Refusal(tuned), "give --preprocessing torchvision-v1");
  EXPECT_EQ(imported(named, "")->preprocessing().name, "torchvision-v2");
  EXPECT_EQ(imported(named, "timm")->preprocessing().name, "timm");
  EXPECT_EQ(imported(Write(TimmModel(0.35)), "")->preprocessing().name, "timm");

  // The same weights for other pictures are not what is there.
  ASSERT_TRUE(ImportWeights(named, Path("there")).ok());
  EXPECT_TRUE(ImportWeights(named, Path("there")).ok());
  const auto other = ImportWeights(named, Path("there"), "torchvision-v1");
  EXPECT_TRUE(other.IsAlreadyExists());
  EXPECT_PRED2(Contains, other.message(), "holds the same weights for other pictures");
}

}  // namespace
}  // namespace pomona
