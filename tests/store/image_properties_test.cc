#include "store/image_properties.h"

#include <gtest/gtest.h>

namespace pomona {
namespace {

TEST(ImageProperties, ComeBackFromATensor) {
  const std::vector<ImageProperties> images = {{NameOf("JPEG"), NameOf("RGB"), 100, 90, {1, 2}},
                                               {NameOf("12345678"), {}, 0, INT32_MAX, {}}};
  EXPECT_EQ(TextOf(images[0].format), "JPEG");
  EXPECT_EQ(TextOf(images[1].format), "12345678");
  EXPECT_EQ(TextOf(images[1].mode), "");
  EXPECT_EQ(*ImagesIn(TensorOf(images)), images);
  EXPECT_TRUE(ImagesIn(TensorOf({}))->empty());
}

TEST(ImageProperties, AreRefusedWhereTheyAreNone) {
  const ImageProperties sound{NameOf("PNG"), NameOf("L"), 1, 1, {}};
  const auto refuses = [&](auto change) {
    std::vector<ImageProperties> images = {sound, sound};
    change(images[1]);
    return ImagesIn(TensorOf(images)).status().IsInvalid();
  };
  EXPECT_FALSE(refuses([](ImageProperties&) {}));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.width = -1; }));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.height = -1; }));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.format[1] = '\n'; }));
  EXPECT_TRUE(refuses([](ImageProperties& image) { image.mode[7] = 'x'; }));

  const std::vector<ImageProperties> images = {sound};
  TensorView tensor = TensorOf(images);
  tensor.dtype = DType::kI32;
  EXPECT_TRUE(ImagesIn(tensor).status().IsInvalid());
  tensor = TensorOf(images);
  tensor.shape = {2, sizeof(ImageProperties) / 2};
  EXPECT_TRUE(ImagesIn(tensor).status().IsInvalid());
}

}  // namespace
}  // namespace pomona
