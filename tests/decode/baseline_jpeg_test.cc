#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <optional>
#include <random>

#include "by_libjpeg.h"
#include "instruction_sets.h"
#include "pictures.h"

namespace pomona {
namespace {

// From smooth to noise, now and then in black and white.
Bytes Photo(int width, int height, int components = 3) {
  std::mt19937 random(width * 70001 + height);
  const int noise = 1 << random() % 9;
  Bytes samples;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < components; ++c) {
        const int value = 40 + 3 * x + (2 - c) * y + static_cast<int>(random() % noise);
        samples.push_back(static_cast<uint8_t>(noise == 256 && c == 0 ? -(value & 1) : value));
      }
    }
  }
  return samples;
}

// Compares with libjpeg on each instruction set that was compiled in and that this CPU has.
class BaselineJpegTest : public InstructionSetsTest {
 protected:
  // Of the decoder's instruction sets. What has no vectors leaves all to libjpeg.
  std::vector<int64_t> Targets() const {
    constexpr int64_t kCompiled = HWY_AVX2 | HWY_SSE4 | HWY_SSSE3 | HWY_NEON;
    std::vector<int64_t> targets = targets_;
    std::erase_if(targets, [](int64_t target) { return (target & kCompiled) == 0; });
    return targets;
  }

  // The fast way has to be taken, and to give libjpeg's pixels.
  void ExpectFast(const Bytes& file, const std::string& what) {
    const auto expected = ByLibjpeg(file);
    ASSERT_TRUE(expected) << what;
    ASSERT_FALSE(Targets().empty());
    for (const int64_t target : Targets()) {
      Use(target);
      const auto rgb = ByUs(file);
      ASSERT_TRUE(rgb) << hwy::TargetName(target) << " " << what;
      ASSERT_TRUE(*rgb == *expected) << hwy::TargetName(target) << " " << what;
    }
  }

  // As it may have been damaged: where the fast way is taken, libjpeg finds no fault either.
  void ExpectSame(const Bytes& file, const std::string& what) {
    std::optional<std::optional<Bytes>> expected;
    for (const int64_t target : Targets()) {
      Use(target);
      const auto rgb = ByUs(file);
      if (!rgb) continue;
      if (!expected) expected = ByLibjpeg(file);
      ASSERT_TRUE(*rgb == *expected) << hwy::TargetName(target) << " " << what;
    }
    fast_ += expected.has_value();
  }

  int fast_ = 0;  // of the files for ExpectSame
};

std::string Name(int width, int height, const JpegOptions& options) {
  return std::to_string(width) + "x" + std::to_string(height) + " q" +
         std::to_string(options.quality) + " " + std::to_string(options.h) + "x" +
         std::to_string(options.v) + " restart " + std::to_string(options.restart_interval);
}

TEST_F(BaselineJpegTest, SizesAndSamplings) {
  for (int width = 1; width <= 40; ++width) {
    for (int height = 1 + width % 3; height <= 40; height += 3) {
      for (const int h : {1, 2}) {
        for (const int v : {1, 2}) {
          const JpegOptions options = {.quality = 20 + (width + height) % 81, .h = h, .v = v};
          const Bytes file = MakeJpeg(width, height, Photo(width, height), options);
          if (h == 2 && width <= 4) {  // libjpeg then does not smooth
            EXPECT_FALSE(ByUs(file));
          } else {
            ExpectFast(file, Name(width, height, options));
          }
        }
      }
      const JpegOptions gray = {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .h = 1 + width % 2};
      ExpectFast(MakeJpeg(width, height, Photo(width, height, 1), gray), Name(width, height, gray));
    }
  }
}

TEST_F(BaselineJpegTest, QualitiesAndTables) {
  for (int quality = 1; quality <= 100; ++quality) {
    for (const bool own_tables : {false, true}) {
      const int width = 150 + quality;
      const JpegOptions options = {.quality = quality,
                                   .h = 1 + quality % 2,
                                   .v = 1 + quality / 2 % 2,
                                   .own_tables = own_tables};
      ExpectFast(MakeJpeg(width, 70, Photo(width, 70), options), Name(width, 70, options));
    }
  }
}

