#include "pomona/decode.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <png.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <new>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace pomona {
namespace {

using Bytes = std::vector<uint8_t>;
using Color = std::array<int, 3>;

// A picture whose pixels, or a reject whose reason, are then compared.
struct Decoded {
  std::string verdict = {};  // "ok" or the name of the reason
  std::string mode = {};
  int width = 0;
  int height = 0;
  Bytes rgb = {};

  Color at(int x, int y) const {
    const uint8_t* p = &rgb[size_t{3} * (y * width + x)];
    return {p[0], p[1], p[2]};
  }
};

Decoded Decode(Decoder* decoder, std::span<const uint8_t> file) {
  const auto result = decoder->Decode(file);
  if (const Reject* reject = std::get_if<Reject>(&result)) {
    EXPECT_EQ(reject->stage, Stage::kDecode);
    EXPECT_FALSE(reject->message.empty());
    return {.verdict = std::string(ReasonName(reject->reason))};
  }
  const Picture& picture = std::get<Picture>(result);
  EXPECT_EQ(picture.rgb.size(), size_t{3} * picture.width * picture.height);
  return {"ok", std::string(picture.mode), picture.width, picture.height,
          Bytes(picture.rgb.begin(), picture.rgb.end())};
}

Decoded Decode(std::span<const uint8_t> file, const DecodeLimits& limits = {}) {
  Decoder decoder(limits);
  return Decode(&decoder, file);
}

Bytes ToBytes(std::string_view text) { return Bytes(text.begin(), text.end()); }

// --- JPEG ---

struct JpegOptions {
  J_COLOR_SPACE in = JCS_RGB;
  J_COLOR_SPACE stored = JCS_YCbCr;
  bool progressive = false;
  bool arithmetic = false;
};

// samples: height x width x components.
Bytes MakeJpeg(int width, int height, const Bytes& samples, const JpegOptions& options = {}) {
  jpeg_compress_struct cinfo;
  jpeg_error_mgr errors;
  cinfo.err = jpeg_std_error(&errors);
  jpeg_create_compress(&cinfo);
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&cinfo, &buffer, &size);
  cinfo.image_width = width;
  cinfo.image_height = height;
  cinfo.input_components = static_cast<int>(samples.size() / (size_t{1} * width * height));
  cinfo.in_color_space = options.in;
  jpeg_set_defaults(&cinfo);
  jpeg_set_colorspace(&cinfo, options.stored);
  jpeg_set_quality(&cinfo, 100, TRUE);
  cinfo.arith_code = options.arithmetic;
  if (options.progressive) jpeg_simple_progression(&cinfo);
  jpeg_start_compress(&cinfo, TRUE);
  while (cinfo.next_scanline < cinfo.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(
        &samples[size_t{cinfo.next_scanline} * width * cinfo.input_components]);
    jpeg_write_scanlines(&cinfo, &row, 1);
  }
  jpeg_finish_compress(&cinfo);
  jpeg_destroy_compress(&cinfo);
  Bytes file(buffer, buffer + size);
  std::free(buffer);
  return file;
}

Bytes Flat(int pixels, const Bytes& sample) {
  Bytes samples;
  for (int i = 0; i < pixels; ++i) samples.insert(samples.end(), sample.begin(), sample.end());
  return samples;
}

Bytes Ramp(int width, int height) {
  Bytes samples;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (const int value : {x * 8, y * 8, 255 - x * 8}) samples.push_back(value & 255);
    }
  }
  return samples;
}

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

// With the last scan of a progressive file, which refines what is there already, once more and
// more.
Bytes RepeatLastScan(const Bytes& file, int times) {
  size_t scan = 0;
  for (size_t i = 0; i + 1 < file.size(); ++i) {
    if (file[i] == 0xff && file[i + 1] == 0xda) scan = i;
  }
  Bytes longer(file.begin(), file.end() - 2);
  for (int i = 0; i < times; ++i) longer.insert(longer.end(), file.begin() + scan, file.end() - 2);
  longer.insert(longer.end(), file.end() - 2, file.end());
  return longer;
}

