// What is told of an image beside its features: what its file holds.
#pragma once

#include <arrow/result.h>

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "pomona/safetensors.h"

namespace pomona {

// As it is stored, byte by byte.
struct ImageProperties {
  using Name = std::array<char, 8>;  // filled up with zeros

  Name format{};  // Pillow's names: "JPEG",
  Name mode{};    // "RGB"
  int32_t width = 0;
  int32_t height = 0;
  std::array<uint8_t, 32> content_sha256{};  // of all bytes of the file

  bool operator==(const ImageProperties&) const = default;
};
static_assert(std::has_unique_object_representations_v<ImageProperties>);

// REQUIRES: the text fits.
ImageProperties::Name NameOf(std::string_view text);
std::string_view TextOf(const ImageProperties::Name& name);

// A row of bytes for each. The images outlive it.
TensorView TensorOf(std::span<const ImageProperties> images);

// What such a tensor, which may be anybody's, holds.
// Errors: Invalid where this is none, or where names are no text or sizes are negative.
arrow::Result<std::vector<ImageProperties>> ImagesIn(const TensorView& tensor);

}  // namespace pomona
