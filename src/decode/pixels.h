// Samples of many layouts -> RGB, by Pillow's rules; and numbers of either byte order.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace pomona {

enum class ByteOrder { kLittle, kBig };

inline uint16_t Read16(const uint8_t* bytes, ByteOrder order) {
  return order == ByteOrder::kLittle ? static_cast<uint16_t>(bytes[0] | bytes[1] << 8)
                                     : static_cast<uint16_t>(bytes[0] << 8 | bytes[1]);
}

inline uint32_t Read32(const uint8_t* bytes, ByteOrder order) {
  const uint32_t first = Read16(bytes, order);
  const uint32_t second = Read16(bytes + 2, order);
  return order == ByteOrder::kLittle ? first | second << 16 : first << 16 | second;
}

// The colour of each sample of at most 8 bits: shades of gray or a palette, which Pillow continues
// with black.
using ColorTable = std::array<std::array<uint8_t, 3>, 256>;

// Of `levels` (2 to 256) samples, from black to white.
ColorTable GrayTable(int levels);

// Bytes in a row of `width` samples of `bits` bits, without padding.
constexpr size_t PackedBytes(size_t width, size_t bits) { return (width * bits + 7) / 8; }

// samples: `width` of them of 1, 2, 4 or 8 bits each, the first in the upper bits of its byte.
void TableToRgb(const ColorTable& table, int bits, const uint8_t* samples, size_t width,
                uint8_t* rgb);

// cmyk: ink from 0 (none) to 255, or inverted where `paper` is 255 instead of 0. Scales the paper
// that each ink leaves by the paper that black leaves.
void CmykToRgb(const uint8_t* cmyk, size_t step, uint8_t paper, size_t width, uint8_t* rgb);

// What does not fit into 8 bits is clipped, not scaled.
uint8_t ClipInteger(int64_t value);
uint8_t ClipFloat(float value);  // fractions are dropped; 0 where it is no number

}  // namespace pomona
