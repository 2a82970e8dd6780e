#include <gtest/gtest.h>
#include <zlib.h>

#include <cstring>
#include <string>
#include <string_view>

#include "pictures.h"

namespace pomona {
namespace {

TEST(DecodePngTest, Gray) {
  const Decoded one = Decode(MakePng(8, 1, 1, PNG_COLOR_TYPE_GRAY, {0b10100000}));
  EXPECT_EQ(one.mode, "1");
  EXPECT_EQ(one.at(0, 0), (Color{255, 255, 255}));
  EXPECT_EQ(one.at(1, 0), (Color{0, 0, 0}));

  const Decoded two = Decode(MakePng(4, 1, 2, PNG_COLOR_TYPE_GRAY, {0b00011011}));
  EXPECT_EQ(two.mode, "L");
  EXPECT_EQ(two.at(1, 0), (Color{85, 85, 85}));
  EXPECT_EQ(two.at(2, 0), (Color{170, 170, 170}));

  const Decoded four = Decode(MakePng(2, 1, 4, PNG_COLOR_TYPE_GRAY, {0x3f}));
  EXPECT_EQ(four.at(0, 0), (Color{51, 51, 51}));

  // 16 bits of gray clip at 255; with alpha they lose their lower half. Both as in Pillow.
  const Decoded sixteen = Decode(MakePng(2, 1, 16, PNG_COLOR_TYPE_GRAY, {0, 200, 1, 7}));
  EXPECT_EQ(sixteen.mode, "I;16");
  EXPECT_EQ(sixteen.at(0, 0), (Color{200, 200, 200}));
  EXPECT_EQ(sixteen.at(1, 0), (Color{255, 255, 255}));

  const Decoded alpha = Decode(MakePng(1, 1, 16, PNG_COLOR_TYPE_GRAY_ALPHA, {9, 200, 0, 0}));
  EXPECT_EQ(alpha.mode, "RGBA");
  EXPECT_EQ(alpha.at(0, 0), (Color{9, 9, 9}));

  EXPECT_EQ(Decode(MakePng(1, 1, 8, PNG_COLOR_TYPE_GRAY_ALPHA, {9, 0})).mode, "LA");
}

TEST(DecodePngTest, Color) {
  const Decoded rgb = Decode(MakePng(2, 1, 8, PNG_COLOR_TYPE_RGB, {1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(rgb.mode, "RGB");
  EXPECT_EQ(rgb.at(1, 0), (Color{4, 5, 6}));

  // Alpha is dropped, not blended.
  const Decoded rgba = Decode(MakePng(1, 1, 8, PNG_COLOR_TYPE_RGB_ALPHA, {1, 2, 3, 0}));
  EXPECT_EQ(rgba.mode, "RGBA");
  EXPECT_EQ(rgba.at(0, 0), (Color{1, 2, 3}));

  const Decoded wide = Decode(MakePng(1, 1, 16, PNG_COLOR_TYPE_RGB, {1, 255, 2, 255, 3, 255}));
  EXPECT_EQ(wide.mode, "RGB");
  EXPECT_EQ(wide.at(0, 0), (Color{1, 2, 3}));
}

TEST(DecodePngTest, Palette) {
  const PngOptions options = {.palette = {{10, 20, 30}, {40, 50, 60}}, .alphas = {0}};
  const Decoded indexed = Decode(MakePng(4, 1, 2, PNG_COLOR_TYPE_PALETTE, {0b00011011}, options));
  EXPECT_EQ(indexed.mode, "P");
  EXPECT_EQ(indexed.at(0, 0), (Color{10, 20, 30}));
  EXPECT_EQ(indexed.at(1, 0), (Color{40, 50, 60}));
  EXPECT_EQ(indexed.at(2, 0), (Color{0, 0, 0}));  // beyond the palette, as Pillow has it
  EXPECT_EQ(indexed.at(3, 0), (Color{0, 0, 0}));
}

TEST(DecodePngTest, InterlacedAtEverySize) {
  Decoder decoder;
  for (int width = 1; width <= 17; ++width) {
    for (int height = 1; height <= 17; ++height) {
      const Bytes rows = Ramp(width, height);
      const Bytes file = MakePng(width, height, 8, PNG_COLOR_TYPE_RGB, rows, {.interlaced = true});
      EXPECT_TRUE(Decode(&decoder, file).rgb == rows) << width << "x" << height;
      const Bytes cut(file.begin(), file.end() - 20);  // into the last bytes of the data
      EXPECT_EQ(Decode(&decoder, cut).verdict, "truncated");
    }
  }
  const Decoded bits =
      Decode(MakePng(9, 1, 1, PNG_COLOR_TYPE_GRAY, {0b10110000, 0x80}, {.interlaced = true}));
  std::string row;
  for (int x = 0; x < 9; ++x) row += bits.at(x, 0)[0] != 0 ? '1' : '0';
  EXPECT_EQ(row, "101100001");
}

TEST(DecodePngTest, CutAnywhere) {
  for (const bool interlaced : {false, true}) {
    const Bytes rows = Ramp(15, 9);
    const Bytes file = MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, rows, {.interlaced = interlaced});
    constexpr size_t kEnd = 12;      // the IEND chunk
    constexpr size_t kChecksum = 4;  // of the data
    Decoder decoder;
    for (size_t size = 8; size < file.size(); ++size) {
      const Bytes cut(file.begin(), file.begin() + size);
      const Decoded result = Decode(&decoder, cut);
      if (size + kChecksum + kEnd < file.size()) {
        EXPECT_EQ(result.verdict, "truncated") << size << " of " << file.size();
      } else {
        EXPECT_EQ(result.verdict, "ok");  // the picture is whole, and Pillow accepts it
        EXPECT_TRUE(result.rgb == rows);
      }
    }
  }
}

// Offset of the chunk's length.
size_t FindChunk(const Bytes& file, const char* type) {
  size_t at = 8;
  while (std::memcmp(&file[at + 4], type, 4) != 0) {
    at += 12 + (file[at] << 24 | file[at + 1] << 16 | file[at + 2] << 8 | file[at + 3]);
  }
  return at;
}

TEST(DecodePngTest, ChecksumsCountAsInPillow) {
  const Bytes rows = Ramp(15, 9);
  const Bytes file = MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, rows);
  Bytes header = file;
  header[FindChunk(file, "IDAT") - 1] ^= 1;  // checksum of IHDR
  EXPECT_EQ(Decode(header).verdict, "corrupt");
  Bytes data = file;
  data[FindChunk(file, "IEND") - 1] ^= 1;  // checksum of IDAT
  EXPECT_EQ(Decode(data).verdict, "ok");
  Bytes stream = file;
  stream[FindChunk(file, "IEND") - 5] ^= 1;  // checksum within the compressed data
  EXPECT_EQ(Decode(stream).verdict, "corrupt");
}

// A chunk in front of the picture's data.
Bytes WithChunk(const Bytes& file, std::string_view type_and_data, int times = 1) {
  Bytes chunk = ToBytes(type_and_data);
  const auto checksum = crc32(0, chunk.data(), static_cast<uInt>(chunk.size()));
  for (int shift = 24; shift >= 0; shift -= 8) chunk.push_back(checksum >> shift & 255);
  const size_t length = type_and_data.size() - 4;
  for (int shift = 0; shift <= 24; shift += 8) chunk.insert(chunk.begin(), length >> shift & 255);
  Bytes result = file;
  for (int i = 0; i < times; ++i) {
    result.insert(result.begin() + static_cast<ptrdiff_t>(FindChunk(file, "IDAT")), chunk.begin(),
                  chunk.end());
  }
  return result;
}

// A chunk of compressed text, which expands to so many zeros, in front of the picture.
Bytes WithText(const Bytes& file, size_t zeros, int times = 1) {
  const Bytes text(zeros);
  Bytes compressed(compressBound(zeros));
  uLongf size = compressed.size();
  EXPECT_EQ(compress(compressed.data(), &size, text.data(), zeros), Z_OK);
  std::string chunk("zTXtComment\0\0", 13);
  chunk.append(compressed.begin(), compressed.begin() + static_cast<ptrdiff_t>(size));
  return WithChunk(file, chunk, times);
}

TEST(DecodePngTest, LimitsOfText) {
  const Bytes rows = Ramp(15, 9);
  const Bytes file = MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, rows);
  constexpr size_t kMebibyte = 1 << 20;
  EXPECT_TRUE(Decode(WithText(file, kMebibyte - 1)).rgb == rows);
  EXPECT_EQ(Decode(WithText(file, kMebibyte + 1)).verdict, "too_large");
  EXPECT_EQ(Decode(WithText(file, kMebibyte / 2, 128)).verdict, "ok");
  EXPECT_EQ(Decode(WithText(file, kMebibyte / 2, 129)).verdict, "too_large");
}

TEST(DecodePngTest, ForeignChunks) {
  const Bytes rows = Ramp(15, 9);
  const Bytes file = MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, rows);
  EXPECT_TRUE(Decode(WithChunk(file, "abCd1234")).rgb == rows);
  for (const std::string type : {"gAmA", "ab1d", "a_CD", "1bCd"}) {
    Bytes odd = WithChunk(file, type + "1234");
    EXPECT_TRUE(Decode(odd).rgb == rows) << type;
    Bytes interlaced =
        WithChunk(MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, rows, {.interlaced = true}), type + "1234");
    EXPECT_TRUE(Decode(interlaced).rgb == rows) << type;
    for (Bytes* wrong : {&odd, &interlaced}) {
      (*wrong)[FindChunk(*wrong, "IDAT") - 1] ^= 1;  // of its checksum
      EXPECT_EQ(Decode(*wrong).verdict, "corrupt") << type;
    }
  }
  EXPECT_EQ(Decode(WithChunk(file, "CgBI1234")).verdict, "unsupported_format");
  EXPECT_EQ(Decode(WithChunk(file, "ABCD1234")).verdict, "unsupported_format");
  // Frames of an animation: the first may come with the picture, others only after it.
  const std::string control(
      "fcTL\0\0\0\0\0\0\0\x0f\0\0\0\x09"
      "\0\0\0\0\0\0\0\0\0\1\0\1\0\0",
      30);
  EXPECT_TRUE(Decode(WithChunk(file, control)).rgb == rows);
  EXPECT_EQ(Decode(WithChunk(file, control, 2)).verdict, "corrupt");
  for (const size_t at : {7, 11, 15, 19, 23}) {  // the number, width, height, x, y
    std::string other = control;
    other[at] ^= 1;
    EXPECT_EQ(Decode(WithChunk(file, other)).verdict, "corrupt") << at;
  }
  EXPECT_EQ(Decode(WithChunk(file, control.substr(0, 29))).verdict, "corrupt");
  EXPECT_EQ(Decode(WithChunk(file, std::string_view("fdAT\0\0\0\1data", 12))).verdict, "corrupt");
}

TEST(DecodePngTest, LimitOfPixels) {
  const Bytes file = MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, Ramp(15, 9));
  EXPECT_EQ(Decode(file, {.max_pixels = 15 * 9}).verdict, "ok");
  EXPECT_EQ(Decode(file, {.max_pixels = 15 * 9 - 1}).verdict, "too_large");
}

}  // namespace
}  // namespace pomona
