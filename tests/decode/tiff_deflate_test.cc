#include "decode/tiff_deflate.h"

#include <gtest/gtest.h>
#include <tiffio.h>
#include <zlib.h>

#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "instruction_sets.h"
#include "temp_folder.h"

namespace pomona {
namespace {

using Bytes = std::vector<uint8_t>;
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
            SCOPED_TRACE(testing::Message() << big_endian << planes << " bits " << bits << " samples "
                                            << samples << " predictor " << predictor);
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
