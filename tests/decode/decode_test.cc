#include "pomona/decode.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <webp/encode.h>
#include <zlib.h>

#include <array>
#include <fstream>
#include <map>
#include <new>
#include <string>
#include <string_view>
#include <variant>

#include "infer/resize.h"
#include "memory_budget.h"
#include "pictures.h"

namespace pomona {
namespace {

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
  const Bytes jpeg = MakeJpeg(9, 15, Ramp(9, 15));
  EXPECT_EQ(Decode(jpeg, {.max_side = 15}).verdict, "ok");
  EXPECT_EQ(Decode(jpeg, {.max_side = 14}).verdict, "too_large");
}

TEST(DecodeTest, LimitOfTiles) {
  using std::string_view_literals::operator""sv;
  // 1 x 1,000,000 pixels in tiles of 16,384 x 16,384, which may all be the same few bytes.
  constexpr std::string_view kTiff =
      "II*\0\x08\0\0\0\5\0\0\1\3\0\1\0\0\0\1\0\0\0\1\1\4\0\1\0\0\0\x40\x42\x0f\0\3\1\3\0\1\0\0\0"
      "\x08\0\0\0\x42\1\3\0\1\0\0\0\0\x40\0\0\x43\1\3\0\1\0\0\0\0\x40\0\0\0\0\0\0"sv;
  EXPECT_EQ(Decode(ToBytes(kTiff)).verdict, "too_large");
}

TEST(DecodeTest, LimitOfParts) {
  const auto decode = [](uint32_t width, uint32_t height, const DecodeLimits& limits = {}) {
    return Decode(MakeTiff({{256, TiffTag::kShort, 1, width},
                            {257, TiffTag::kShort, 1, height},
                            {258, TiffTag::kShort, 1, 8},
                            {262, TiffTag::kShort, 1, 1},
                            {322, TiffTag::kShort, 1, 1},
                            {323, TiffTag::kShort, 1, 1},
                            {324, TiffTag::kShort, 1, 8}},
                           {7}, /*strip=*/false),
                  limits);
  };
  EXPECT_EQ(decode(1, 1).verdict, "ok");
  EXPECT_EQ(decode(1024, 1024).verdict, "truncated");
  EXPECT_EQ(decode(1024, 1025).verdict, "too_large");
  EXPECT_EQ(decode(2, 2, {.max_parts = 4}).verdict, "truncated");
  EXPECT_EQ(decode(2, 2, {.max_parts = 3}).verdict, "too_large");
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

// From the bottom to the top, so that all rows are there before the first one is wanted.
Bytes FlatTga(int side) {
  Bytes file(18);
  file[2] = 10;
  for (const int at : {12, 14}) {
    file[at] = static_cast<uint8_t>(side);
    file[at + 1] = static_cast<uint8_t>(side >> 8);
  }
  file[16] = 24;
  for (int i = 0; i < side * (side / 128); ++i) file.insert(file.end(), {0xff, 1, 2, 3});
  return file;
}

// With loss, half of it transparent.
Bytes FlatWebp(int side) {
  Bytes rgba = Flat(side * side, {1, 2, 3, 255});
  for (size_t i = 0; i < rgba.size() / 2; i += 4) rgba[i + 3] = 0;
  uint8_t* encoded = nullptr;
  const size_t size = WebPEncodeRGBA(rgba.data(), side, side, 4 * side, 75, &encoded);
  Bytes file(encoded, encoded + size);
  WebPFree(encoded);
  return file;
}

TEST(DecodeTest, LargePicturesShareABudget) {
  constexpr int kSide = 2560;  // 18.75 MiB
  const Bytes flat = FlatTga(kSide);
  const Bytes gray = Bytes(kSide * kSide, 77);
  const Bytes interlaced =
      MakePng(kSide, kSide, 8, PNG_COLOR_TYPE_GRAY, gray, {.interlaced = true});
  const Bytes progressive = MakeJpeg(
      kSide, kSide, gray, {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = true});
  constexpr auto kRefused = MemoryBudget::Excess::kRefused;
  MemoryBudget little(int64_t{12} << 20, kRefused), enough(int64_t{20} << 20, kRefused);
  Decoder poor({}, &little), rich({}, &enough), other({}, &enough);
  for (const Bytes& file : {flat, interlaced}) {
    EXPECT_EQ(Decode(&poor, file).verdict, "too_large");
    EXPECT_EQ(Decode(&rich, file).verdict, "ok");
    EXPECT_EQ(Decode(&other, file).verdict, "ok") << "what the first one took is back";
  }
  EXPECT_EQ(Decode(&poor, progressive).verdict, "ok") << "13.3 MiB go without asking";
  const Bytes webp = FlatWebp(kSide / 2);  // 12.5 MiB for what libwebp may take
  EXPECT_EQ(Decode(&poor, webp).verdict, "ok") << "WEBP";
  const Bytes larger = FlatWebp(kSide * 3 / 5);  // 18 MiB
  EXPECT_EQ(Decode(&poor, larger).verdict, "too_large");
  EXPECT_EQ(Decode(&rich, larger).verdict, "ok");
  // A TIFF of eight rows, whose JPEG goes on: libtiff takes it.
  constexpr uint32_t kColumns = 3000;
  const Bytes longer = MakeTiff({{256, TiffTag::kShort, 1, kColumns},
                                 {257, TiffTag::kShort, 1, 8},
                                 {258, TiffTag::kShort, 1, 8},
                                 {259, TiffTag::kShort, 1, 7},
                                 {262, TiffTag::kShort, 1, 1}},
                                MakeJpeg(kColumns, 3000, Bytes(size_t{kColumns} * 3000, 77),
                                         {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE}));
  EXPECT_EQ(Decode(&poor, longer).verdict, "too_large");
  EXPECT_EQ(Decode(&rich, longer).verdict, "ok");
  Resizer unused(1, 1);
  EXPECT_EQ(std::get<Reject>(poor.Decode(flat, &unused)).message,
            "decoding it takes 18 MiB, more than the 12 MiB that pictures may take, half of "
            "--memory");
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

// What becomes of a file where only so much more memory can be had: in a process of its own.
std::string DecodeWithin(const Bytes& file, size_t more) {
  const pid_t child = fork();
  if (child == 0) {
    malloc_trim(0);  // what earlier tests gave back
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
      {"TIFF", MakeTiff({{256, TiffTag::kShort, 1, kSide},
                         {257, TiffTag::kShort, 1, kSide},
                         {258, TiffTag::kShort, 1, 8},
                         {259, TiffTag::kShort, 1, 8},
                         {262, TiffTag::kShort, 1, 1},
                         {278, TiffTag::kShort, 1, kSide}},
                        packed)}};
  for (const auto& [format, file] : files) {
    std::map<std::string, int> seen;
    for (size_t more = 0; more < (4 << 20); more += 128 << 10) ++seen[DecodeWithin(file, more)];
    EXPECT_GT(seen["ok"], 0) << format;
    EXPECT_GT(seen["bad_alloc"], 0) << format;
    EXPECT_EQ(seen.size(), 2u) << format << ": " << seen.rbegin()->first;
  }
}

TEST(DecodeTest, MarkersBesideTheStripsTakeNoMemory) {
  Bytes file = MakeTiff(
      {{256, TiffTag::kShort, 1, 32},
       {257, TiffTag::kShort, 1, 16},
       {258, TiffTag::kShort, 1, 8},
       {259, TiffTag::kShort, 1, 7},
       {262, TiffTag::kShort, 1, 1},
       {278, TiffTag::kShort, 1, 16}},
      MakeJpeg(32, 16, Flat(32 * 16, {77}), {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE}));
  for (int i = 0; i < 2 << 20; ++i) file.insert(file.end(), {0xff, 0xda, 0xff, 0xc9});
  EXPECT_EQ(DecodeWithin(file, 4 << 20), "ok");
}

TEST(DecodeTest, GivesBackWhatAHugePictureTook) {
  constexpr int kWidth = 500'000;
  Bytes wide = ToBytes("P5 500000 16 255\n");
  wide.resize(wide.size() + size_t{16} * kWidth, 77);
  const Bytes small = ToBytes("P5 1 1 255\n7");
  const auto taken = [] { return mallinfo2().uordblks + mallinfo2().hblkhd; };
  Decoder decoder;
  Resizer rows(4, 4);
  const size_t before = taken();
  EXPECT_TRUE(std::holds_alternative<PictureInfo>(decoder.Decode(wide, &rows)));
  EXPECT_GT(taken(), before + (30 << 20));
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(std::holds_alternative<PictureInfo>(decoder.Decode(small, &rows)));
  }
  EXPECT_LT(taken(), before + (15 << 20));
}

#endif

}  // namespace
}  // namespace pomona
