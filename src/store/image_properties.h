// What is told of an image beside its features: what its file holds.
#pragma once

#include <arrow/result.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "image_statistics.h"
#include "pomona/safetensors.h"

namespace pomona {

// As it is stored, byte by byte; the statistics only where there are any.
struct ImageProperties {
  using Name = std::array<char, 8>;  // filled up with zeros

  Name format{};  // Pillow's names: "JPEG",
  Name mode{};    // "RGB"
  int32_t width = 0;
  int32_t height = 0;
  std::array<uint8_t, 32> content_sha256{};  // of all bytes of the file
  ImageStatistics statistics{};

  bool operator==(const ImageProperties&) const = default;
};
static_assert(std::is_trivially_copyable_v<ImageProperties> && sizeof(ImageProperties) == 184);

// REQUIRES: the text fits.
ImageProperties::Name NameOf(std::string_view text);
std::string_view TextOf(const ImageProperties::Name& name);

// A row of bytes for each. The bytes, which BytesOf() makes of all of them, outlive it.
std::vector<std::byte> BytesOf(std::span<const ImageProperties> images);
TensorView TensorOf(size_t images, std::span<const std::byte> bytes);

// What such a tensor, which may be anybody's, holds.
// Errors: Invalid where this is none, or where names are no text or sizes are negative.
arrow::Result<std::vector<ImageProperties>> ImagesIn(const TensorView& tensor);

}  // namespace pomona