TEST(DecodeJpegTest, RefusesEndlessScans) {
  const Bytes hostile = RepeatLastScan(MakeJpeg(31, 17, Ramp(31, 17), {.progressive = true}), 200);
  EXPECT_EQ(Decode(hostile).verdict, "too_large");
  EXPECT_EQ(Decode(hostile, {.max_scans = 1000}).verdict, "ok");
  EXPECT_EQ(Decode(hostile, {.max_scans = 1000, .max_scan_pixels = 31 * 17 * 20}).verdict,
            "too_large");
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
  EXPECT_EQ(Decode(early).verdict, "truncated");
}

TEST(DecodeJpegTest, LimitOfPixels) {
  const Bytes file = MakeJpeg(31, 17, Ramp(31, 17));
  EXPECT_EQ(Decode(file, {.max_pixels = 31 * 17}).verdict, "ok");
  EXPECT_EQ(Decode(file, {.max_pixels = 31 * 17 - 1}).verdict, "too_large");
}

// --- PNG ---

struct PngOptions {
  bool interlaced = false;
  std::vector<png_color> palette = {};
  Bytes alphas = {};  // tRNS of the palette
};

// rows: packed as PNG wants them, one after the other.
Bytes MakePng(int width, int height, int bit_depth, int color_type, const Bytes& rows,
              const PngOptions& options = {}) {
  Bytes file;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &file,
      [](png_structp self, png_bytep data, size_t size) {
        Bytes* out = static_cast<Bytes*>(png_get_io_ptr(self));
        out->insert(out->end(), data, data + size);
      },
      nullptr);
  png_set_IHDR(png, info, width, height, bit_depth, color_type,
               options.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
  if (!options.palette.empty()) {
    png_set_PLTE(png, info, options.palette.data(), static_cast<int>(options.palette.size()));
  }
  if (!options.alphas.empty()) {
    png_set_tRNS(png, info, options.alphas.data(), static_cast<int>(options.alphas.size()),
                 nullptr);
  }
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (int y = 0; y < height; ++y) {
    pointers.push_back(const_cast<png_bytep>(&rows[rows.size() / height * y]));
  }
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return file;
}

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
  EXPECT_EQ(Decode(WithChunk(file, "CgBI1234")).verdict, "unsupported_format");
  EXPECT_EQ(Decode(WithChunk(file, "ABCD1234")).verdict, "unsupported_format");
  // Frames of an animation: the first may come with the picture, others only after it.
  const std::string control(
      "fcTL\0\0\0\0\0\0\0\x0f\0\0\0\x09"
      "\0\0\0\0\0\0\0\0\0\1\0\1\0\0",
      30);
  EXPECT_TRUE(Decode(WithChunk(file, control)).rgb == rows);
  EXPECT_EQ(Decode(WithChunk(file, control, 2)).verdict, "corrupt");
  EXPECT_EQ(Decode(WithChunk(file, std::string_view("fdAT\0\0\0\1data", 12))).verdict, "corrupt");
}

TEST(DecodePngTest, LimitOfPixels) {
  const Bytes file = MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, Ramp(15, 9));
  EXPECT_EQ(Decode(file, {.max_pixels = 15 * 9}).verdict, "ok");
  EXPECT_EQ(Decode(file, {.max_pixels = 15 * 9 - 1}).verdict, "too_large");
}

// --- TIFF ---

