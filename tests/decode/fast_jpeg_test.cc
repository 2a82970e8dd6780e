#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <algorithm>
#include <array>
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
class FastJpegTest : public InstructionSetsTest {
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

// Baseline JPEGs, and progressive ones.
class EachJpegTest : public FastJpegTest, public testing::WithParamInterface<bool> {
 protected:
  Bytes Make(int width, int height, const Bytes& samples, JpegOptions options) const {
    options.progressive = GetParam();
    return MakeJpeg(width, height, samples, options);
  }
};

INSTANTIATE_TEST_SUITE_P(, EachJpegTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Progressive" : "Baseline"; });

std::string Name(int width, int height, const JpegOptions& options) {
  return std::to_string(width) + "x" + std::to_string(height) + " q" +
         std::to_string(options.quality) + " " + std::to_string(options.h) + "x" +
         std::to_string(options.v) + " restart " + std::to_string(options.restart_interval);
}

TEST_P(EachJpegTest, SizesAndSamplings) {
  for (int width = 1; width <= 40; ++width) {
    for (int height = 1 + width % 3; height <= 40; height += 3) {
      for (const int h : {1, 2}) {
        for (const int v : {1, 2}) {
          const JpegOptions options = {.quality = 20 + (width + height) % 81, .h = h, .v = v};
          const Bytes file = Make(width, height, Photo(width, height), options);
          if (h == 2 && width <= 4) {  // libjpeg then does not smooth
            EXPECT_FALSE(ByUs(file));
          } else {
            ExpectFast(file, Name(width, height, options));
          }
        }
      }
      const JpegOptions gray = {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .h = 1 + width % 2};
      ExpectFast(Make(width, height, Photo(width, height, 1), gray), Name(width, height, gray));
    }
  }
}

TEST_P(EachJpegTest, QualitiesAndTables) {
  for (int quality = 1; quality <= 100; ++quality) {
    for (const bool own_tables : {false, true}) {
      const int width = 150 + quality;
      const JpegOptions options = {.quality = quality,
                                   .h = 1 + quality % 2,
                                   .v = 1 + quality / 2 % 2,
                                   .own_tables = own_tables};
      ExpectFast(Make(width, 70, Photo(width, 70), options), Name(width, 70, options));
    }
  }
}

TEST_P(EachJpegTest, RestartIntervals) {
  for (const int h : {1, 2}) {
    for (const unsigned interval : {1, 2, 7, 8, 9, 20, 100, 1000}) {
      const JpegOptions options = {.quality = 90, .h = h, .v = h, .restart_interval = interval};
      ExpectFast(Make(301, 131, Photo(301, 131), options), Name(301, 131, options));
    }
  }
}

TEST_P(EachJpegTest, LargerThanItsBuffers) {
  const JpegOptions options = {.quality = 100};
  ExpectFast(Make(1500, 200, Photo(1500, 200), options), Name(1500, 200, options));
}

TEST_P(EachJpegTest, LeavesOddEndsAlone) {
  Bytes file = Make(50, 40, Photo(50, 40), {});
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

TEST_P(EachJpegTest, DamagedBytes) {
  std::mt19937 random(5);
  for (const unsigned interval : {0, 3}) {
    for (int i = 0; i < 3000; ++i) {
      const int width = 5 + static_cast<int>(random() % 40);
      Bytes file = Make(width, 33, Photo(width, 33),
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
  EXPECT_GT(fast_, 600);
  EXPECT_LT(fast_, 6000);
}

// Such as no encoder makes of a picture: sums of 16 bits wrap in libjpeg.
TEST_P(EachJpegTest, WildCoefficients) {
  std::mt19937 random(6);
  for (int i = 0; i < 300; ++i) {
    Bytes file = Make(20 + i, 33, Photo(20 + i, 33), {.quality = 20 + i / 4});
    for (size_t at = 0; at + 1 < file.size(); ++at) {
      if (file[at] != 0xff || file[at + 1] != 0xdb) continue;
      for (size_t k = at + 5; k < at + 69; ++k) {
        if (random() % 8 < 3) file[k] = static_cast<uint8_t>(1 + random() % 255);
      }
    }
    ExpectSame(file, std::to_string(i));
  }
  EXPECT_GT(fast_, 30);
  EXPECT_LT(fast_, 300);
}

TEST_F(FastJpegTest, LeavesOtherKindsAlone) {
  const Bytes photo = Photo(50, 40);
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, photo, {.arithmetic = true})));
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, photo, {.stored = JCS_RGB})));
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, photo, {.h = 4, .v = 1})));
  EXPECT_FALSE(ByUs(MakeJpeg(50, 40, Photo(50, 40, 4), {.in = JCS_CMYK, .stored = JCS_CMYK})));
}

