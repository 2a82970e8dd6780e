#include "statistics/gather.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "hex.h"

namespace pomona {
namespace {

using Bytes = std::vector<uint8_t>;

class Rows : public RowSink {
 public:
  void Begin(int width, int height) override {
    width_ = width;
    height_ = height;
    pixels.clear();
  }
  void Add(const uint8_t* rows, int count) noexcept override {
    pixels.insert(pixels.end(), rows, rows + size_t{3} * static_cast<size_t>(width_ * count));
  }
  int width_ = 0, height_ = 0;
  Bytes pixels;
};

// Pixel (x, y) is (7 x + 3 y, x y, x x + 5 y), each modulo 256.
Bytes Picture(int width, int height) {
  Bytes pixels;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const int value : {7 * x + 3 * y, x * y, x * x + 5 * y}) {
        pixels.push_back(static_cast<uint8_t>(value % 256));
      }
    }
  }
  return pixels;
}

// As Pillow converts it to L and back.
Bytes Gray(Bytes pixels) {
  for (size_t i = 0; i < pixels.size(); i += 3) {
    const int gray = (pixels[i] * 19595 + pixels[i + 1] * 38470 + pixels[i + 2] * 7471 + 0x8000);
    pixels[i] = pixels[i + 1] = pixels[i + 2] = static_cast<uint8_t>(gray >> 16);
  }
  return pixels;
}

ImageStatistics Gather(StatisticsGatherer* gatherer, int width, const Bytes& pixels, int at_once,
                       const std::string& mode = "RGB") {
  const size_t stride = size_t{3} * static_cast<size_t>(width);
  const int height = static_cast<int>(pixels.size() / stride);
  gatherer->Begin(width, height);
  for (int y = 0; y < height; y += at_once) {
    gatherer->Add(pixels.data() + static_cast<size_t>(y) * stride, std::min(at_once, height - y));
  }
  return gatherer->Finish(mode);
}

ImageStatistics Gather(int width, const Bytes& pixels, const std::string& mode = "RGB") {
  Rows rows;
  StatisticsGatherer gatherer(StatsKind::kFull, Cpu::kBest, &rows);
  return Gather(&gatherer, width, pixels, 16, mode);
}

struct Expected {
  double brightness;
  std::array<double, 7> percentiles;
  double entropy, blurriness, grayscale_std;
  std::string pixels_sha256;
};

void ExpectNear(const ImageStatistics& found, const Expected& expected) {
  EXPECT_NEAR(found.brightness, expected.brightness, 1e-12);
  for (size_t i = 0; i < expected.percentiles.size(); ++i) {
    EXPECT_NEAR(found.brightness_percentiles[i], expected.percentiles[i], 1e-12) << i;
  }
  EXPECT_NEAR(found.entropy, expected.entropy, 1e-12);
  EXPECT_NEAR(found.blurriness, expected.blurriness, 1e-10);
  EXPECT_NEAR(found.blurriness_grayscale_std, expected.grayscale_std, 1e-12);
  EXPECT_EQ(Hex(found.pixels_sha256), expected.pixels_sha256);
}

// The numbers below are those of CleanVision 0.3.7, with Pillow 10.4, of these pictures.
TEST(Statistics, AreCleanVisionsWhereThePictureIsMadeSmaller) {
  ExpectNear(Gather(90, Picture(90, 70)),
             {0.480546137747412,
              {0.09240061202357107, 0.18889478639852728, 0.2537965650107959, 0.2933220100910348,
               0.8094015900704483, 0.855765052285995, 0.9194296635312534},
              9.46477846763272,
              101.22987983572172,
              10.811235475189688,
              "f7fd91b0db7e917887d95cfb42549dc16bea926b3c5e3200fb3446534161bf64"});
}

TEST(Statistics, AreCleanVisionsWhereThePictureIsSmallAlready) {
  ExpectNear(Gather(20, Picture(20, 30)),
             {0.37810469533962987,
              {0.02721976645451078, 0.07202080829577978, 0.11564443811252204, 0.15248963362718687,
               0.7408160285891857, 0.8259774213573653, 0.8940877939269477},
              8.95816304077943,
              60.69498194524267,
              1.8046705897476139,
              "0b2e46416de6ab69574a7276e0ba135562b0c489ce23e4655bc8fc23fbe276bc"});
}

TEST(Statistics, OfAGrayModeAreThoseOfOneChannel) {
  ExpectNear(Gather(90, Gray(Picture(90, 70)), "L"),
             {0.48345658263305324,
              {0.07450980392156863, 0.1568627450980392, 0.21568627450980393, 0.25882352941176473,
               0.7568627450980392, 0.8156862745098039, 0.8901960784313725},
              7.655294996716362,
              101.24336553026617,
              10.741275529470418,
              "4282a5af4cd2d8f45f639fab0ef28dbe149cad27b111bc674d299e1fbbf03cb6"});
}