// A gray picture 32 pixels wide in strips of `rows` rows, which are all the same JPEG.
Bytes MakeTiff(const Bytes& jpeg, int rows, int strips) {
  Bytes file = {'I', 'I', '*', 0};
  const auto append = [&](size_t value, int bytes) {
    for (; bytes > 0; --bytes, value >>= 8) file.push_back(value & 255);
  };
  const size_t offsets_at = 8 + jpeg.size();
  const size_t sizes_at = offsets_at + size_t{4} * strips;
  append(sizes_at + size_t{4} * strips, 4);
  file.insert(file.end(), jpeg.begin(), jpeg.end());
  for (int i = 0; i < strips; ++i) append(8, 4);
  for (int i = 0; i < strips; ++i) append(jpeg.size(), 4);
  const bool one = strips == 1;  // a single value stands in its entry
  const std::array<std::array<size_t, 3>, 8> entries = {
      {{256, 1, 32},
       {257, 1, size_t{1} * rows * strips},
       {258, 1, 8},
       {259, 1, 7},
       {262, 1, 1},
       {273, size_t(strips), one ? 8 : offsets_at},
       {278, 1, size_t(rows)},
       {279, size_t(strips), one ? jpeg.size() : sizes_at}}};
  append(entries.size(), 2);
  for (const auto& [tag, count, value] : entries) {
    append(tag, 2);
    append(4, 2);  // numbers of 32 bits
    append(count, 4);
    append(value, 4);
  }
  append(0, 4);
  return file;
}

TEST(DecodeTiffTest, RefusesEndlessScans) {
  const Bytes jpeg =
      RepeatLastScan(MakeJpeg(32, 16, Flat(32 * 16, {77}),
                              {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = true}),
                     40);
  int scans = 0;
  for (size_t i = 0; i + 1 < jpeg.size(); ++i) scans += jpeg[i] == 0xff && jpeg[i + 1] == 0xda;
  const int64_t scan_pixels = int64_t{scans} * 32 * 16;
  const Bytes ten = MakeTiff(jpeg, 16, 10);
  EXPECT_EQ(Decode(ten).at(31, 159), (Color{77, 77, 77}));
  EXPECT_EQ(Decode(ten, {.max_scans = scans}).verdict, "ok");
  EXPECT_EQ(Decode(ten, {.max_scans = scans - 1}).verdict, "too_large");
  EXPECT_EQ(Decode(ten, {.max_scan_pixels = 10 * scan_pixels}).verdict, "ok");
  EXPECT_EQ(Decode(ten, {.max_scan_pixels = 10 * scan_pixels - 1}).verdict, "too_large");
  EXPECT_EQ(Decode(ten, {.max_arithmetic_samples = 1}).verdict, "ok");
  // The JPEG goes on below the picture.
  const Bytes half = MakeTiff(jpeg, 8, 1);
  EXPECT_EQ(Decode(half).at(31, 7), (Color{77, 77, 77}));
  EXPECT_EQ(Decode(half, {.max_scan_pixels = scan_pixels}).verdict, "ok");
  EXPECT_EQ(Decode(half, {.max_scan_pixels = scan_pixels - 1}).verdict, "too_large");
  const Bytes arithmetic =
      MakeTiff(MakeJpeg(32, 16, Flat(32 * 16, {77}),
                        {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .arithmetic = true}),
               16, 2);
  EXPECT_EQ(Decode(arithmetic, {.max_arithmetic_samples = 2 * 32 * 16}).verdict, "ok");
  EXPECT_EQ(Decode(arithmetic, {.max_arithmetic_samples = 2 * 32 * 16 - 1}).verdict, "too_large");
}

struct TiffTag {
  int tag;
  int type;
  uint32_t count;
  uint32_t value;
};

// One strip, `data`, whose tags 273 and 279 are added to the others.
Bytes MakeTiff(std::vector<TiffTag> tags, const Bytes& data) {
  Bytes file = {'I', 'I', '*', 0};
  const auto append = [&](size_t value, int bytes) {
    for (; bytes > 0; --bytes, value >>= 8) file.push_back(value & 255);
  };
  append(8 + data.size(), 4);
  file.insert(file.end(), data.begin(), data.end());
  tags.push_back({273, 4, 1, 8});
  tags.push_back({279, 4, 1, static_cast<uint32_t>(data.size())});
  std::sort(tags.begin(), tags.end(), [](auto& a, auto& b) { return a.tag < b.tag; });
  append(tags.size(), 2);
  for (const TiffTag& tag : tags) {
    append(tag.tag, 2);
    append(tag.type, 2);
    append(tag.count, 4);
    append(tag.value, 4);
  }
  append(0, 4);
  return file;
}

