#include "pixels.h"

#include <algorithm>
#include <cstring>

namespace pomona {

ColorTable GrayTable(int levels) {
  ColorTable table = {};
  for (int i = 0; i < levels; ++i) table[i].fill(static_cast<uint8_t>(i * 255 / (levels - 1)));
  return table;
}

void TableToRgb(const ColorTable& table, int bits, const uint8_t* samples, size_t width,
                uint8_t* rgb) {
  if (bits == 8) {
    for (size_t x = 0; x < width; ++x) std::memcpy(rgb + 3 * x, table[samples[x]].data(), 3);
    return;
  }
  const int mask = (1 << bits) - 1;
  int left = 0;
  for (size_t x = 0; x < width; ++x) {
    if (left == 0) {
      left = 8;
      ++samples;
    }
    left -= bits;
    std::memcpy(rgb + 3 * x, table[samples[-1] >> left & mask].data(), 3);
  }
}

void CmykToRgb(const uint8_t* cmyk, size_t step, uint8_t paper, size_t width, uint8_t* rgb) {
  for (size_t x = 0; x < width; ++x, cmyk += step, rgb += 3) {
    const int left = 255 - (cmyk[3] ^ paper);
    for (int c = 0; c < 3; ++c) {
      const int product = (cmyk[c] ^ paper) * left + 128;
      rgb[c] = static_cast<uint8_t>(std::max(0, left - (((product >> 8) + product) >> 8)));
    }
  }
}

uint8_t ClipInteger(int64_t value) {
  return static_cast<uint8_t>(std::clamp<int64_t>(value, 0, 255));
}

uint8_t ClipFloat(float value) {
  if (value >= 255) return 255;
  return value > 0 ? static_cast<uint8_t>(value) : 0;
}

}  // namespace pomona
