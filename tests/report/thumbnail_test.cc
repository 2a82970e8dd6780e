#include "report/thumbnail.h"

#include <gtest/gtest.h>

#include "pipeline/fakes.h"

namespace pomona {
namespace {

std::span<const uint8_t> Span(const std::string& bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

struct Decoded {
  int width, height;
  std::vector<uint8_t> rgb;
};

Decoded Decode(std::span<const uint8_t> jpeg) {
  Decoder decoder;
  const auto decoded = decoder.Decode(jpeg);
  const auto* picture = std::get_if<Picture>(&decoded);
  EXPECT_NE(picture, nullptr);
  if (!picture) return {};
  EXPECT_EQ(picture->format, ImageFormat::kJpeg);
  return {picture->width, picture->height, {picture->rgb.begin(), picture->rgb.end()}};
}

TEST(Thumbnail, KeepsShapeAndColour) {
  Thumbnailer thumbnailer;
  const auto made = thumbnailer.Make(Span(PngOf(200, 30, 60, 300, 100)));
  ASSERT_TRUE(made);
  const Decoded small = Decode(*made);
  EXPECT_EQ(small.width, 64);
  EXPECT_EQ(small.height, 21);
  EXPECT_NEAR(small.rgb[0], 200, 6);
  EXPECT_NEAR(small.rgb[1], 30, 6);
  EXPECT_NEAR(small.rgb[2], 60, 6);
}

TEST(Thumbnail, OfASmallPictureHasItsSize) {
  Thumbnailer thumbnailer;
  const auto made = thumbnailer.Make(Span(PngOf(1, 2, 3, 5, 9)));
  ASSERT_TRUE(made);
  const Decoded small = Decode(*made);
  EXPECT_EQ(small.width, 5);
  EXPECT_EQ(small.height, 9);
}

TEST(Thumbnail, OfAPictureOfOneRowHasARow) {
  Thumbnailer thumbnailer;
  const auto made = thumbnailer.Make(Span(PngOf(1, 2, 3, 5000, 1)));
  ASSERT_TRUE(made);
  EXPECT_EQ(Decode(*made).height, 1);
}

TEST(Thumbnail, OfACutJpegIsWhatIsLeft) {
  Thumbnailer thumbnailer;
  // A JPEG, made by the thumbnailer itself.
  const auto whole = thumbnailer.Make(Span(PngOf(250, 250, 250, 64, 64)));
  ASSERT_TRUE(whole);
  const auto cut = thumbnailer.Make(std::span(*whole).first(whole->size() - 12));
  ASSERT_TRUE(cut);
  const Decoded small = Decode(*cut);
  EXPECT_EQ(small.width, 64);
  EXPECT_NEAR(small.rgb[0], 250, 6);
  // Without any data there is nothing to see.
  EXPECT_FALSE(thumbnailer.Make(std::span(*whole).first(100)));
}

// A gray TGA of run-length packets, which from the bottom up are kept whole.
std::string TgaOf(int width, int height, bool from_the_top) {
  std::string file(18, '\0');
  file[2] = 11;
  for (const int at : {12, 14}) {
    const int side = at == 12 ? width : height;
    file[at] = static_cast<char>(side);
    file[at + 1] = static_cast<char>(side >> 8);
  }
  file[16] = 8;
  file[17] = from_the_top ? 0x20 : 0;
  std::string row;
  for (int left = width; left > 0; left -= 128) {
    row += static_cast<char>(0x80 | (std::min(left, 128) - 1));
    row += 'x';
  }
  for (int y = 0; y < height; ++y) file += row;
  return file;
}

TEST(Thumbnail, OfWhatTakesTooMuchMemoryThereIsNone) {
  Thumbnailer thumbnailer;
  EXPECT_TRUE(thumbnailer.Make(Span(TgaOf(2000, 1000, false))));
  EXPECT_TRUE(thumbnailer.Make(Span(TgaOf(6000, 4000, true))));
  EXPECT_FALSE(thumbnailer.Make(Span(TgaOf(6000, 4000, false))));
}

TEST(Thumbnail, OfWhatIsNoImageThereIsNone) {
  Thumbnailer thumbnailer;
  EXPECT_FALSE(thumbnailer.Make({}));
  EXPECT_FALSE(thumbnailer.Make(Span("no image")));
  EXPECT_FALSE(thumbnailer.Make(Span("\xFF\xD8\xFF\xE0 no more")));
}

}  // namespace
}  // namespace pomona
