#include "image_properties.h"

#include <algorithm>
#include <cstring>

namespace pomona {
namespace {

bool IsName(const ImageProperties::Name& name) {
  const auto end = std::ranges::find(name, '\0');
  return std::all_of(name.begin(), end, [](char c) { return c > ' ' && c <= '~'; }) &&
         std::all_of(end, name.end(), [](char c) { return c == '\0'; });
}

}  // namespace

ImageProperties::Name NameOf(std::string_view text) {
  ImageProperties::Name name{};
  std::copy_n(text.begin(), std::min(text.size(), name.size()), name.begin());
  return name;
}

std::string_view TextOf(const ImageProperties::Name& name) {
  return {name.data(), static_cast<size_t>(std::ranges::find(name, '\0') - name.begin())};
}

TensorView TensorOf(std::span<const ImageProperties> images) {
  return {DType::kU8,
          {static_cast<int64_t>(images.size()), static_cast<int64_t>(sizeof(ImageProperties))},
          std::as_bytes(images)};
}

arrow::Result<std::vector<ImageProperties>> ImagesIn(const TensorView& tensor) {
  if (tensor.dtype != DType::kU8 || tensor.shape.size() != 2 ||
      tensor.shape[1] != static_cast<int64_t>(sizeof(ImageProperties))) {
    return arrow::Status::Invalid("no properties of images");
  }
  std::vector<ImageProperties> images(tensor.bytes.size() / sizeof(ImageProperties));
  if (!images.empty()) std::memcpy(images.data(), tensor.bytes.data(), tensor.bytes.size());
  const bool sound = std::ranges::all_of(images, [](const ImageProperties& image) {
    return IsName(image.format) && IsName(image.mode) && image.width >= 0 && image.height >= 0;
  });
  if (!sound) return arrow::Status::Invalid("damaged properties of images");
  return images;
}

}  // namespace pomona
