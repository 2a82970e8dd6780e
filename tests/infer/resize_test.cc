#include "infer/resize.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "instruction_sets.h"

namespace pomona {
namespace {

using Bytes = std::vector<uint8_t>;

using Filter = Preprocessing::Filter;

double Bilinear(double x) { return std::max(0.0, 1 - std::abs(x)); }

double Bicubic(double x) {
  x = std::abs(x);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * -0.5;
  return 0;
}

// What Pillow's resize does to `lines` lines of `in` values each, without a thought for speed.
// Value i of line l is at values[l * line_step + i * step], in the output likewise with out_*.
void ResampleLines(Filter filter, int in, int out, int lines, const uint8_t* values, int line_step,
                   int step, uint8_t* results, int out_line_step, int out_step) {
  const double scale = static_cast<double>(in) / out;
  const double filter_scale = std::max(1.0, scale);
  const double support = (filter == Filter::kBicubic ? 2.0 : 1.0) * filter_scale;
  for (int index = 0; index < out; ++index) {
    const double center = (index + 0.5) * scale;
    const int begin = std::max(0, static_cast<int>(center - support + 0.5));
    const int end = std::min(in, static_cast<int>(center + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int i = begin; i < end; ++i) {
      const double at = (i - center + 0.5) * (1.0 / filter_scale);
      weights.push_back(filter == Filter::kBicubic ? Bicubic(at) : Bilinear(at));
      sum += weights.back();
    }
    std::vector<int64_t> fixed;
    for (const double weight : weights) fixed.push_back(std::llround(weight / sum * (1 << 22)));
    for (int line = 0; line < lines; ++line) {
      int64_t total = 1 << 21;
      for (int i = begin; i < end; ++i) {
        total += values[int64_t{line} * line_step + int64_t{i} * step] * fixed[i - begin];
      }
      results[int64_t{line} * out_line_step + int64_t{index} * out_step] =
          static_cast<uint8_t>(std::clamp<int64_t>(total >> 22, 0, 255));
    }
  }
}

Bytes Reference(int width, int height, const Bytes& rgb, int out_width, int out_height,
                Filter filter = Filter::kBicubic) {
  Bytes rows = rgb;
  if (width != out_width) {
    rows.resize(size_t{3} * out_width * height);
    for (int c = 0; c < 3; ++c) {
      ResampleLines(filter, width, out_width, height, &rgb[c], 3 * width, 3, &rows[c],
                    3 * out_width, 3);
    }
  }
  if (height == out_height) return rows;
  Bytes out(size_t{3} * out_width * out_height);
  ResampleLines(filter, height, out_height, 3 * out_width, rows.data(), 1, 3 * out_width,
                out.data(), 1, 3 * out_width);
  return out;
}

// Noise, every other picture in black and white only, which drives the sums to their extremes.
Bytes Noise(int width, int height) {
  std::mt19937 random(width * 70001 + height);
  Bytes rgb(size_t{3} * width * height);
  for (uint8_t& value : rgb) value = static_cast<uint8_t>(random());
  if ((width + height) % 2 == 1) {
    for (uint8_t& value : rgb) value = value < 128 ? 0 : 255;
  }
  return rgb;
}

// Compares with the reference on each instruction set that was compiled in and that this CPU has.
class ResizeTest : public InstructionSetsTest {
 protected:
  void Check(Resizer* resizer, int width, int height, int out_width, int out_height) {
    const Bytes rgb = Noise(width, height);
    const Bytes expected = Reference(width, height, rgb, out_width, out_height);
    for (const int64_t target : targets_) {
      Use(target);
      Bytes out(expected.size());
      resizer->Resize(width, height, rgb, out);
      // EXPECT_EQ would print both pictures.
      EXPECT_TRUE(out == expected) << hwy::TargetName(target) << ": " << width << "x" << height
                                   << " -> " << out_width << "x" << out_height;
    }
  }
};

TEST_F(ResizeTest, EverySmallSize) {
  Resizer resizer(24, 40);
  for (int width = 1; width <= 64; ++width) {
    for (int height = 1; height <= 64; ++height) Check(&resizer, width, height, 24, 40);
  }
}

// However many rows come at once, and whatever was given up before.
TEST_F(ResizeTest, RowsInPieces) {
  Resizer resizer(24, 40);
  for (const auto& [width, height] : {std::pair(24, 40), {7, 900}, {900, 7}, {100, 233}}) {
    const Bytes rgb = Noise(width, height);
    const Bytes expected = Reference(width, height, rgb, 24, 40);
    for (const int piece : {1, 2, 15, 16, 17, 63, 65, 1000}) {
      resizer.Begin(width + 1, height + 1);
      resizer.Add(Noise(width + 1, 1).data(), 1);
      resizer.Begin(width, height);
      for (int y = 0; y < height; y += piece) {
        resizer.Add(rgb.data() + y * width * 3, std::min(piece, height - y));
      }
      EXPECT_TRUE(std::ranges::equal(resizer.picture(), expected))
          << width << "x" << height << " by " << piece;
    }
  }
}

TEST_F(ResizeTest, ToTheInputOfTheNetwork) {
  Resizer resizer(224, 224);
  for (const auto& [width, height] : std::vector<std::pair<int, int>>{{1, 1},
                                                                      {2, 2},
                                                                      {5, 5},
                                                                      {16, 16},
                                                                      {64, 1},
                                                                      {1, 64},
                                                                      {100, 100},
                                                                      {100, 224},
                                                                      {224, 100},
                                                                      {224, 224},
                                                                      {223, 225},
                                                                      {448, 448},
                                                                      {640, 480},
                                                                      {3000, 2},
                                                                      {2, 3000},
                                                                      {1, 5000},
                                                                      {5000, 1},
                                                                      {1217, 913}}) {
    Check(&resizer, width, height, 224, 224);
  }
}

// The sizes and the corners as Python computes them: int(side * longer / shorter), and
// int(round((size - 224) / 2.0)), as torchvision does.
TEST_F(ResizeTest, TheMiddleOfTheProportions) {
  struct Case {
    const char* preprocessing;
    int width, height;  // of the picture
    int full_width, full_height, left, top;
  };
  for (const Case& c : {Case{"torchvision-v1", 1, 1, 256, 256, 16, 16},
                        {"torchvision-v1", 224, 224, 256, 256, 16, 16},
                        {"torchvision-v1", 256, 256, 256, 256, 16, 16},
                        {"torchvision-v1", 301, 409, 256, 347, 16, 62},
                        {"torchvision-v1", 409, 301, 347, 256, 62, 16},
                        {"timm", 640, 480, 341, 256, 58, 16},
                        {"timm", 37, 500, 256, 3459, 16, 1618},
                        {"timm", 256, 300, 256, 300, 16, 38},
                        {"timm", 257, 255, 258, 256, 17, 16},
                        {"timm", 1217, 913, 341, 256, 58, 16},
                        {"torchvision-v2", 500, 37, 3135, 232, 1456, 4},
                        {"torchvision-v2", 229, 231, 232, 234, 4, 5},
                        {"torchvision-v2", 232, 300, 232, 300, 4, 38},
                        {"torchvision-v2", 2, 300, 232, 34800, 4, 17288}}) {
    const Preprocessing& preprocessing = *FindPreprocessing(c.preprocessing);
    const Bytes rgb = Noise(c.width, c.height);
    const Bytes full =
        Reference(c.width, c.height, rgb, c.full_width, c.full_height, preprocessing.filter);
    Bytes expected;
    for (int y = c.top; y < c.top + 224; ++y) {
      const auto begin = full.begin() + (ptrdiff_t{y} * c.full_width + c.left) * 3;
      expected.insert(expected.end(), begin, begin + ptrdiff_t{3} * 224);
    }
    Resizer resizer(preprocessing);
    for (const int64_t target : targets_) {
      Use(target);
      for (const int piece : {1, 17, 5000}) {
        resizer.Begin(c.width, c.height);
        for (int y = 0; y < c.height; y += piece) {
          resizer.Add(rgb.data() + ptrdiff_t{y} * c.width * 3, std::min(piece, c.height - y));
        }
        EXPECT_TRUE(std::ranges::equal(resizer.picture(), expected))
            << c.preprocessing << ' ' << c.width << 'x' << c.height << " by " << piece << ", "
            << hwy::TargetName(target);
      }
    }
  }
}

TEST_F(ResizeTest, RandomSizes) {
  std::mt19937 random(7);
  std::uniform_int_distribution<int> side(1, 90);
  for (int i = 0; i < 300; ++i) {
    const int out_width = side(random);
    const int out_height = side(random);
    Resizer resizer(out_width, out_height);
    for (int picture = 0; picture < 2; ++picture) {
      const int width = side(random);
      const int height = side(random);
      Check(&resizer, width, height, out_width, out_height);
    }
  }
}

TEST_F(ResizeTest, FlatPicturesStayFlat) {
  Resizer resizer(224, 224);
  for (const int value : {0, 1, 127, 254, 255}) {
    const Bytes rgb(size_t{3} * 300 * 77, static_cast<uint8_t>(value));
    Bytes out(size_t{3} * 224 * 224);
    resizer.Resize(300, 77, rgb, out);
    EXPECT_TRUE(out == Bytes(out.size(), static_cast<uint8_t>(value))) << value;
  }
}

TEST_F(ResizeTest, SameSizeIsACopy) {
  const Bytes rgb = Noise(224, 224);
  Bytes out(rgb.size());
  Resizer(224, 224).Resize(224, 224, rgb, out);
  EXPECT_TRUE(out == rgb);
}

}  // namespace
}  // namespace pomona