TEST(Statistics, OfNarrowPicturesAndOfASinglePixel) {
  ExpectNear(Gather(1, Picture(1, 1)),
             {0,
              {},
              1.584962500721156,
              0,
              0.06237781024480981,
              "709e80c88487a2411e1ee4dfb9f22a861492d20c4765150c0c794abd70f8147c"});
  ExpectNear(Gather(2, Picture(2, 200)),
             {0.3037689729073591,
              {0.02041665918169549, 0.08448040322272558, 0.12315350210273376, 0.1606709373356909,
               0.6248057941427014, 0.6735354863877658, 0.712529862903032},
              8.458934198890121,
              30.50515053207204,
              0.4921254921257382,
              "0f4dc73070af2eef80ea8c42d14b1207b666e66c25799ec925ad6fdf83158f44"});
}

TEST(Statistics, AreTheSameForAnyStripsAndCpuAndRowsGoOn) {
  const Bytes pixels = Picture(301, 97);
  const ImageStatistics expected = Gather(301, pixels);
  for (const Cpu cpu : {Cpu::kScalar, Cpu::kAvx2, Cpu::kAvx512, Cpu::kNeon}) {
    if (!ResolveCpu(cpu).ok()) continue;
    Rows rows;
    StatisticsGatherer gatherer(StatsKind::kFull, cpu, &rows);
    // One gatherer for pictures of several sizes, one of which breaks off.
    for (const int at_once : {1, 7, 97}) {
      Gather(&gatherer, 20, Picture(20, 30), at_once);
      gatherer.Begin(301, 97);
      gatherer.Add(pixels.data(), 5);
      EXPECT_EQ(Gather(&gatherer, 301, pixels, at_once), expected) << CpuName(cpu);
      EXPECT_EQ(rows.pixels, pixels);
    }
  }
}

TEST(Statistics, BasicOnesAreAPartOfTheFullOnes) {
  Rows rows;
  StatisticsGatherer gatherer(StatsKind::kBasic, Cpu::kBest, &rows);
  const ImageStatistics full = Gather(90, Picture(90, 70));
  const ImageStatistics basic = Gather(&gatherer, 90, Picture(90, 70), 8);
  EXPECT_EQ(basic, full.Of(StatsKind::kBasic));
  EXPECT_TRUE(basic.Has(StatsKind::kBasic) && !basic.Has(StatsKind::kFull));
  EXPECT_EQ(basic.pixels_sha256, decltype(basic.pixels_sha256)());
  EXPECT_EQ(full.Of(StatsKind::kNone), ImageStatistics());
  EXPECT_EQ(full.Of(StatsKind::kFull), full);
}

// By sorting all of them, as numpy.percentile() defines it.
std::vector<double> SortedPercentiles(const Bytes& pixels) {
  std::vector<double> all;
  for (size_t i = 0; i < pixels.size(); i += 3) {
    const double r = pixels[i], g = pixels[i + 1], b = pixels[i + 2];
    all.push_back(std::sqrt(0.241 * (r * r) + 0.691 * (g * g) + 0.068 * (b * b)) / 255);
  }
  std::ranges::sort(all);
  std::vector<double> values;
  for (const int percentile : kBrightnessPercentiles) {
    const double place = percentile / 100.0 * static_cast<double>(all.size() - 1);
    const auto below = static_cast<size_t>(place);
    const double high = all[std::min(below + 1, all.size() - 1)];
    values.push_back(all[below] + (high - all[below]) * (place - static_cast<double>(below)));
  }
  return values;
}

Bytes RandomPixels(size_t pixels, uint32_t least, uint32_t most) {
  std::mt19937 random(static_cast<uint32_t>(pixels));
  Bytes bytes(3 * pixels);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(least + random() % (most - least + 1));
  return bytes;
}

TEST(Brightness, IsThatOfTheSortedPixels) {
  BrightnessOrder order(Cpu::kBest);
  for (const size_t pixels : {1, 2, 3, 7, 100, 101, 5000}) {
    for (const auto& [least, most] : {std::pair{0U, 255U}, {255U, 255U}, {0U, 1U}, {250U, 255U}}) {
      const Bytes rgb = RandomPixels(pixels, least, most);
      order.Begin(pixels);
      order.Add(rgb.data(), pixels);
      std::array<double, 7> found{};
      order.Percentiles(kBrightnessPercentiles, found);
      const std::vector<double> expected = SortedPercentiles(rgb);
      for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-12) << pixels;
    }
  }
}

TEST(Brightness, OfALargePictureIsCountedInSteps) {
  const size_t pixels = 5 * 1000 + 123;
  for (const auto& [least, most] : {std::pair{0U, 255U}, {0U, 20U}, {255U, 255U}, {0U, 0U}}) {
    const Bytes rgb = RandomPixels(pixels, least, most);
    BrightnessOrder order(Cpu::kBest, 1000);
    order.Begin(pixels);
    order.Add(rgb.data(), 100);
    order.Add(rgb.data() + 300, pixels - 100);
    std::array<double, 7> found{};
    order.Percentiles(kBrightnessPercentiles, found);
    const std::vector<double> expected = SortedPercentiles(rgb);
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 5e-7);
    if (least == most) {
      EXPECT_EQ(found[0], least / 255.0);
    }
  }
}

}  // namespace
}  // namespace pomona