constexpr int kShort = 3;

TEST(DecodeTiffTest, FaxDataThatEndBeforeTheRowsDo) {
  // Group 4: a bit for each white row, then the end of the block, two of its words of 12 bits.
  const auto rows = [](uint32_t height) {
    return Decode(MakeTiff(
        {{256, kShort, 1, 13}, {257, kShort, 1, height}, {259, kShort, 1, 4}, {262, kShort, 1, 0}},
        {0xf0, 0x01, 0x00, 0x10}));
  };
  EXPECT_EQ(rows(4).verdict, "ok");
  EXPECT_EQ(rows(4).rgb, Bytes(13 * 4 * 3, 255));
  // libtiff, and so Pillow, takes the end itself for one more row, which is white.
  EXPECT_EQ(rows(6).verdict, "truncated");
  EXPECT_EQ(rows(60).verdict, "truncated");
  // Group 3: the same row by row, each the word for 13 white pixels.
  const Bytes group3 = {0b00001100, 0b00110000, 0b11000000};
  for (const uint32_t height : {4u, 60u}) {
    EXPECT_EQ(Decode(MakeTiff({{256, kShort, 1, 13},
                               {257, kShort, 1, height},
                               {259, kShort, 1, 2},
                               {262, kShort, 1, 0}},
                              group3))
                  .verdict,
              "truncated");
  }
}

TEST(DecodeTiffTest, TagsOfTypesThatAreNotTheirs) {
  const auto decode = [](int tag, int type, uint32_t count) {
    std::vector<TiffTag> tags = {{256, kShort, 1, 2}, {257, kShort, 1, 1}, {258, kShort, 1, 8},
                                 {259, kShort, 1, 1}, {262, kShort, 1, 1}, {339, kShort, 1, 1}};
    for (TiffTag& t : tags) {
      if (t.tag != tag) continue;
      t.type = type;
      t.count = count;
    }
    return Decode(MakeTiff(tags, {7, 8}));
  };
  for (const int tag : {258, 259, 262, 339}) {
    EXPECT_EQ(decode(tag, 3, 1).verdict, "ok") << tag;
    EXPECT_EQ(decode(tag, 4, 1).verdict, "ok") << tag;
    for (const int type : {1, 2, 6, 7, 8, 9, 11}) {
      EXPECT_EQ(decode(tag, type, 1).verdict, "corrupt") << tag << " of type " << type;
    }
    EXPECT_EQ(decode(tag, 3, 0).verdict, "corrupt") << tag;
  }
}

TEST(DecodeTiffTest, TagsThatLeaveThePixelsAlone) {
  Bytes packed(64);
  uLongf size = packed.size();
  const Bytes pixels = {7, 8};
  ASSERT_EQ(compress(packed.data(), &size, pixels.data(), pixels.size()), Z_OK);
  packed.resize(size);
  for (const auto& [tag, value] : {std::pair(274, 0), {274, 9}, {296, 7}}) {
    const Decoded decoded = Decode(MakeTiff({{256, kShort, 1, 2},
                                             {257, kShort, 1, 1},
                                             {258, kShort, 1, 8},
                                             {259, kShort, 1, 8},
                                             {262, kShort, 1, 1},
                                             {tag, kShort, 1, static_cast<uint32_t>(value)}},
                                            packed));
    EXPECT_EQ(decoded.verdict, "ok") << tag;
    EXPECT_EQ(decoded.rgb, (Bytes{7, 7, 7, 8, 8, 8})) << tag;
  }
}

