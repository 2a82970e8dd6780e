#include "image_properties.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace pomona {
namespace {

// Where the statistics begin.
constexpr size_t kPlainBytes = offsetof(ImageProperties, statistics);

bool IsSound(const ImageStatistics& statistics) {
  const auto sound = [](double value) { return std::isfinite(value) && value >= 0; };
  return statistics.kind >= 0 && statistics.kind <= static_cast<int64_t>(StatsKind::kFull) &&
         sound(statistics.brightness) && sound(statistics.entropy) &&
         sound(statistics.blurriness) && sound(statistics.blurriness_grayscale_std) &&
         std::ranges::all_of(statistics.brightness_percentiles, sound);
}

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

std::vector<std::byte> BytesOf(std::span<const ImageProperties> images) {
  const bool plain = std::ranges::none_of(
      images, [](const ImageProperties& image) { return image.statistics.Has(StatsKind::kBasic); });
  const size_t width = plain ? kPlainBytes : sizeof(ImageProperties);
  std::vector<std::byte> bytes(images.size() * width);
  for (size_t i = 0; i < images.size(); ++i) {
    std::memcpy(bytes.data() + i * width, &images[i], width);
  }
  return bytes;
}

TensorView TensorOf(size_t images, std::span<const std::byte> bytes) {
  const size_t width = images > 0 ? bytes.size() / images : kPlainBytes;
  return {DType::kU8, {static_cast<int64_t>(images), static_cast<int64_t>(width)}, bytes};
}

arrow::Result<std::vector<ImageProperties>> ImagesIn(const TensorView& tensor) {
  if (tensor.dtype != DType::kU8 || tensor.shape.size() != 2 ||
      (tensor.shape[1] != static_cast<int64_t>(kPlainBytes) &&
       tensor.shape[1] != static_cast<int64_t>(sizeof(ImageProperties)))) {
    return arrow::Status::Invalid("no properties of images");
  }
  const auto width = static_cast<size_t>(tensor.shape[1]);
  std::vector<ImageProperties> images(tensor.bytes.size() / width);
  for (size_t i = 0; i < images.size(); ++i) {
    std::memcpy(&images[i], tensor.bytes.data() + i * width, width);
  }
  const bool sound = std::ranges::all_of(images, [](const ImageProperties& image) {
    return IsName(image.format) && IsName(image.mode) && image.width >= 0 && image.height >= 0 &&
           IsSound(image.statistics);
  });
  if (!sound) return arrow::Status::Invalid("damaged properties of images");
  return images;
}

}  // namespace pomona
