#include "decode/png_rows.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <cstdlib>
#include <random>
#include <vector>

#include "instruction_sets.h"

namespace pomona {
namespace {

using Bytes = std::vector<uint8_t>;

// What the specification says.
Bytes Unfiltered(int filter, int step, const Bytes& row, const Bytes& above) {
  Bytes samples(row.size());
  for (int x = 0; x < static_cast<int>(row.size()); ++x) {
    const int a = x < step ? 0 : samples[x - step];
    const int b = above[x];
    const int c = x < step ? 0 : above[x - step];
    const int p = a + b - c;
    const int pa = std::abs(p - a), pb = std::abs(p - b), pc = std::abs(p - c);
    const int nearest = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
    const int foretold[] = {0, a, b, (a + b) / 2, nearest};
    samples[x] = static_cast<uint8_t>(row[x] + foretold[filter]);
  }
  return samples;
}

class PngRowsTest : public InstructionSetsTest {
 protected:
  Bytes Noise(size_t size) {
    Bytes noise(size);
    const bool extreme = random_() % 2 == 0;
    for (uint8_t& byte : noise)
      byte = static_cast<uint8_t>(extreme ? random_() % 5 - 2 : random_());
    return noise;
  }

  static Bytes Padded(Bytes row) {
    row.resize(row.size() + kPngRowPadding, 0xaa);
    return row;
  }
  std::mt19937 random_{3};
};

TEST_F(PngRowsTest, EveryFilter) {
  for (const int step : {1, 2, 3, 4, 6, 8}) {
    for (int pixels = 1; pixels <= 70; ++pixels) {
      for (int filter = 0; filter <= 4; ++filter) {
        const size_t size = static_cast<size_t>(step) * static_cast<size_t>(pixels);
        const Bytes row = Noise(size);
        const Bytes above = Noise(size);
        const Bytes expected = Unfiltered(filter, step, row, above);
        for (const int64_t target : targets_) {
          Use(target);
          Bytes out(size + kPngRowPadding);
          UndoPngFilter(filter, step, Padded(row).data(), Padded(above).data(), size, out.data());
          out.resize(size);
          EXPECT_TRUE(out == expected) << hwy::TargetName(target) << ": filter " << filter << ", "
                                       << pixels << " pixels of " << step << " bytes";
        }
      }
    }
  }
}

TEST_F(PngRowsTest, EveryPixelOfThree) {
  // All that a prediction can depend on: what is before, above, and above that.
  Bytes row, above;
  for (int a = 0; a < 256; a += 5) {
    for (int b = 0; b < 256; b += 5) {
      for (int c = 0; c < 256; c += 5) {
        // The first pixel is a where c is above it; the second one gets 1 more than foretold.
        row.push_back(static_cast<uint8_t>(a - c));
        row.push_back(1);
        above.push_back(static_cast<uint8_t>(c));
        above.push_back(static_cast<uint8_t>(b));
        for (int filter = 3; filter <= 4; ++filter) {
          Bytes one_row = row;
          if (filter == 3) one_row[0] = static_cast<uint8_t>(a - c / 2);
          const Bytes expected = Unfiltered(filter, 1, one_row, above);
          ASSERT_EQ(expected[0], a);
          Bytes out(2 + kPngRowPadding);
          UndoPngFilter(filter, 1, Padded(one_row).data(), Padded(above).data(), 2, out.data());
          ASSERT_EQ(out[1], expected[1]) << filter << ": " << a << " " << b << " " << c;
        }
        row.clear();
        above.clear();
      }
    }
  }
}

TEST_F(PngRowsTest, PickColors) {
  for (const size_t step : {1, 2, 3, 4, 6, 8}) {
    for (size_t width = 1; width <= 40; ++width) {
      const Bytes samples = Noise(step * width);
      const std::array<uint8_t, 3> bytes = {static_cast<uint8_t>(random_() % step),
                                            static_cast<uint8_t>(random_() % step),
                                            static_cast<uint8_t>(random_() % step)};
      Bytes expected;
      for (size_t x = 0; x < width; ++x) {
        for (const uint8_t byte : bytes) expected.push_back(samples[x * step + byte]);
      }
      for (const int64_t target : targets_) {
        Use(target);
        Bytes rgb(3 * width);
        PickColors(Padded(samples).data(), step, bytes, width, rgb.data());
        EXPECT_TRUE(rgb == expected) << hwy::TargetName(target) << ": " << width << " of " << step;
      }
    }
  }
}

}  // namespace
}  // namespace pomona