TEST(DecodeTiffTest, YcbcrDataBeyondTheRows) {
  Bytes packed(1000);
  uLongf size = packed.size();
  Bytes pixels;  // 33 rows of which one counts
  for (int i = 0; i < 4 * 33; ++i) pixels.insert(pixels.end(), {200, 128, 128});
  ASSERT_EQ(compress(packed.data(), &size, pixels.data(), pixels.size()), Z_OK);
  packed.resize(size);
  const auto decode = [&](int subsampling_count) {
    return Decode(MakeTiff({{256, kShort, 1, 4},
                            {257, kShort, 1, 1},
                            {258, kShort, 1, 8},
                            {259, kShort, 1, 8},
                            {262, kShort, 1, 6},
                            {277, kShort, 1, 3},
                            {278, kShort, 1, 33},
                            {530, kShort, static_cast<uint32_t>(subsampling_count), 1 | 1 << 16}},
                           packed));
  };
  EXPECT_EQ(decode(2).verdict, "ok");
  EXPECT_EQ(decode(2).rgb, Bytes(4 * 3, 200));
  for (const int count : {0, 1, 3}) EXPECT_EQ(decode(count).verdict, "corrupt") << count;
}

// --- Anything ---

TEST(DecodeTest, NoImage) {
  EXPECT_EQ(Decode({}).verdict, "empty");
  EXPECT_EQ(Decode(ToBytes("hello")).verdict, "corrupt");
  EXPECT_EQ(Decode(ToBytes("qoif")).verdict, "unsupported_format");
}

TEST(DecodeTest, HeadersAloneAreTruncated) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view text :
       {"GIF89a"sv, "GIF89a\1\0\1\0\0\0\0"sv, "RIFF\x30\0\0\0WEBPVP8 "sv, "P6 1 1 255\n"sv,
        "P2 2 2"sv, "II*\0\x08\0\0\0"sv, "BM............\x28\0\0\0"sv}) {
    EXPECT_EQ(Decode(ToBytes(text)).verdict, "truncated") << text;
  }
}

// The formats whose files are easily written by hand; the others are compared with Pillow's.
TEST(DecodeTest, CutAnywhere) {
  using std::string_view_literals::operator""sv;
  constexpr std::string_view kGif =
      "GIF89a\2\0\2\0\x80\0\0\1\2\3\4\5\6,\0\0\0\0\2\0\2\0\0\2\3\x44\2\5\0;"sv;
  constexpr std::string_view kBmp =
      "BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\2\0\0\0\1\0\0\0\1\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
      "\0\0\0"
      "\0\0\0\0\0\0\0\6\5\4\3\2\1"sv;
  constexpr std::string_view kTiff =
      "II*"
      "\0\x0e\0\0\0\1\2\3\4\5\6\5\0\0\1\3\0\1\0\0\0\2\0\0\0\1\1\3\0\1\0\0\0\1\0\0\0\2\1\3\0\1\0\0\0"
      "\x08\0\0\0\6\1\3\0\1\0\0\0\1\0\0\0\x11\1\4\0\1\0\0\0\x50\0\0\0\0\0\0\0\7\x08"sv;
  Decoder decoder;
  for (const std::string_view text : {kGif, kBmp, kTiff, "P6\n2 1\n255\n\1\2\3\4\5\6"sv}) {
    const Bytes file = ToBytes(text);
    EXPECT_EQ(Decode(&decoder, file).verdict, "ok") << text;
    const size_t needed = text == kGif ? file.size() - 2 : file.size();
    for (size_t size = 0; size < needed; ++size) {
      EXPECT_NE(Decode(&decoder, Bytes(file.begin(), file.begin() + size)).verdict, "ok") << size;
    }
  }
  const Decoded bmp = Decode(ToBytes(kBmp));
  EXPECT_EQ(bmp.at(0, 0), (Color{4, 5, 6}));
  EXPECT_EQ(bmp.at(1, 0), (Color{1, 2, 3}));
  const Decoded tiff = Decode(ToBytes(kTiff));
  EXPECT_EQ(tiff.mode, "L");
  EXPECT_EQ(tiff.at(1, 0), (Color{8, 8, 8}));
}

