#include "report/packed.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <cmath>
#include <cstring>

#include "base64.h"

namespace pomona {
namespace {

Bytes Inflated(std::span<const uint8_t> bytes, size_t size) {
  Bytes out(size);
  uLongf length = size;
  EXPECT_EQ(uncompress(out.data(), &length, bytes.data(), bytes.size()), Z_OK);
  EXPECT_EQ(length, size);
  return out;
}

Bytes BytesOf(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Base64, IsThatOfRfc4648) {
  EXPECT_EQ(Base64(BytesOf("")), "");
  EXPECT_EQ(Base64(BytesOf("f")), "Zg==");
  EXPECT_EQ(Base64(BytesOf("ba")), "YmE=");
  EXPECT_EQ(Base64(BytesOf("foo")), "Zm9v");
  EXPECT_EQ(Base64(BytesOf("foobar")), "Zm9vYmFy");
  EXPECT_EQ(Base64(Bytes{0xFF, 0xEF, 0xBE}), "/+++");
}

TEST(Packed, FloatsStayAsTheyAre) {
  const std::vector<float> values = {1.5f, -0.0f, 3e38f};
  const PackedArray packed = PackFloats(values);
  EXPECT_EQ(packed.how.dump(), R"({"type":"float32"})");
  ASSERT_EQ(packed.bytes.size(), 12u);
  EXPECT_EQ(std::memcmp(packed.bytes.data(), values.data(), 12), 0);
}

// As base.js unpacks them.
std::vector<double> Unpacked(const PackedArray& packed, size_t count) {
  const size_t deflated = packed.how["deflated"];
  const double low = packed.how["low"], step = packed.how["step"];
  const Bytes upper = Inflated(std::span(packed.bytes).first(deflated), count);
  const auto lower = std::span(packed.bytes).subspan(deflated);
  std::vector<double> values;
  for (size_t i = 0; i < count; ++i) {
    values.push_back(low + (upper[i] << 2 | (lower[i / 4] >> 2 * (i % 4) & 3)) * step);
  }
  return values;
}

TEST(Packed, StepsAreRightToHalfAStep) {
  std::vector<float> values;
  for (int i = 0; i < 1001; ++i) values.push_back(std::sin(static_cast<float>(i)) * 7 - 2);
  const PackedArray packed = PackSteps(values);
  const std::vector<double> unpacked = Unpacked(packed, values.size());
  const double step = packed.how["step"];
  EXPECT_NEAR(step, 14.0 / 1023, 1e-4);
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_LE(std::abs(unpacked[i] - values[i]), 0.5001 * step) << i;
  }
}

TEST(Packed, StepsOfOneValueAndOfNone) {
  EXPECT_EQ(Unpacked(PackSteps(std::vector<float>{4, 4, 4}), 3), (std::vector<double>{4, 4, 4}));
  EXPECT_EQ(Unpacked(PackSteps({}), 0), std::vector<double>());
}

TEST(Packed, IndicesOfNeighboursTakeNoRoom) {
  const std::vector<uint16_t> values(100'000, 4321);
  const PackedArray packed = PackIndices(values);
  EXPECT_LT(packed.bytes.size(), 1000u);
  const Bytes inflated = Inflated(packed.bytes, values.size() * 2);
  EXPECT_EQ(std::memcmp(inflated.data(), values.data(), inflated.size()), 0);
}

TEST(Packed, WhatIsAddedPieceByPieceIsOneStream) {
  Deflater deflater(Deflater::Content::kText);
  std::string text;
  for (int i = 0; i < 20'000; ++i) {
    const std::string piece = "/tree/label/" + std::to_string(i) + '\n';
    deflater.Add(piece);
    text += piece;
  }
  const Bytes inflated = Inflated(deflater.Finish(), text.size());
  EXPECT_EQ(std::string(inflated.begin(), inflated.end()), text);
}

}  // namespace
}  // namespace pomona
