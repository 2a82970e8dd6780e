#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <utility>
#include <vector>

#include "decode/xz.h"
#include "infer/resize.h"
#include "pictures.h"

namespace pomona {
namespace {

constexpr int kShort = TiffTag::kShort;

// A gray picture 32 pixels wide in strips of `rows` rows, which are all the same JPEG.
Bytes MakeStrips(const Bytes& jpeg, int rows, int strips, size_t bits = 8) {
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
       {258, 1, bits},
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

TEST(DecodeTiffTest, JpegDataHaveEightBits) {
  const Bytes jpeg =
      MakeJpeg(32, 16, Flat(32 * 16, {9}), {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE});
  EXPECT_EQ(Decode(MakeStrips(jpeg, 16, 1)).verdict, "ok");
  for (const size_t bits : {1, 2, 4, 12, 16}) {
    EXPECT_EQ(Decode(MakeStrips(jpeg, 16, 1, bits)).verdict, "unsupported_format") << bits;
  }
}

TEST(DecodeTiffTest, RefusesEndlessScans) {
  const Bytes jpeg =
      RepeatLastScan(MakeJpeg(32, 16, Flat(32 * 16, {77}),
                              {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .progressive = true}),
                     40);
  int scans = 0;
  for (size_t i = 0; i + 1 < jpeg.size(); ++i) scans += jpeg[i] == 0xff && jpeg[i + 1] == 0xda;
  const int64_t scan_pixels = int64_t{scans} * 32 * 16;
  const Bytes ten = MakeStrips(jpeg, 16, 10);
  EXPECT_EQ(Decode(ten).at(31, 159), (Color{77, 77, 77}));
  EXPECT_EQ(Decode(ten, {.max_scans = scans}).verdict, "ok");
  EXPECT_EQ(Decode(ten, {.max_scans = scans - 1}).verdict, "too_large");
  EXPECT_EQ(Decode(ten, {.max_scan_pixels = 10 * scan_pixels}).verdict, "ok");
  EXPECT_EQ(Decode(ten, {.max_scan_pixels = 10 * scan_pixels - 1}).verdict, "too_large");
  Bytes more = ten;  // behind the strips, what looks like markers of arithmetic coding
  more.insert(more.end(), {0xff, 0xc9, 0xff, 0xca});
  EXPECT_EQ(Decode(more, {.max_arithmetic_samples = 1}).verdict, "ok");
  // The JPEG goes on below the picture.
  const Bytes half = MakeStrips(jpeg, 8, 1);
  EXPECT_EQ(Decode(half).at(31, 7), (Color{77, 77, 77}));
  EXPECT_EQ(Decode(half, {.max_scan_pixels = scan_pixels}).verdict, "ok");
  EXPECT_EQ(Decode(half, {.max_scan_pixels = scan_pixels - 1}).verdict, "too_large");
  const Bytes arithmetic =
      MakeStrips(MakeJpeg(32, 16, Flat(32 * 16, {77}),
                          {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE, .arithmetic = true}),
                 16, 2);
  EXPECT_EQ(Decode(arithmetic, {.max_arithmetic_samples = 2 * 32 * 16}).verdict, "ok");
  EXPECT_EQ(Decode(arithmetic, {.max_arithmetic_samples = 2 * 32 * 16 - 1}).verdict, "too_large");
}

TEST(DecodeTiffTest, RefusesStripsThatShareTooMuch) {
  const Bytes jpeg =
      MakeJpeg(32, 1, Flat(32, {77}), {.in = JCS_GRAYSCALE, .stored = JCS_GRAYSCALE});
  const Bytes file = MakeStrips(jpeg, 1, 100);
  const auto shared =
      static_cast<int64_t>(100 * jpeg.size()) - static_cast<int64_t>(2 * file.size() + 100 * 32);
  ASSERT_GT(shared, 0);
  EXPECT_EQ(Decode(file).verdict, "ok");
  EXPECT_EQ(Decode(file, {.max_shared_bytes = shared}).verdict, "ok");
  EXPECT_EQ(Decode(file, {.max_shared_bytes = shared - 1}).verdict, "too_large");
}

// Of XZ streams, up to where their first blocks say how they were made.
TEST(DecodeTiffTest, DictionariesOfLzma) {
  const auto bytes = [](const Bytes& block) {
    Bytes stream(12);
    stream.insert(stream.end(), block.begin(), block.end());
    return XzDictionaryBytes(stream);
  };
  EXPECT_EQ(bytes({2, 0, 0x21, 1, 0}), 4096u);
  EXPECT_EQ(bytes({2, 0, 0x21, 1, 1}), 6144u);
  EXPECT_EQ(bytes({2, 0, 0x21, 1, 22}), 8u << 20);  // of preset 6
  EXPECT_EQ(bytes({2, 0, 0x21, 1, 39}), 3u << 30);
  EXPECT_EQ(bytes({2, 0, 0x21, 1, 40}), UINT32_MAX);
  EXPECT_EQ(bytes({3, 0xc1, 0x80, 1, 0x85, 2, 3, 1, 2, 0x21, 1, 18}), 2u << 20);  // behind a delta
  EXPECT_EQ(bytes({3, 1, 3, 1, 2}), 0u) << "it ends";
  EXPECT_EQ(bytes({2, 0, 0x21, 9, 1}), 0u);
  EXPECT_EQ(bytes({}), 0u);
}

// Where what Pillow makes of it is not the picture, or nothing.
TEST(DecodeTiffTest, RefusesWhatPillowMisreads) {
  const auto decode = [](std::vector<TiffTag> more, bool tiled = false, uint32_t columns = 16) {
    std::vector<TiffTag> tags = {
        {256, kShort, 1, columns}, {257, kShort, 1, 1}, {259, kShort, 1, 1}, {262, kShort, 1, 1}};
    if (tiled) {
      more.insert(more.end(),
                  {{324, TiffTag::kShort + 1, 1, 8}, {325, kShort, 1, 192}, {323, kShort, 1, 1}});
    }
    tags.insert(tags.end(), more.begin(), more.end());
    return Decode(MakeTiff(tags, Bytes(192, 0x5a), !tiled)).verdict;
  };
  for (const uint32_t order : {1, 2}) EXPECT_EQ(decode({{266, kShort, 1, order}}), "ok");
  for (const uint32_t order : {0, 3, 9}) {
    EXPECT_EQ(decode({{266, kShort, 1, order}}), "unsupported_format") << order;
  }
  for (const uint32_t width : {16, 32}) EXPECT_EQ(decode({{322, kShort, 1, width}}, true), "ok");
  for (const uint32_t width : {18, 20, 100}) {
    EXPECT_EQ(decode({{322, kShort, 1, width}}, true), "unsupported_format") << width;
    EXPECT_EQ(decode({{322, kShort, 1, width}, {258, kShort, 1, 8}}, true), "ok") << width;
    EXPECT_EQ(decode({{322, kShort, 1, width}}, true, width), "ok") << width << " fits";
  }
}

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

TEST(DecodeTiffTest, NamesTheCameraWhoseFormatIsNotRead) {
  const Bytes file = MakeTiff({{256, kShort, 1, 13},
                               {257, kShort, 1, 1},
                               {258, kShort, 1, 8},
                               {259, kShort, 1, 34713},
                               {262, kShort, 1, 32803}},
                              {7});
  const auto reject = [&](std::string_view path) {
    Decoder decoder;
    Resizer unused(1, 1);
    return std::get<Reject>(decoder.Decode(file, &unused, path));
  };
  EXPECT_EQ(reject("/a/b.NEF").reason, Reason::kUnsupportedFormat);
  EXPECT_EQ(reject("/a/b.NEF").message, "Nikon NEF images are not read: " + reject("").message);
  EXPECT_EQ(reject("/a/b.dng").message, "DNG images are not read: " + reject("").message);
  EXPECT_EQ(reject("/a/b.tif").message, reject("").message);
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

// Pillow then takes `L` for `L;I`: what that leaves as it is, and what it does not.
TEST(DecodeTiffTest, OneSampleThatIsCalledAPlane) {
  const auto decode = [](uint32_t photometric, uint32_t bits, uint32_t fill_order, uint32_t planar,
                         uint32_t compression) {
    Bytes data(64, 0x5a);
    if (compression != 1) data.insert(data.begin(), 63);  // PackBits: so many bytes as they are
    return Decode(MakeTiff({{256, kShort, 1, 16},
                            {257, kShort, 1, 1},
                            {258, kShort, 1, bits},
                            {259, kShort, 1, compression},
                            {262, kShort, 1, photometric},
                            {266, kShort, 1, fill_order},
                            {284, kShort, 1, planar}},
                           data));
  };
  const auto expect = [&](uint32_t photometric, uint32_t bits, uint32_t fill_order,
                          std::string_view verdict) {
    const Decoded one = decode(photometric, bits, fill_order, 1, 1);
    const Decoded plane = decode(photometric, bits, fill_order, 2, 1);
    const Decoded packed = decode(photometric, bits, fill_order, 2, 32773);
    EXPECT_EQ(one.verdict, "ok") << photometric << " " << bits;
    EXPECT_EQ(plane.verdict, verdict) << photometric << " " << bits;
    EXPECT_EQ(plane.rgb, verdict == "ok" ? one.rgb : Bytes()) << photometric << " " << bits;
    EXPECT_EQ(packed.rgb, one.rgb) << photometric << " " << bits;
  };
  for (const uint32_t bits : {1, 8, 32}) expect(1, bits, 1, "ok");
  expect(6, 8, 1, "ok");
  for (const uint32_t bits : {2, 4, 12, 16}) expect(1, bits, 1, "unsupported_format");
  for (const uint32_t bits : {1, 2, 4, 8, 16}) expect(0, bits, 1, "unsupported_format");
  for (const uint32_t bits : {1, 2, 4, 8, 16}) expect(1, bits, 2, "unsupported_format");
}

}  // namespace
}  // namespace pomona
