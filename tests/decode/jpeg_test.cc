#include <gtest/gtest.h>

#include <algorithm>

#include "libjpeg.h"
#include "pictures.h"
#include "pomona/row_sink.h"

namespace pomona {
namespace {

TEST(DecodeJpegTest, ColorSpaces) {
  // Flat colours survive JPEG at quality 100 but for the rounding of YCbCr.
  const Decoded rgb = Decode(MakeJpeg(20, 10, Flat(200, {200, 100, 50}), {.stored = JCS_RGB}));
  EXPECT_EQ(rgb.verdict, "ok");
  EXPECT_EQ(rgb.mode, "RGB");
  EXPECT_EQ(rgb.width, 20);
  EXPECT_EQ(rgb.height, 10);
  EXPECT_EQ(rgb.at(19, 9), (Color{200, 100, 50}));

  const Decoded gray =
      Decode(MakeJpeg(20, 10, Flat(200, {77}), {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE}));
  EXPECT_EQ(gray.mode, "L");
  EXPECT_EQ(gray.at(0, 0), (Color{77, 77, 77}));

  // Pillow: CMYK (255-c, ...) after undoing Adobe's inversion; 255 - k minus its share of ink.
  // Ink left over 200, 100, 0 of paper 255 under black 128: 128 - round((255 - v) * 128 / 255).
  const Decoded cmyk =
      Decode(MakeJpeg(20, 10, Flat(200, {200, 100, 0, 128}), {.in = JCS_CMYK, .stored = JCS_CMYK}));
  EXPECT_EQ(cmyk.mode, "CMYK");
  EXPECT_EQ(cmyk.at(5, 5), (Color{128 - 28, 128 - 78, 0}));
}

TEST(DecodeJpegTest, EveryProcessGivesTheSamePixels) {
  const Bytes samples = Ramp(31, 17);
  const Decoded baseline = Decode(MakeJpeg(31, 17, samples));
  ASSERT_EQ(baseline.verdict, "ok");
  for (const bool progressive : {false, true}) {
    for (const bool arithmetic : {false, true}) {
      const Decoded other =
          Decode(MakeJpeg(31, 17, samples, {.progressive = progressive, .arithmetic = arithmetic}));
      EXPECT_EQ(other.verdict, "ok");
      EXPECT_TRUE(other.rgb == baseline.rgb) << progressive << arithmetic;
    }
  }
}

struct LastRows : RowSink {
  void Begin(int new_width, int new_height) override {
    width = new_width;
    height = new_height;
    rgb.clear();
  }
  void Add(const uint8_t* rows, int count) noexcept override {
    rgb.insert(rgb.end(), rows, rows + 3 * width * count);
  }
  int width = 0, height = 0;
  Bytes rgb;
};

TEST(DecodeJpegTest, ScaledKeepsTheShortestSideThatIsAskedFor) {
  const Bytes file = MakeJpeg(64, 48, Flat(64 * 48, {200, 100, 50}), {.stored = JCS_RGB});
  for (const auto& [side, reduction] :
       {std::pair(0, 1), {25, 1}, {24, 2}, {13, 2}, {12, 4}, {7, 4}, {6, 8}, {1, 8}}) {
    Decoder decoder({}, nullptr, side);
    LastRows rows;
    const auto info = std::get<PictureInfo>(decoder.Decode(file, &rows));
    EXPECT_EQ(info.width, 64);
    EXPECT_EQ(info.height, 48);
    EXPECT_EQ(rows.width, 64 / reduction) << side;
    EXPECT_EQ(rows.height, 48 / reduction) << side;
    EXPECT_EQ(rows.rgb, Flat(rows.width * rows.height, {200, 100, 50}));
    const auto whole = std::get<Picture>(decoder.Decode(file));
    EXPECT_EQ(whole.width, rows.width);
    EXPECT_TRUE(std::ranges::equal(whole.rgb, rows.rgb));
  }
}

TEST(DecodeJpegTest, CutAnywhere) {
  for (const bool progressive : {false, true}) {
    const Bytes file = MakeJpeg(31, 17, Ramp(31, 17), {.progressive = progressive});
    Decoder decoder;
    for (size_t size = 0; size < file.size(); ++size) {
      // A copy of exactly that size, so that a sanitizer sees reading past the end.
      const Bytes cut(file.begin(), file.begin() + size);
      const Decoded result = Decode(&decoder, cut);
      const char* expected = size == 0 ? "empty" : size < 3 ? "corrupt" : "truncated";
      EXPECT_EQ(result.verdict, expected) << size << " of " << file.size();
    }
  }
}

TEST(DecodeJpegTest, TablesDoNotOutliveTheirFile) {
  const Bytes file = MakeJpeg(16, 16, Ramp(16, 16));
  Bytes without = file;  // its quantization tables become comments
  for (size_t i = 0; i + 1 < without.size(); ++i) {
    if (without[i] == 0xff && without[i + 1] == 0xdb) without[i + 1] = 0xfe;
  }
  Decoder decoder;
  EXPECT_EQ(Decode(&decoder, without).verdict, "corrupt");
  EXPECT_EQ(Decode(&decoder, file).verdict, "ok");
  EXPECT_EQ(Decode(&decoder, without).verdict, "corrupt");
}

TEST(DecodeJpegTest, RefusesEndlessScans) {
  const Bytes hostile = RepeatLastScan(MakeJpeg(31, 17, Ramp(31, 17), {.progressive = true}), 200);
  EXPECT_EQ(Decode(hostile).verdict, "too_large");
  EXPECT_EQ(Decode(hostile, {.max_scans = 1000}).verdict, "ok");
  EXPECT_EQ(Decode(hostile, {.max_scans = 1000, .max_scan_pixels = 31 * 17 * 20}).verdict,
            "too_large");
  const Bytes sound = MakeJpeg(31, 17, Ramp(31, 17), {.progressive = true});
  int scans = 0;
  for (size_t i = 0; i + 1 < sound.size(); ++i) scans += sound[i] == 0xff && sound[i + 1] == 0xda;
  EXPECT_EQ(Decode(sound, {.max_scans = scans}).verdict, "ok");
  EXPECT_EQ(Decode(sound, {.max_scans = scans - 1}).verdict, "too_large");
}

TEST(DecodeJpegTest, ArithmeticCodingHasLimitsOfItsOwn) {
  constexpr int64_t kSamples = int64_t{31} * 17 * 3;
  for (const bool arithmetic : {false, true}) {
    const Bytes file = MakeJpeg(31, 17, Ramp(31, 17), {.arithmetic = arithmetic});
    EXPECT_EQ(Decode(file, {.max_arithmetic_samples = kSamples}).verdict, "ok");
    EXPECT_EQ(Decode(file, {.max_arithmetic_samples = kSamples - 1}).verdict,
              arithmetic ? "too_large" : "ok");
  }
}

TEST(DecodeJpegTest, MissingScans) {
  const Bytes file = MakeJpeg(31, 17, Ramp(31, 17), {.progressive = true});
  size_t scan = 0;  // the second one, of the first coefficients of the luma
  int scans = 0;
  for (size_t i = 0; i + 1 < file.size() && scans < 2; ++i) {
    if (file[i] == 0xff && file[i + 1] == 0xda && ++scans == 2) scan = i;
  }
  Bytes early(file.begin(), file.begin() + static_cast<ptrdiff_t>(scan));
  early.insert(early.end(), {0xff, 0xd9});
  EXPECT_EQ(Decode(early).verdict, IsLibjpegTurbo3() ? "ok" : "truncated");
}

TEST(DecodeJpegTest, LimitOfPixels) {
  const Bytes file = MakeJpeg(31, 17, Ramp(31, 17));
  EXPECT_EQ(Decode(file, {.max_pixels = 31 * 17}).verdict, "ok");
  EXPECT_EQ(Decode(file, {.max_pixels = 31 * 17 - 1}).verdict, "too_large");
}

}  // namespace
}  // namespace pomona
