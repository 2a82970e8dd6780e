// The whole network: against the reference, and the same bits on every path.
#include <arrow/result.h>
#include <gtest/gtest.h>

#include <thread>

#include "infer/native/network.h"
#include "infer/native_reference.h"

namespace pomona::native {
namespace {

std::vector<float> Features(const std::vector<FoldedLayer>& layers, int size,
                            const std::vector<uint8_t>& picture, Cpu cpu,
                            const Preprocessing& scaling = kKerasPreprocessing) {
  auto network = Network::Make(layers, size, *KernelsFor(cpu), scaling).ValueOrDie();
  Scratch scratch = network->NewScratch().ValueOrDie();
  std::vector<float> features(network->features());
  network->Run(picture.data(), scratch, features.data());
  return features;
}

class NativeNetwork : public testing::TestWithParam<Variant> {};

TEST_P(NativeNetwork, EqualsTheReferenceAndTheOtherCpus) {
  const auto [alpha, size, framework] = GetParam();
  const Preprocessing& scaling = GetParam().scaling();
  const std::vector<FoldedLayer> layers = RandomLayers(alpha, 1, framework);
  const std::vector<uint8_t> picture = RandomPicture(size, 2);
  const std::vector<float> features = Features(layers, size, picture, Cpu::kBest, scaling);

  // The chain of the documentation, to the bit; and the numbers that the chain stands for.
  EXPECT_TRUE(SameBits(features, ReferenceFeatures<float>(layers, size, picture, scaling)));
  const std::vector<double> expected = ReferenceFeatures<double>(layers, size, picture, scaling);
  ASSERT_EQ(features.size(), expected.size());
  double worst = 0, mean = 0;
  for (size_t i = 0; i < features.size(); ++i) {
    worst = std::max(worst, std::abs(features[i] - expected[i]));
    mean += expected[i] / expected.size();
  }
  EXPECT_LT(worst, 1e-4);
  EXPECT_GT(mean, 0.1);  // the weights let signals through
  RecordProperty("worst", std::to_string(worst));

  for (Cpu cpu : {Cpu::kAvx512, Cpu::kAvx2, Cpu::kNeon, Cpu::kScalar}) {
    if (KernelsFor(cpu) == nullptr) continue;
    EXPECT_TRUE(SameBits(features, Features(layers, size, picture, cpu, scaling)))
        << KernelsFor(cpu)->name;
  }
}

INSTANTIATE_TEST_SUITE_P(Family, NativeNetwork,
                         testing::Values(Variant{1.0, 224}, Variant{0.35, 96}, Variant{0.35, 256},
                                         Variant{0.5, 128}, Variant{0.75, 160}, Variant{0.75, 192},
                                         Variant{1.0, 32}, Variant{1.3, 96}, Variant{1.4, 128},
                                         Variant{1.0, 224, Framework::kPyTorch},
                                         Variant{0.5, 96, Framework::kPyTorch},
                                         Variant{1.4, 32, Framework::kPyTorch}),
                         [](const auto& info) { return info.param.name(); });

TEST(NativeNetworkRun, DoesNotDependOnEarlierPicturesOrOnThreads) {
  const std::vector<FoldedLayer> layers = RandomLayers(1.0, 3);
  auto network = Network::Make(layers, 224, *KernelsFor(Cpu::kBest)).ValueOrDie();
  const std::vector<uint8_t> picture = RandomPicture(224, 4);
  const std::vector<float> expected = Features(layers, 224, picture, Cpu::kBest);

  std::vector<std::thread> threads;
  std::vector<std::vector<float>> features(3, std::vector<float>(network->features()));
  for (uint32_t i = 0; i < features.size(); ++i) {
    threads.emplace_back([&, i] {
      Scratch scratch = network->NewScratch().ValueOrDie();
      network->Run(RandomPicture(224, 5 + i).data(), scratch, features[i].data());
      EXPECT_FALSE(SameBits(features[i], expected));
      network->Run(picture.data(), scratch, features[i].data());
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& f : features) EXPECT_TRUE(SameBits(f, expected));
}

TEST(NativeNetworkMake, RefusesWhatIsNoNetwork) {
  const Kernels& kernels = *KernelsFor(Cpu::kBest);
  std::vector<FoldedLayer> layers = RandomLayers(0.35, 1);
  EXPECT_TRUE(Network::Make(layers, 100, kernels).status().IsInvalid());
  EXPECT_TRUE(Network::Make({}, 224, kernels).status().IsInvalid());
  std::swap(layers[3], layers[4]);
  EXPECT_TRUE(Network::Make(layers, 224, kernels).status().IsInvalid());
}

}  // namespace
}  // namespace pomona::native