TEST(DecodeTest, LimitsOfPixelsInEveryFormat) {
  using std::string_view_literals::operator""sv;
  // Pictures of 20,000 x 10,000 pixels in files of a few bytes.
  for (const std::string_view text :
       {"GIF89a\x20\x4e\x10\x27\0\0\0,\0\0\0\0\1\0\1\0\0\2"sv, "P6 20000 10000 255\n"sv,
        "P1 20000 10000\n"sv,
        "BM............\x28\0\0\0\x20\x4e\0\0\x10\x27\0\0\1\0\x18\0........................"sv,
        "II*\0\x08\0\0\0\2\0\0\1\3\0\1\0\0\0\x20\x4e\0\0\1\1\3\0\1\0\0\0\x10\x27\0\0\0\0\0\0"sv}) {
    EXPECT_EQ(Decode(ToBytes(text)).verdict, "too_large") << text;
  }
}

TEST(DecodeTest, LimitOfSides) {
  EXPECT_EQ(Decode(ToBytes("P5 1000001 1 255\n")).verdict, "too_large");
  EXPECT_EQ(Decode(ToBytes("P5 1 1000001 255\n")).verdict, "too_large");
  EXPECT_EQ(Decode(ToBytes("P5 1 1000000 255\n")).verdict, "truncated");
  const Bytes file = MakePng(15, 9, 8, PNG_COLOR_TYPE_RGB, Ramp(15, 9));
  EXPECT_EQ(Decode(file, {.max_side = 15}).verdict, "ok");
  EXPECT_EQ(Decode(file, {.max_side = 14}).verdict, "too_large");
}

TEST(DecodeTest, LimitOfTiles) {
  using std::string_view_literals::operator""sv;
  // 1 x 1,000,000 pixels in tiles of 16,384 x 16,384, which may all be the same few bytes.
  constexpr std::string_view kTiff =
      "II*\0\x08\0\0\0\5\0\0\1\3\0\1\0\0\0\1\0\0\0\1\1\4\0\1\0\0\0\x40\x42\x0f\0\3\1\3\0\1\0\0\0"
      "\x08\0\0\0\x42\1\3\0\1\0\0\0\0\x40\0\0\x43\1\3\0\1\0\0\0\0\x40\0\0\0\0\0\0"sv;
  EXPECT_EQ(Decode(ToBytes(kTiff)).verdict, "too_large");
}

TEST(DecodeTest, OnePictureDoesNotTouchTheNext) {
  const Bytes small = MakePng(3, 2, 8, PNG_COLOR_TYPE_RGB, Ramp(3, 2));
  const Bytes large = MakeJpeg(31, 17, Ramp(31, 17));
  const Bytes expected = Decode(large).rgb;
  Decoder decoder;
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(Decode(&decoder, large).rgb == expected);
    EXPECT_TRUE(Decode(&decoder, small).rgb == Ramp(3, 2));
    EXPECT_EQ(Decode(&decoder, std::span(large).first(large.size() / 2)).verdict, "truncated");
  }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// What becomes of a file where only so much more memory can be had: in a process of its own.