TEST_F(BaselineJpegTest, RestartIntervals) {
  for (const int h : {1, 2}) {
    for (const unsigned interval : {1, 2, 7, 8, 9, 20, 100, 1000}) {
      const JpegOptions options = {.quality = 90, .h = h, .v = h, .restart_interval = interval};
      ExpectFast(MakeJpeg(301, 131, Photo(301, 131), options), Name(301, 131, options));
    }
  }
}

TEST_F(BaselineJpegTest, LargerThanItsBuffers) {
  const JpegOptions options = {.quality = 100};
  ExpectFast(MakeJpeg(1500, 200, Photo(1500, 200), options), Name(1500, 200, options));
}

TEST_F(BaselineJpegTest, LeavesOtherKindsAlone) {
  const Bytes photo = Photo(50, 40);
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, photo, {.progressive = true})));
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, photo, {.arithmetic = true})));
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, photo, {.stored = JCS_RGB})));
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, photo, {.h = 4, .v = 1})));
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, Photo(50, 40, 4), {.in = JCS_CMYK, .stored = JCS_CMYK})));
}

TEST_F(BaselineJpegTest, LeavesOddEndsAlone) {
  Bytes file = MakeJpeg(50, 40, Photo(50, 40));
  ASSERT_TRUE(ByUs(file));
  const auto with_end = [&](const Bytes& end) {
    Bytes other(file.begin(), file.end() - 2);
    other.insert(other.end(), end.begin(), end.end());
    return other;
  };
  EXPECT_FALSE(ByUs(with_end({})));
  EXPECT_FALSE(ByUs(with_end({0xff})));
  EXPECT_FALSE(ByUs(with_end({0x00, 0xff, 0xd9})));
  EXPECT_FALSE(ByUs(with_end({0xff, 0xff, 0xd9})));
  EXPECT_FALSE(ByUs(with_end({0xff, 0xd0, 0xff, 0xd9})));
  EXPECT_TRUE(ByUs(with_end({0xff, 0xd9, 0x00, 0xff, 0x12})));
  for (size_t size = file.size() - 1; size > file.size() / 2; --size) {
    const Bytes cut(file.begin(), file.begin() + static_cast<ptrdiff_t>(size));
    EXPECT_FALSE(ByUs(cut)) << size;
  }
}

TEST_F(BaselineJpegTest, DamagedBytes) {
  std::mt19937 random(5);
  for (const unsigned interval : {0, 3}) {
    for (int i = 0; i < 3000; ++i) {
      const int width = 5 + static_cast<int>(random() % 40);
      Bytes file = MakeJpeg(width, 33, Photo(width, 33),
                            {.quality = 30 + static_cast<int>(random() % 70),
                             .h = 1 + i % 2,
                             .v = 1 + i / 2 % 2,
                             .restart_interval = interval});
      for (unsigned n = random() % 3 + 1; n > 0; --n) {
        file[random() % file.size()] = static_cast<uint8_t>(random());
      }
      ExpectSame(file, std::to_string(i));
    }
  }
  EXPECT_GT(fast_, 0);
  EXPECT_LT(fast_, 6000);
}

// Such as no encoder makes of a picture: sums of 16 bits wrap in libjpeg.
TEST_F(BaselineJpegTest, WildCoefficients) {
  std::mt19937 random(6);
  for (int i = 0; i < 300; ++i) {
    Bytes file = MakeJpeg(20 + i, 33, Photo(20 + i, 33), {.quality = 20 + i / 4});
    for (size_t at = 0; at + 1 < file.size(); ++at) {
      if (file[at] != 0xff || file[at + 1] != 0xdb) continue;
      for (size_t k = at + 5; k < at + 69; ++k) {
        if (random() % 8 < 3) file[k] = static_cast<uint8_t>(1 + random() % 255);
      }
    }
    ExpectSame(file, std::to_string(i));
  }
  EXPECT_GT(fast_, 0);
  EXPECT_LT(fast_, 300);
}

}  // namespace
}  // namespace pomona