using Scans = std::vector<jpeg_scan_info>;

// One of the ways to send a picture: each scan behind those that it refines, the first ones of the first
// coefficients in front.
Scans RandomScans(int components, std::mt19937* random) {
  const auto any = [&](int most) { return static_cast<int>((*random)() % (most + 1)); };
  const auto add = [](std::vector<int> of, int first, int last, int low, Scans* scans) {
    jpeg_scan_info scan = {.comps_in_scan = static_cast<int>(of.size()),
                           .component_index = {},
                           .Ss = first,
                           .Se = last,
                           .Ah = 0,
                           .Al = low};
    std::copy(of.begin(), of.end(), scan.component_index);
    for (scans->push_back(scan); low > 0; scans->push_back(scan)) {
      scan.Ah = low--;
      scan.Al = low;
    }
  };
  Scans scans;
  std::vector<Scans> chains;
  const bool together = components == 1 || any(2) > 0;
  for (const std::vector<int>& of : together ? std::vector<std::vector<int>>{{0, 1, 2}}
                                             : std::vector<std::vector<int>>{{0}, {1, 2}}) {
    Scans& chain = chains.emplace_back();
    add({of.begin(), of.begin() + std::min<ptrdiff_t>(components, std::ssize(of))}, 0, 0, any(2),
        &chain);
    scans.push_back(chain.front());
    chain.erase(chain.begin());
  }
  std::erase_if(chains, [](const Scans& rest) { return rest.empty(); });
  for (int c = 0; c < components; ++c) {
    for (int first = 1; first < 64;) {
      const int last = any(1) == 0 ? 63 : std::min(63, first + any(20));
      add({c}, first, last, any(3), &chains.emplace_back());
      first = last + 1;
    }
  }
  while (!chains.empty()) {  // in any order
    Scans& chain = chains[static_cast<size_t>(any(static_cast<int>(chains.size()) - 1))];
    scans.push_back(chain.front());
    chain.erase(chain.begin());
    std::erase_if(chains, [](const Scans& rest) { return rest.empty(); });
  }
  return scans;
}

TEST_F(FastJpegTest, OrdersOfScans) {
  std::mt19937 random(8);
  for (int i = 0; i < 400; ++i) {
    const int components = i % 4 == 0 ? 1 : 3;
    const int width = 5 + static_cast<int>(random() % 120);
    JpegOptions options = {
        .progressive = true,
        .quality = 10 + static_cast<int>(random() % 91),
        .h = 1 + i % 2,
        .v = 1 + i / 2 % 2,
        .restart_interval = i % 5 == 0 ? 1 + static_cast<unsigned>(random() % 9) : 0,
        .scans = RandomScans(components, &random)};
    if (components == 1) options.in = options.stored = JCS_GRAYSCALE;
    const Bytes photo = Photo(width, 61, components);
    ExpectFast(MakeJpeg(width, 61, photo, options), Name(width, 61, options));
    // Where bits are missing, libjpeg is asked, which may guess them.
    options.scans.pop_back();
    EXPECT_FALSE(ByUs(MakeJpeg(width, 61, photo, options)));
  }
}

// In the order of the header only, says libjpeg.
TEST_F(FastJpegTest, OrderOfComponents) {
  const Bytes file = MakeJpeg(50, 40, Photo(50, 40), {.progressive = true, .h = 1, .v = 1});
  const Bytes header = {0xff, 0xda, 0, 12, 3, 1, 0, 2, 0, 3, 0, 0, 0, 0x10};  // refines
  const auto at = std::search(file.begin(), file.end(), header.begin(), header.end());
  ASSERT_NE(at, file.end());
  const auto first = at - file.begin() + 5;
  for (std::array<uint8_t, 3> order = {1, 2, 3};
       std::next_permutation(order.begin(), order.end());) {
    Bytes other = file;
    for (int i = 0; i < 3; ++i) other[first + 2 * i] = order[i];
    EXPECT_FALSE(ByLibjpeg(other));
    EXPECT_FALSE(ByUs(other));
  }
}

TEST_F(FastJpegTest, LeavesOtherScansAlone) {
  const Bytes file = MakeJpeg(50, 40, Photo(50, 40), {.progressive = true});
  ASSERT_TRUE(ByUs(file));
  EXPECT_FALSE(ByUs(RepeatLastScan(file, 1))) << "bits that are there already";
  Bytes comment(file.begin(), file.end() - 2);
  comment.insert(comment.end(), {0xff, 0xfe, 0, 2, 0xff, 0xd9});
  EXPECT_FALSE(ByUs(comment));
  EXPECT_TRUE(ByLibjpeg(comment));
}

}  // namespace
}  // namespace pomona
