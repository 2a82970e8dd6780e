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

TEST(Thumbnail, OfWhatIsNoImageThereIsNone) {
  Thumbnailer thumbnailer;
  EXPECT_FALSE(thumbnailer.Make({}));
  EXPECT_FALSE(thumbnailer.Make(Span("no image")));
  EXPECT_FALSE(thumbnailer.Make(Span("\xFF\xD8\xFF\xE0 no more")));
}

}  // namespace
}  // namespace pomona
