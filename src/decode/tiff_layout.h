// What the tags of a TIFF say about its samples, by Pillow's rules, and samples -> RGB.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "codecs.h"
#include "pixels.h"
#include "tiff_directory.h"

namespace pomona {

struct TiffLayout {
  enum class Samples {
    kTable,  // gray or index in a palette, of up to 8 bits
    kGray12,
    kUnsigned16,
    kSigned16,
    kSigned32,
    kFloat32,
    kRgb,
    kPremultiplied,  // RGB that was multiplied by the alpha behind it
    kCmyk,
    kLab,
  };

  int64_t width = 0;
  int64_t height = 0;
  uint64_t compression = 0;
  uint64_t photometric = 0;
  int orientation = 1;
  bool planes = false;         // the first samples of all pixels come first
  bool reverse_bits = false;   // the first sample is in the lower bits of its byte
  std::vector<uint64_t> bits;  // of each sample of a pixel: all the same
  Samples samples = Samples::kTable;
  bool unnamed_alpha = false;  // a fourth sample of which no tag says what it is
  ColorTable table = {};
  std::string_view mode;  // Pillow's

  // Of one plane, or of all samples where there are no planes.
  size_t RowBytes(size_t columns) const {
    return PackedBytes(columns, bits[0] * (planes ? 1 : bits.size()));
  }
};

// Refuses what Pillow does not read, or reads wrongly.
std::variant<TiffLayout, Reject> ReadTiffLayout(const TiffDirectory& directory,
                                                const DecodeLimits& limits);

// One row of all samples -> RGB. `order`: of the samples' bytes.
void TiffRowToRgb(const TiffLayout& layout, const uint8_t* row, ByteOrder order, size_t width,
                  uint8_t* rgb);

// One row of one plane -> its place among the samples of all planes, side by side, as 8 bits.
void TiffRowToPlane(const TiffLayout& layout, const uint8_t* row, ByteOrder order, size_t width,
                    uint8_t* samples);

// The layout of the samples that TiffRowToPlane() put side by side.
TiffLayout JoinedPlanes(const TiffLayout& layout);

}  // namespace pomona
