// Files made here, and what becomes of them.
#pragma once

#include <png.h>

#include <cstdio>  // jpeglib.h needs it first

#include <jpeglib.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "pomona/decode.h"

namespace pomona {

using Bytes = std::vector<uint8_t>;
using Color = std::array<int, 3>;

// A picture whose pixels, or a reject whose reason, are then compared.
struct Decoded {
  std::string verdict = {};  // "ok" or the name of the reason
  std::string mode = {};
  int width = 0;
  int height = 0;
  Bytes rgb = {};

  Color at(int x, int y) const {
    const uint8_t* p = &rgb[size_t{3} * (y * width + x)];
    return {p[0], p[1], p[2]};
  }
};

Decoded Decode(Decoder* decoder, std::span<const uint8_t> file);
Decoded Decode(std::span<const uint8_t> file, const DecodeLimits& limits = {});

inline Bytes ToBytes(std::string_view text) { return Bytes(text.begin(), text.end()); }

// So many pixels of one colour.
Bytes Flat(int pixels, const Bytes& sample);

// An RGB picture, no two of whose pixels are the same.
Bytes Ramp(int width, int height);

struct JpegOptions {
  J_COLOR_SPACE in = JCS_RGB;
  J_COLOR_SPACE stored = JCS_YCbCr;
  bool progressive = false;
  bool arithmetic = false;
  int quality = 100;
  int h = 0, v = 0;         // sampling factors of the first component, or libjpeg's choice
  bool own_tables = false;  // Huffman tables made for the picture
  unsigned restart_interval = 0;
  std::vector<jpeg_scan_info> scans = {};  // of a progressive file, or libjpeg's choice
};

// samples: height x width x components.
Bytes MakeJpeg(int width, int height, const Bytes& samples, const JpegOptions& options = {});

// With the last scan of a progressive file, which refines what is there already, once more and
// more.
Bytes RepeatLastScan(const Bytes& file, int times);

struct PngOptions {
  bool interlaced = false;
  std::vector<png_color> palette = {};
  Bytes alphas = {};  // tRNS of the palette
};

// rows: packed as PNG wants them, one after the other.
Bytes MakePng(int width, int height, int bit_depth, int color_type, const Bytes& rows,
              const PngOptions& options = {});

struct TiffTag {
  static constexpr int kShort = 3;

  int tag;
  int type;
  uint32_t count;
  uint32_t value;
};

// `data` stands at 8: with `strip` as a strip, whose tags 273 and 279 are added to the others.
Bytes MakeTiff(std::vector<TiffTag> tags, const Bytes& data, bool strip = true);

}  // namespace pomona
