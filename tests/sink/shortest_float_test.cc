#include "sink/shortest_float.h"

#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <random>
#include <string>
#include <vector>

namespace pomona {
namespace {

std::string Text(float number) {
  char text[kFloatTextRoom];
  return {text, WriteFloat(number, text)};
}

std::string OfTheLibrary(float number) {
  char text[kFloatTextRoom];
  return {text, std::to_chars(text, text + sizeof text, number).ptr};
}

void ExpectTheLibrarys(uint32_t bits) {
  const auto number = std::bit_cast<float>(bits);
  ASSERT_EQ(Text(number), OfTheLibrary(number)) << std::hex << bits;
}

// POMONA_ALL_FLOATS=1: every one of them, in ten minutes.
TEST(ShortestFloatTest, IsTheLibrarys) {
  const uint64_t step = std::getenv("POMONA_ALL_FLOATS") ? 1 : 4799;
  for (uint64_t bits = 0; bits < uint64_t{1} << 32; bits += step) {
    ASSERT_NO_FATAL_FAILURE(ExpectTheLibrarys(static_cast<uint32_t>(bits)));
  }
  for (uint32_t exponent = 0; exponent < 512; ++exponent) {
    for (uint32_t near = 0; near < 200; ++near) {
      ASSERT_NO_FATAL_FAILURE(ExpectTheLibrarys((exponent << 23) + near));
      ASSERT_NO_FATAL_FAILURE(ExpectTheLibrarys((exponent << 23) - near - 1));
    }
  }
}

TEST(ShortestFloatTest, ShortNumbersAreTheLibrarys) {
  for (const double scale : {1.0, 10.0, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 8.0, 64.0}) {
    for (int i = -9999; i < 9999; ++i) {
      const auto number = static_cast<float>(i / scale);
      ASSERT_NO_FATAL_FAILURE(ExpectTheLibrarys(std::bit_cast<uint32_t>(number)));
    }
  }
}

TEST(ShortestFloatTest, SeveralWithZerosAmongThem) {
  std::mt19937 random(3);
  for (const double share : {0.0, 0.4, 0.97, 1.0}) {
    for (const size_t count : {0, 1, 2, 7, 8, 9, 255, 256, 257, 1280}) {
      std::vector<float> numbers(count);
      std::string expected;
      for (float& number : numbers) {
        const auto drawn = static_cast<double>(random()) / std::mt19937::max();
        if (drawn >= share) number = static_cast<float>(drawn * (random() % 2 == 0 ? 6 : -1e-30));
        expected += (expected.empty() ? "" : ",") + OfTheLibrary(number);
      }
      std::vector<char> text(count * kFloatTextRoom);
      ASSERT_EQ(std::string(text.data(), WriteFloats(numbers, text.data())), expected);
    }
  }
}

}  // namespace
}  // namespace pomona
