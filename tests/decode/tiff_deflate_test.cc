#include "decode/tiff_deflate.h"

#include <gtest/gtest.h>
#include <tiffio.h>
#include <zlib.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "instruction_sets.h"
#include "pictures.h"
#include "temp_folder.h"

namespace pomona {
namespace {

using Tiff = std::unique_ptr<TIFF, void (*)(TIFF*)>;

Tiff Open(const std::string& path, const char* mode) {
  return {TIFFOpen(path.c_str(), mode), TIFFClose};
}

struct Layout {
  bool big_endian;
  bool planes;
  int bits;
  int samples;
  int predictor;
};

constexpr uint32_t kWidth = 45;
constexpr uint32_t kHeight = 7;

// By libtiff, in one strip a plane.
void Write(const std::string& path, const Layout& layout, std::mt19937* random) {
  const Tiff tiff = Open(path, layout.big_endian ? "wb" : "wl");
  ASSERT_NE(tiff, nullptr);
  TIFFSetField(tiff.get(), TIFFTAG_IMAGEWIDTH, kWidth);
  TIFFSetField(tiff.get(), TIFFTAG_IMAGELENGTH, kHeight);
  TIFFSetField(tiff.get(), TIFFTAG_ROWSPERSTRIP, kHeight);
  TIFFSetField(tiff.get(), TIFFTAG_BITSPERSAMPLE, layout.bits);
  TIFFSetField(tiff.get(), TIFFTAG_SAMPLESPERPIXEL, layout.samples);
  TIFFSetField(tiff.get(), TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
  TIFFSetField(tiff.get(), TIFFTAG_PLANARCONFIG,
               layout.planes ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
  TIFFSetField(tiff.get(), TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
  TIFFSetField(tiff.get(), TIFFTAG_PREDICTOR, layout.predictor);
  const tmsize_t size = TIFFStripSize(tiff.get());
  for (uint32_t strip = 0; strip < TIFFNumberOfStrips(tiff.get()); ++strip) {
    Bytes samples(static_cast<size_t>(size));  // a slope with noise
    for (size_t i = 0; i < samples.size(); ++i) {
      samples[i] = static_cast<uint8_t>(i / 3 + (*random)() % 4);
    }
    ASSERT_EQ(TIFFWriteEncodedStrip(tiff.get(), strip, samples.data(), size), size);
  }
}

class TiffDeflateTest : public InstructionSetsTest {
 protected:
  void SetUp() override { TIFFSetWarningHandler(nullptr); }  // of samples that no colour has

  TempFolder folder_;
};

TEST_F(TiffDeflateTest, ExpandsWhatLibtiffExpands) {
  std::mt19937 random(7);
  const std::string path = folder_ / "picture.tif";
  int known = 0;
  for (const bool big_endian : {false, true})
    for (const bool planes : {false, true})
      for (const int bits : {1, 4, 8, 12, 16})
        for (const int samples : {1, 2, 3, 4, 5})
          for (const int predictor : {PREDICTOR_NONE, PREDICTOR_HORIZONTAL}) {
            if (predictor == PREDICTOR_HORIZONTAL && bits % 8 != 0) continue;  // there is no such
            SCOPED_TRACE(testing::Message()
                         << big_endian << planes << " bits " << bits << " samples " << samples
                         << " predictor " << predictor);
            Write(path, {big_endian, planes, bits, samples, predictor}, &random);
            const Tiff tiff = Open(path, "r");
            ASSERT_NE(tiff, nullptr);
            const auto row = static_cast<size_t>(TIFFScanlineSize(tiff.get()));
            const TiffDeflate::Rows rows = {
                .bytes = row,
                .bits = static_cast<uint64_t>(bits),
                .pixel = static_cast<size_t>(planes ? 1 : samples),
                .differences = predictor == PREDICTOR_HORIZONTAL,
                .order = big_endian ? ByteOrder::kBig : ByteOrder::kLittle};
            if (!TiffDeflate::Knows(rows)) continue;
            ++known;
            TiffDeflate deflate(rows);
            for (uint32_t strip = 0; strip < TIFFNumberOfStrips(tiff.get()); ++strip) {
              Bytes expected(row * kHeight);
              const auto size = static_cast<tmsize_t>(expected.size());
              ASSERT_EQ(TIFFReadEncodedStrip(tiff.get(), strip, expected.data(), size), size);
              Bytes data(TIFFGetStrileByteCount(tiff.get(), strip));
              ASSERT_GT(TIFFReadRawStrip(tiff.get(), strip, data.data(),
                                         static_cast<tmsize_t>(data.size())),
                        0);
              for (const int64_t target : targets_) {
                Use(target);
                Bytes samples_read(expected.size() + TiffDeflate::kPadding);
                ASSERT_TRUE(deflate.Expand(data, kHeight, samples_read.data()));
                samples_read.resize(expected.size());
                ASSERT_EQ(samples_read, expected);
              }
            }
          }
  // All but those of 12 bits, and differences of five samples of 8 bits side by side.
  EXPECT_EQ(known, 2 * 2 * 5 * (4 + 2) - 2);
}

// Gray, 45 x 7, in strips of three rows or in tiles.
Bytes WriteGray(const std::string& path, bool tiled, const Bytes& samples) {
  {
    const Tiff tiff = Open(path, "w");
    TIFFSetField(tiff.get(), TIFFTAG_IMAGEWIDTH, kWidth);
    TIFFSetField(tiff.get(), TIFFTAG_IMAGELENGTH, kHeight);
    TIFFSetField(tiff.get(), TIFFTAG_BITSPERSAMPLE, 8);
    TIFFSetField(tiff.get(), TIFFTAG_SAMPLESPERPIXEL, 1);
    TIFFSetField(tiff.get(), TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_MINISBLACK);
    TIFFSetField(tiff.get(), TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE);
    TIFFSetField(tiff.get(), TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL);
    if (!tiled) {
      TIFFSetField(tiff.get(), TIFFTAG_ROWSPERSTRIP, 3);
      for (uint32_t y = 0; y < kHeight; ++y) {
        Bytes row(samples.begin() + y * kWidth, samples.begin() + (y + 1) * kWidth);
        TIFFWriteScanline(tiff.get(), row.data(), y, 0);
      }
    } else {
      TIFFSetField(tiff.get(), TIFFTAG_TILEWIDTH, 16);
      TIFFSetField(tiff.get(), TIFFTAG_TILELENGTH, 16);
      for (uint32_t x = 0; x < kWidth; x += 16) {
        Bytes tile(16 * 16);
        for (uint32_t y = 0; y < kHeight; ++y) {
          for (uint32_t i = 0; i < std::min(16u, kWidth - x); ++i) {
            tile[16 * y + i] = samples[y * kWidth + x + i];
          }
        }
        TIFFWriteTile(tiff.get(), tile.data(), x, 0, 0, 0);
      }
    }
  }
  const std::string file = ReadFile(path);
  return {file.begin(), file.end()};
}

TEST_F(TiffDeflateTest, StripsAndTilesOfAPicture) {
  Bytes samples(kWidth * kHeight);
  std::iota(samples.begin(), samples.end(), uint8_t{3});
  const std::string path = folder_ / "picture.tif";
  for (const bool tiled : {false, true}) {
    SCOPED_TRACE(tiled ? "tiles" : "strips");
    const Bytes file = WriteGray(path, tiled, samples);
    const Decoded decoded = Decode(file);
    ASSERT_EQ(decoded.verdict, "ok");
    for (size_t i = 0; i < samples.size(); ++i) ASSERT_EQ(decoded.rgb[3 * i], samples[i]) << i;

    // One part is damaged: at the end of its checksum, or in its bytes.
    const Tiff tiff = Open(path, "r");
    const auto at = static_cast<size_t>(TIFFGetStrileOffset(tiff.get(), 1));
    const auto size = static_cast<size_t>(TIFFGetStrileByteCount(tiff.get(), 1));
    for (const size_t damaged : {at + size - 1, at + size / 2}) {
      Bytes broken = file;
      broken[damaged] ^= 0x55;
      EXPECT_EQ(Decode(broken).verdict, "corrupt");
    }
  }
}

// libtiff takes it for tiles, whose offsets are missing, and refuses it; so do we, and read neither.
TEST_F(TiffDeflateTest, StripsThatSayTheyAreTiles) {
  const Bytes samples(32 * 32, 77);
  uLongf size = compressBound(samples.size());
  Bytes packed(size);
  ASSERT_EQ(compress(packed.data(), &size, samples.data(), samples.size()), Z_OK);
  packed.resize(size);
  std::vector<TiffTag> tags = {{256, TiffTag::kShort, 1, 32}, {257, TiffTag::kShort, 1, 32},
                               {258, TiffTag::kShort, 1, 8},  {259, TiffTag::kShort, 1, 8},
                               {262, TiffTag::kShort, 1, 1},  {278, TiffTag::kShort, 1, 32}};
  EXPECT_EQ(Decode(MakeTiff(tags, packed)).verdict, "ok");
  tags.push_back({322, TiffTag::kShort, 1, 16});
  tags.push_back({323, TiffTag::kShort, 1, 16});
  EXPECT_EQ(Decode(MakeTiff(tags, packed)).verdict, "corrupt");
}

TEST_F(TiffDeflateTest, LeavesWhatIsNotSoundToLibtiff) {
  const Bytes samples = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  uLongf size = compressBound(samples.size());
  Bytes sound(size);
  ASSERT_EQ(compress(sound.data(), &size, samples.data(), samples.size()), Z_OK);
  sound.resize(size);
  TiffDeflate deflate({.bytes = 4, .bits = 8, .pixel = 1});
  Bytes rows(16 + TiffDeflate::kPadding);
  EXPECT_TRUE(deflate.Expand(sound, 3, rows.data()));
  EXPECT_EQ(Bytes(rows.begin(), rows.begin() + 12), samples);
  EXPECT_FALSE(deflate.Expand(sound, 2, rows.data())) << "more than the rows take";
  EXPECT_FALSE(deflate.Expand(sound, 4, rows.data())) << "less";
  EXPECT_FALSE(deflate.Expand({}, 3, rows.data()));
  for (size_t length = 0; length < sound.size(); ++length) {
    EXPECT_FALSE(deflate.Expand(std::span(sound).first(length), 3, rows.data())) << length;
  }
  Bytes longer = sound;  // as libtiff, which does not look there
  longer.push_back(0);
  EXPECT_TRUE(deflate.Expand(longer, 3, rows.data()));
  Bytes other_checksum = sound;
  ++other_checksum.back();
  EXPECT_FALSE(deflate.Expand(other_checksum, 3, rows.data()));
  EXPECT_TRUE(deflate.Expand(sound, 3, rows.data())) << "after the others";
}

}  // namespace
}  // namespace pomona
