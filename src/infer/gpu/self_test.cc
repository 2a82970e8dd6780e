#include "infer/gpu/self_test.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace pomona::gpu {
namespace {

constexpr size_t kNoisePictures = 2;

// Factors and summands on which devices that do less than they should differ: x * y + z.
struct Case {
  float x, y, z;
};

constexpr Case kCases[] = {
    // Rounded once, it is not 0: the product's low half is what is left.
    {0x1.000002p0f, 0x1.000002p0f, -0x1.000004p0f},
    {0x1.fffffep0f, 0x1.fffffep0f, -0x1.fffffcp1f},
    {0x1.555556p0f, 0x1.8p0f, -2.0f},
    // Denormal results, and denormal operands.
    {0x1p-100f, 0x1p-40f, 0.0f},
    {0x1.8p-75f, 0x1p-74f, 0x1p-149f},
    {0x1p-149f, 1.0f, 0.0f},
    {0x1p-140f, 0x1p20f, -0x1p-120f},
    {1.0f, 0x1p-130f, -0x1p-131f},
    // A tie that only the product's last bit breaks.
    {0x1.000002p0f, 0x1.000002p-24f, 1.0f},
    {0x1p-24f, 1.0f, 1.0f},
    {0x1.000002p-24f, 1.0f, 1.0f},
    // Too large.
    {0x1p100f, 0x1p100f, 1.0f},
};

// The cases and random ones, in whole vectors.
std::vector<float> Factors(std::vector<float>* y, std::vector<float>* z) {
  std::vector<float> x;
  for (const Case& each : kCases) {
    x.push_back(each.x);
    y->push_back(each.y);
    z->push_back(each.z);
  }
  std::mt19937 random(24);
  // By its bits: of all signs and exponents.
  const auto number = [&] {
    float made;
    do {
      made = std::bit_cast<float>(static_cast<uint32_t>(random()));
    } while (!std::isfinite(made));
    return made;
  };
  while (x.size() % 4096 != 0) {
    x.push_back(number());
    y->push_back(number());
    // Near the product, so that digits cancel.
    z->push_back(x.size() % 2 ? number() : -x.back() * y->back() * (1 + 0x1p-20f));
  }
  return x;
}

// Errors: NotImplemented where it is not the same, bit for bit.
arrow::Status Expect(const char* what, const Case& of, float there, float here) {
  if (std::bit_cast<uint32_t>(there) == std::bit_cast<uint32_t>(here)) return arrow::Status::OK();
  char text[200];
  std::snprintf(text, sizeof text, "%s of %a, %a, %a is %a there, and not %a", what, of.x, of.y,
                of.z, there, here);
  return arrow::Status::NotImplemented("it does not compute as the engine needs it: ", text);
}

}  // namespace

arrow::Status TestArithmetic(Device* device) {
  std::vector<float> y, z;
  const std::vector<float> x = Factors(&y, &z);
  std::vector<float> out(3 * x.size());
  const size_t bytes = x.size() * sizeof(float);
  std::unique_ptr<Buffer> buffers[4];
  for (auto& buffer : buffers) {
    ARROW_ASSIGN_OR_RAISE(buffer, device->NewBuffer(3 * bytes));
  }
  ARROW_ASSIGN_OR_RAISE(const auto stream, device->NewStream());
  ARROW_RETURN_NOT_OK(stream->Write(*buffers[0], x.data(), bytes));
  ARROW_RETURN_NOT_OK(stream->Write(*buffers[1], y.data(), bytes));
  ARROW_RETURN_NOT_OK(stream->Write(*buffers[2], z.data(), bytes));
  const auto count = static_cast<int32_t>(x.size());
  ARROW_RETURN_NOT_OK(stream->Run(
      "probe", {buffers[0].get(), buffers[1].get(), buffers[2].get(), buffers[3].get(), count},
      count / kVectorWidth));
  ARROW_RETURN_NOT_OK(stream->Read(*buffers[3], out.data(), 3 * bytes));
  for (size_t i = 0; i < x.size(); ++i) {
    const float sum = x[i] + z[i];
    ARROW_RETURN_NOT_OK(
        Expect("x * y + z", {x[i], y[i], z[i]}, out[i], std::fma(x[i], y[i], z[i])));
    ARROW_RETURN_NOT_OK(Expect("x + z", {x[i], y[i], z[i]}, out[x.size() + i], sum));
    // Of a zero the sign may be either; sums of the features begin at 0, and forget it.
    const float cut = out[2 * x.size() + i];
    ARROW_RETURN_NOT_OK(Expect("x + z, cut to 0 and 6", {x[i], y[i], z[i]}, cut == 0 ? 0.0f : cut,
                               std::min(std::max(sum, 0.0f), 6.0f)));
  }
  return arrow::Status::OK();
}

arrow::Result<Noise> MakeNoise(Engine& cpu) {
  Noise noise;
  noise.pictures.resize(kNoisePictures * kPictureBytes);
  noise.features.resize(kNoisePictures * static_cast<size_t>(cpu.features()));
  std::mt19937 random(24);
  for (uint8_t& byte : noise.pictures) byte = static_cast<uint8_t>(random());
  ARROW_ASSIGN_OR_RAISE(const auto worker, cpu.NewWorker());
  ARROW_RETURN_NOT_OK(worker->Infer(noise.pictures, noise.features));
  return noise;
}

arrow::Status TestNetwork(Lane* lane, const Noise& noise) {
  const size_t n = static_cast<size_t>(lane->capacity());
  std::vector<uint8_t> pictures(n * kPictureBytes);
  for (size_t i = 0; i < pictures.size(); ++i) {
    pictures[i] = noise.pictures[i % noise.pictures.size()];
  }
  const size_t width = noise.features.size() / kNoisePictures;
  std::vector<float> there(n * width);
  ARROW_RETURN_NOT_OK(lane->Run(pictures, there));
  for (size_t i = 0; i < n; ++i) {
    const float* const expected = &noise.features[i % kNoisePictures * width];
    if (std::memcmp(&there[i * width], expected, width * sizeof(float)) != 0) {
      return arrow::Status::NotImplemented(
          "it does not compute as the engine needs it: pictures of noise get other features than "
          "on the CPU");
    }
  }
  return arrow::Status::OK();
}

}  // namespace pomona::gpu
