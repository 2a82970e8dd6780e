#include "store/image_properties.h"

#include <gtest/gtest.h>

#include <limits>

namespace pomona {
namespace {

arrow::Result<std::vector<ImageProperties>> ThereAndBack(
    const std::vector<ImageProperties>& images) {
  const std::vector<std::byte> bytes = BytesOf(images);
  return ImagesIn(TensorOf(images.size(), bytes));
}

TEST(ImageProperties, ComeBackFromATensor) {
  const std::vector<ImageProperties> images = {{NameOf("JPEG"), NameOf("RGB"), 100, 90, {1, 2}, {}},
                                               {NameOf("12345678"), {}, 0, INT32_MAX, {}, {}}};
  EXPECT_EQ(TextOf(images[0].format), "JPEG");
  EXPECT_EQ(TextOf(images[1].format), "12345678");
  EXPECT_EQ(TextOf(images[1].mode), "");
  EXPECT_EQ(*ThereAndBack(images), images);
  EXPECT_TRUE(ThereAndBack({})->empty());
}

TEST(ImageProperties, TakeMoreOnlyWithStatistics) {
  std::vector<ImageProperties> images(3);
  EXPECT_EQ(BytesOf(images).size(), 3u * 56);  // as they always were
  images[1].statistics.kind = 2;
  images[1].statistics.entropy = 7.5;
  images[1].statistics.pixels_sha256 = {9, 8};
  EXPECT_EQ(BytesOf(images).size(), 3 * sizeof(ImageProperties));
  EXPECT_EQ(*ThereAndBack(images), images);
}

TEST(ImageProperties, AreRefusedWhereTheyAreNone) {
  const ImageProperties sound{NameOf("PNG"), NameOf("L"), 1, 1, {}, {}};
  const auto refuses = [&](auto change) {
    std::vector<ImageProperties> images = {sound, sound};
    change(images[1]);
    return ThereAndBack(images).status().IsInvalid();
  };
  EXPECT_FALSE(refuses([](ImageProperties&) {}));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.width = -1; }));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.height = -1; }));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.format[1] = '\n'; }));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.mode[7] = 'x'; }));

  EXPECT_TRUE(refuses([](ImageProperties& image) { image.statistics.kind = 3; }));
  EXPECT_TRUE(refuses([](ImageProperties& image) {
    image.statistics.kind = 1;
    image.statistics.entropy = std::numeric_limits<double>::quiet_NaN();
  }));
  EXPECT_TRUE(refuses([](ImageProperties& image) {
    image.statistics.kind = 2;
    image.statistics.blurriness = -1;
  }));

  const std::vector<ImageProperties> images = {sound};
  const std::vector<std::byte> bytes = BytesOf(images);
  TensorView tensor = TensorOf(1, bytes);
  tensor.dtype = DType::kI32;
  EXPECT_TRUE(ImagesIn(tensor).status().IsInvalid());
  tensor = TensorOf(1, bytes);
  tensor.shape = {2, static_cast<int64_t>(bytes.size()) / 2};
  EXPECT_TRUE(ImagesIn(tensor).status().IsInvalid());
}

}  // namespace
}  // namespace pomona