std::string DecodeWithin(const Bytes& file, size_t more) {
  const pid_t child = fork();
  if (child == 0) {
    size_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    const rlim_t bytes = pages * static_cast<size_t>(sysconf(_SC_PAGESIZE)) + more;
    const rlimit limit = {bytes, bytes};
    setrlimit(RLIMIT_AS, &limit);
    mallopt(M_MMAP_THRESHOLD, 64 << 10);
    try {
      Decoder decoder;
      const auto result = decoder.Decode(file);
      _exit(std::holds_alternative<Picture>(result) ? 0 : 1);
    } catch (const std::bad_alloc&) {
      _exit(2);
    }
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  constexpr std::array<const char*, 3> kWords = {"ok", "reject", "bad_alloc"};
  return kWords[WEXITSTATUS(status)];
}

TEST(DecodeTest, LackOfMemoryIsNeverTheFilesFault) {
  constexpr int kSide = 700;
  const Bytes gray = Bytes(kSide * kSide, 77);
  Bytes packed(compressBound(gray.size()));
  uLongf size = packed.size();
  ASSERT_EQ(compress(packed.data(), &size, gray.data(), gray.size()), Z_OK);
  packed.resize(size);
  const std::map<std::string, Bytes> files = {
      {"JPEG", MakeJpeg(kSide, kSide, gray,
                        {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = true})},
      {"PNG", MakePng(kSide, kSide, 8, PNG_COLOR_TYPE_GRAY, gray, {.interlaced = true})},
      {"TIFF", MakeTiff({{256, kShort, 1, kSide},
                         {257, kShort, 1, kSide},
                         {258, kShort, 1, 8},
                         {259, kShort, 1, 8},
                         {262, kShort, 1, 1},
                         {278, kShort, 1, kSide}},
                        packed)}};
  for (const auto& [format, file] : files) {
    std::map<std::string, int> seen;
    for (size_t more = 0; more < (4 << 20); more += 128 << 10) ++seen[DecodeWithin(file, more)];
    EXPECT_GT(seen["ok"], 0) << format;
    EXPECT_GT(seen["bad_alloc"], 0) << format;
    EXPECT_EQ(seen.size(), 2u) << format << ": " << seen.rbegin()->first;
  }
}

#endif

TEST(SniffTest, Formats) {
  const auto sniff = [](std::string_view text) { return SniffFormat(ToBytes(text)); };
  EXPECT_EQ(sniff("\xff\xd8\xff\xe0"), ImageFormat::kJpeg);
  EXPECT_EQ(sniff("\x89PNG\r\n\x1a\n"), ImageFormat::kPng);
  EXPECT_EQ(sniff("GIF87a"), ImageFormat::kGif);
  EXPECT_EQ(sniff(std::string_view("II*\0", 4)), ImageFormat::kTiff);
  EXPECT_EQ(sniff("RIFF1234WEBP"), ImageFormat::kWebp);
  EXPECT_EQ(sniff("RIFF1234WAVE"), std::nullopt);
  EXPECT_EQ(sniff("P6\n1 1\n255\n"), ImageFormat::kPnm);
  EXPECT_EQ(sniff("P7 332"), std::nullopt);
  EXPECT_EQ(sniff(std::string_view("BM............\x28\0\0\0", 18)), ImageFormat::kBmp);
  EXPECT_EQ(sniff("BMW is a maker of cars"), std::nullopt);
  EXPECT_EQ(sniff(std::string_view("\x28\0\0\0....----\1\0\x18\0", 16)), ImageFormat::kDib);
  EXPECT_EQ(sniff(std::string_view("\x28\0\0\0....----\2\0\x18\0", 16)), std::nullopt);
  EXPECT_EQ(sniff(""), std::nullopt);
  EXPECT_EQ(sniff("\xff\xd8"), std::nullopt);
}

TEST(SniffTest, FormatsThatAreNotReadHaveNames) {
  using std::string_view_literals::operator""sv;
  const auto name = [](std::string_view first) {
    const Bytes file = ToBytes(first);
    EXPECT_TRUE(IsImage("/a/no-extension", file)) << first;
    EXPECT_EQ(Decode(file).verdict, "unsupported_format") << first;
    return UnreadFormatName(file, "");
  };
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypheic\0\0\0\0mif1heic"sv),
            "HEIF");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypmsf1\0\0\0\0mif1heic"sv),
            "HEIF");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypisom\0\0\0\0mp42mif1"sv),
            "HEIF");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypmif1\0\0\0\0miafavif"sv),
            "AVIF");
  EXPECT_EQ(name("\0\0\0\x18"
                 "ftypcrx \0\0\0\1crx isom"sv),
            "Canon CR3");
  EXPECT_EQ(name("\x0a\5\1\x08\0\0\0\0"sv), "PCX");
  EXPECT_EQ(name("PF\n2 2\n-1.0\n"), "color PFM");
  EXPECT_EQ(name("P7\nWIDTH 2\n"), "PAM");
  EXPECT_EQ(name("MM\0+\0\x08\0\0"sv), "big-endian BigTIFF");
  EXPECT_EQ(name("II*\0\x10\0\0\0CR\2\0"sv), "Canon CR2");
  EXPECT_EQ(name("FUJIFILMCCD-RAW 0201"), "Fujifilm RAF");
  EXPECT_EQ(name("IIRO\x08\0\0\0"sv), "Olympus ORF");
  EXPECT_EQ(name("IIU\0\x08\0\0\0"sv), "Panasonic RW2");
  EXPECT_EQ(name("II\x1a\0\0\0HEAPCCDR"sv), "Canon CRW");
  EXPECT_EQ(name("\x59\xa6\x6a\x95"), "Sun raster");
  EXPECT_EQ(name("#?RADIANCE\n"), "Radiance HDR");
  EXPECT_EQ(name("SIMPLE  =                    T"), "FITS");
  EXPECT_EQ(name("Image type: RGB image\r\n"), "IM");
  EXPECT_EQ(name("#define x_width 4\n#define x_height 1\nstatic char x_bits[] = {5};"), "XBM");
  // JPEG-LS begins as JPEG does.
  const auto jpeg_ls = "\xff\xd8\xff\xf7\0\x0b\x08\0\1\0\1\1\1\x11\0"sv;
  EXPECT_EQ(Decode(ToBytes(jpeg_ls)).verdict, "unsupported_format");
  // Neither videos nor text are images.
  for (const auto text : {"\0\0\0\x18"
                          "ftypisom\0\0\0\0isommp42"sv,
                          "\n\n\n\n"sv, "#define WIDTH 4\n"sv, "FORM1234AIFF"sv}) {
    EXPECT_FALSE(IsImage("/a/no-extension", ToBytes(text))) << text;
    EXPECT_EQ(Decode(ToBytes(text)).verdict, "corrupt") << text;
  }
}

