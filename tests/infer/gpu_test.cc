// The network on a device: the bits of the CPU. Whatever OpenCL there is will do; Debian's PoCL runs
// it on the CPU.
#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "infer/gpu/batcher.h"
#include "infer/gpu/device.h"
#include "infer/gpu/network.h"
#include "infer/gpu/self_test.h"
#include "infer/native/network.h"
#include "infer/native_reference.h"
#include "infer/original_pictures.h"
#include "pomona/engine.h"

namespace pomona::gpu {
namespace {

using native::RandomLayers;
using native::RandomPicture;
using native::SameBits;
using native::Variant;

class GpuTest : public testing::Test {
 protected:
  void SetUp() override {
    const Listing listing = ListOpenClDevices();
    if (listing.devices.empty()) GTEST_SKIP() << "no device for OpenCL: " << listing.trouble;
    device_ = OpenOpenClDevice(0).ValueOrDie();
  }

  std::unique_ptr<Device> device_;
};

std::vector<float> OnTheCpu(const std::vector<FoldedLayer>& layers, int size,
                            const std::vector<uint8_t>& pictures, const Preprocessing& scaling) {
  auto network =
      native::Network::Make(layers, size, *native::KernelsFor(Cpu::kScalar), scaling).ValueOrDie();
  native::Scratch scratch = network->NewScratch().ValueOrDie();
  const size_t bytes = size_t{3} * size * size, width = network->features();
  std::vector<float> features(pictures.size() / bytes * width);
  for (size_t i = 0; i * bytes < pictures.size(); ++i) {
    network->Run(&pictures[i * bytes], scratch, &features[i * width]);
  }
  return features;
}

// n pictures, all of them different.
std::vector<uint8_t> RandomPictures(int size, int n) {
  std::vector<uint8_t> pictures;
  for (int i = 0; i < n; ++i) {
    const std::vector<uint8_t> picture = RandomPicture(size, 100 + i);
    pictures.insert(pictures.end(), picture.begin(), picture.end());
  }
  return pictures;
}

class GpuFamily : public GpuTest, public testing::WithParamInterface<Variant> {};

TEST_P(GpuFamily, HasTheBitsOfTheScalarKernels) {
  const auto [alpha, size, framework] = GetParam();
  const Preprocessing& scaling = GetParam().scaling();
  const std::vector<FoldedLayer> layers = RandomLayers(alpha, 1, framework);
  const auto network = Network::Make(device_.get(), layers, size, scaling).ValueOrDie();
  const auto lane = network->NewLane(2).ValueOrDie();
  const std::vector<uint8_t> pictures = RandomPictures(size, 2);
  const std::vector<float> expected = OnTheCpu(layers, size, pictures, scaling);
  ASSERT_GT(*std::ranges::max_element(expected), 0.1f);

  std::vector<float> features(expected.size());
  ASSERT_TRUE(lane->Run(pictures, features).ok());
  EXPECT_TRUE(SameBits(features, expected));

  // Fewer pictures than before: nothing of the others is left.
  const size_t width = features.size() / 2, bytes = pictures.size() / 2;
  std::vector<float> last(width);
  ASSERT_TRUE(lane->Run(std::span(pictures).last(bytes), last).ok());
  EXPECT_TRUE(SameBits(last, std::span(expected).last(width)));
}

// The whole family, and what Keras takes besides.
std::vector<Variant> Family() {
  std::vector<Variant> family = {{1.0, 32}, {1.4, 64}, {1.0, 96, Framework::kPyTorch}};
  for (const double alpha : {0.35, 0.5, 0.75, 1.0, 1.3, 1.4}) {
    for (const int size : {96, 128, 160, 192, 224}) family.push_back({alpha, size});
  }
  return family;
}

INSTANTIATE_TEST_SUITE_P(Gpu, GpuFamily, testing::ValuesIn(Family()),
                         [](const auto& info) { return info.param.name(); });

TEST_F(GpuTest, KeepsThePromiseOfItsArithmetic) {
  const arrow::Status status = TestArithmetic(device_.get());
  EXPECT_TRUE(status.ok()) << status.ToString();
}

TEST_F(GpuTest, BatchesOfManyThreadsAreTheSame) {
  constexpr int kSize = 32, kPictures = 40;
  const std::vector<FoldedLayer> layers = RandomLayers(0.35, 1);
  const auto network = Network::Make(device_.get(), layers, kSize).ValueOrDie();
  std::vector<std::unique_ptr<Lane>> lanes;
  for (int i = 0; i < 2; ++i) lanes.push_back(network->NewLane(5).ValueOrDie());
  const auto batcher = Batcher::Make(*network, std::move(lanes));

  const std::vector<uint8_t> pictures = RandomPictures(kSize, kPictures);
  const size_t bytes = pictures.size() / kPictures, width = network->features();
  std::vector<float> features(kPictures * width);
  {
    std::vector<std::jthread> threads;
    for (int first = 0; first < 8; ++first) {
      threads.emplace_back([&, first] {
        for (size_t i = first; i < kPictures; i += 8) {
          const auto status = batcher->Infer(std::span(pictures).subspan(i * bytes, bytes),
                                             std::span(features).subspan(i * width, width));
          EXPECT_TRUE(status.ok()) << status.ToString();
        }
      });
    }
  }
  EXPECT_TRUE(SameBits(features, OnTheCpu(layers, kSize, pictures, kKerasPreprocessing)));
  const DeviceUse use = batcher->use();
  EXPECT_EQ(use.pictures, kPictures);
  EXPECT_GT(use.busy_seconds, 0);
}

// On the original's pictures, and weights.
class GpuEngineTest : public GpuTest {
 protected:
  void SetUp() override {
    GpuTest::SetUp();
    original_ = FindOriginalPictures();
    if (!original_.missing.empty()) GTEST_SKIP() << original_.missing;
  }

  OriginalPictures original_;
};

TEST_F(GpuEngineTest, GivesTheBitsOfTheCpu) {
  const auto made = MakeGpuEngine(*original_.weights, Cpu::kBest, device_->info().id, 2);
  ASSERT_TRUE(made.ok()) << made.status().ToString();
  const auto native = MakeNativeEngine(*original_.weights).ValueOrDie();
  EXPECT_EQ((*made)->name(), native->name());
  const std::vector<uint8_t> pictures = ReadPictures(original_, original_.names);
  std::vector<float> there(original_.names.size() * native->features()), here(there.size());
  ASSERT_TRUE((*made)->NewWorker().ValueOrDie()->Infer(pictures, there).ok());
  ASSERT_TRUE(native->NewWorker().ValueOrDie()->Infer(pictures, here).ok());
  EXPECT_TRUE(SameBits(there, here));
  EXPECT_EQ((*made)->device_use()->pictures, 246);
}

TEST_F(GpuEngineTest, SaysWhichDevicesThereAre) {
  const auto made = MakeGpuEngine(*original_.weights, Cpu::kBest, "opencl:99", 1);
  EXPECT_TRUE(made.status().IsNotImplemented()) << made.status().ToString();
  const std::string& message = made.status().message();
  EXPECT_NE(message.find("device opencl:99: there is none of this name"), std::string::npos)
      << message;
  EXPECT_NE(message.find(device_->info().name), std::string::npos) << message;
}

}  // namespace
}  // namespace pomona::gpu