TEST(SniffTest, NamesTellWhereBytesDoNot) {
  const auto reason = [](std::string_view path) {
    Decoder decoder;
    return std::get<Reject>(decoder.Decode(ToBytes("hello"), path));
  };
  EXPECT_EQ(reason("/a/b.RAF").reason, Reason::kUnsupportedFormat);
  EXPECT_EQ(reason("/a/b.RAF").message, "Fujifilm RAF images are not read");
  EXPECT_EQ(reason("/a/b.jpg").reason, Reason::kCorrupt);
  EXPECT_EQ(UnreadFormatName(ToBytes("GIF89a"), "/a/b.heic"), "");
  EXPECT_TRUE(IsImage("/a/b.x3f", ToBytes("hello")));
  EXPECT_TRUE(IsImage("/a/b", ToBytes("GIF89a")));
  EXPECT_FALSE(IsImage("/a/b.txt", ToBytes("hello")));
}

TEST(SniffTest, AppleDoubleIsNoImage) {
  const Bytes file = ToBytes(std::string_view("\0\5\x16\7\0\2\0\0Mac OS X        ", 24));
  EXPECT_TRUE(IsAppleDouble(file));
  EXPECT_FALSE(IsImage("/a/._b.jpg", file));
  EXPECT_EQ(Decode(file).verdict, "corrupt");
  EXPECT_TRUE(IsImage("/a/._b.jpg", ToBytes("hello")));
}

// More bytes than kSniffBytes tell nothing more.
TEST(SniffTest, FirstBytesAreEnough) {
  Bytes file = ToBytes("#define x_width 4\n#define x_height 1\n");
  file.resize(kSniffBytes, ' ');
  for (const char c : std::string_view("static char x_bits[] = {5};")) file.push_back(c);
  EXPECT_EQ(SniffFormat(file), SniffFormat(std::span(file).first(kSniffBytes)));
}

TEST(SniffTest, Extensions) {
  EXPECT_TRUE(HasImageExtension("/a/b.jpg"));
  EXPECT_TRUE(HasImageExtension("/a/B.JPEG"));
  EXPECT_TRUE(HasImageExtension("s3://bucket/x.tar.png"));
  EXPECT_FALSE(HasImageExtension("/a.jpg/notes.txt"));
  EXPECT_FALSE(HasImageExtension("/a.jpg/notes"));
  EXPECT_FALSE(HasImageExtension("jpg"));
}

}  // namespace
}  // namespace pomona
